"""The same policy set with other limits, for questions such as 'what if'; its name stays."""

from collections.abc import Callable
from dataclasses import replace

from ringfence.language.gates import Gate, LimitRow, Policy
from ringfence.language.linking import LinkedSet

__all__ = ["with_rows"]


def with_rows(linked: LinkedSet, change: Callable[[Gate, LimitRow], LimitRow]) -> LinkedSet:
    """The set with each row of limits as `change` gives it; its hash is still that of the set given.

    Only limits may differ. They are data, so nothing has to be compiled for the new set.

    Args:
        linked: The policy set; it stays as it is.
        change: Gives the row to put in place of a gate's row, or the same one.
    """
    policies = [_with_rows(policy, change) for policy in linked.policies]
    news = dict(zip(map(id, linked.policies), policies, strict=True))
    return replace(
        linked,
        policies=policies,
        gates=tuple(gate for policy in policies for gate in policy.gates),
        _by_bit={bit: news[id(policy)] for bit, policy in linked._by_bit.items()},
        _cache={},
    )


def _with_rows(policy: Policy, change: Callable[[Gate, LimitRow], LimitRow]) -> Policy:
    """The policy with other limits; the same one where none moves."""
    rows = [tuple(change(gate, row) for row in gate.rows) for gate in policy.gates]
    if all(
        one is other
        for gate, after in zip(policy.gates, rows, strict=True)
        for one, other in zip(gate.rows, after, strict=True)
    ):
        return policy
    made = replace(policy, gates=[])
    made.gates.extend(
        replace(gate, policy=made, rows=after)
        for gate, after in zip(policy.gates, rows, strict=True)
    )
    return made
