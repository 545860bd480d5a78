"""The same policy set with other limits, for questions such as 'what if'; its name stays."""

from collections.abc import Callable
from dataclasses import replace

from ringfence.language.gates import Gate, LimitRow
from ringfence.language.linking import LinkedSet

__all__ = ["with_rows"]


def with_rows(linked: LinkedSet, change: Callable[[Gate, LimitRow], LimitRow]) -> LinkedSet:
    """The set with each row of limits as `change` gives it; its hash is still that of the set given.

    Only limits may differ. They are data, so nothing has to be compiled for the new set.

    Args:
        linked: The policy set; it stays as it is.
        change: Gives the row to put in place of a gate's row, or the same one.
    """
    policies = []
    for policy in linked.policies:
        made = replace(policy, gates=[])
        for gate in policy.gates:
            rows = tuple(change(gate, row) for row in gate.rows)
            made.gates.append(replace(gate, policy=made, rows=rows))
        policies.append(made)
    news = dict(zip(map(id, linked.policies), policies, strict=True))
    return replace(
        linked,
        policies=policies,
        gates=tuple(gate for policy in policies for gate in policy.gates),
        _by_bit={bit: news[id(policy)] for bit, policy in linked._by_bit.items()},
        _cache={},
    )
