"""Which policy, gate and override of one set is which of the other."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ringfence.language.gates import Gate, LimitRow, Policy, canonical_value

__all__ = ["match_gates", "match_overrides", "match_policies"]

Item = TypeVar("Item")
Pair = tuple[Item | None, Item | None]

# A renamed policy keeps at least half of its gates, and is nearer to its former self than to any other.
_ALIKE = 0.5
_NEARER = 0.2


def match_policies(base: Sequence[Policy], head: Sequence[Policy]) -> list[Pair[Policy]]:
    """Pairs of policies, those of the head first, in their order; None where there is no other.

    By name; a policy that is there on one side alone is the renamed one of the other side only where that is
    beyond doubt: else it was removed, and the other one added.
    """
    before = {each.name: each for each in base}
    now = {each.name: each for each in head}
    gone = [each for each in base if each.name not in now]
    new = [each for each in head if each.name not in before]
    renamed = _renamed(gone, new)
    former = {id(other): each for each, other in renamed}
    taken = {id(each) for each, _ in renamed}
    pairs: list[Pair[Policy]] = [
        (before.get(each.name) or former.get(id(each)), each) for each in head
    ]
    return pairs + [(each, None) for each in gone if id(each) not in taken]


def _renamed(gone: Sequence[Policy], new: Sequence[Policy]) -> list[tuple[Policy, Policy]]:
    likeness = {
        (a, b): _likeness(gone[a], new[b]) for a in range(len(gone)) for b in range(len(new))
    }
    found = []
    for (a, b), value in likeness.items():
        rivals = [
            other for (c, d), other in likeness.items() if (c == a) != (d == b)
        ]  # fmt: skip
        if value >= _ALIKE and all(value - other >= _NEARER for other in rivals):
            found.append((gone[a], new[b]))
    return found


def _likeness(one: Policy, other: Policy) -> float:
    """Share of the gates that both have, limits included, of all gates of either.

    Of two policies of one scope, gates that differ in their limits alone count for half.
    """
    whole = _shared(
        {_gate_text(gate) for gate in one.gates}, {_gate_text(gate) for gate in other.gates}
    )
    if one.scope.canonical() != other.scope.canonical():
        return whole
    bare = _shared(
        *({(gate.name, gate.rule.name, gate.level) for gate in each.gates} for each in (one, other))
    )
    return (whole + bare) / 2


def _shared(mine: set[Any], theirs: set[Any]) -> float:
    return len(mine & theirs) / max(len(mine | theirs), 1)


def _gate_text(gate: Gate) -> str:
    rows = [_values(row) for row in gate.rows]
    return json.dumps([gate.name, gate.rule.name, gate.level, rows], sort_keys=True, default=str)


def _values(row: LimitRow) -> Mapping[str, Any]:
    return {name: canonical_value(value) for name, value in row.values.items()}


def match_gates(base: Policy | None, head: Policy | None) -> list[Pair[Gate]]:
    """Pairs of gates of two policies, those of the head first; None where there is no other.

    By name; one gate of a rule that is gone, and one of the same rule and level that came, are one gate renamed.
    """
    gates = [each.gates if each is not None else [] for each in (base, head)]
    return _matched(
        gates[0], gates[1], lambda gate: (gate.name,), lambda gate: (gate.rule.name, gate.level)
    )


def match_overrides(base: Gate, head: Gate) -> list[Pair[LimitRow]]:
    """Pairs of overrides of two gates, those of the head first; None where there is no other.

    By scope and window; then by ticket, then by scope, where that leaves no choice.
    """

    def whole(row: LimitRow) -> tuple[object, ...]:
        return (row.scope, row.from_ns, row.until_ns)

    return _matched(
        base.rows[1:],
        head.rows[1:],
        whole,
        lambda row: (row.ticket,) if row.ticket else (),
        lambda row: (row.scope,),
    )


def _matched(
    base: Sequence[Item], head: Sequence[Item], *keys: Callable[[Item], tuple[object, ...]]
) -> list[Pair[Item]]:
    """Pairs by the first key that names one item on both sides; an empty key names nothing."""
    partner: dict[int, Item] = {}
    left, right = list(base), list(head)
    for key in keys:
        mine, theirs = _single(left, key), _single(right, key)
        for name in mine.keys() & theirs.keys():
            partner[id(theirs[name])] = mine[name]
        known = set(map(id, partner.values()))
        left = [each for each in left if id(each) not in known]
        right = [each for each in right if id(each) not in partner]
    pairs: list[Pair[Item]] = [(partner.get(id(each)), each) for each in head]
    return pairs + [(each, None) for each in left]


def _single(
    items: Iterable[Item], key: Callable[[Item], tuple[object, ...]]
) -> dict[tuple[object, ...], Item]:
    found: dict[tuple[object, ...], list[Item]] = {}
    for each in items:
        if name := key(each):
            found.setdefault(name, []).append(each)
    return {name: each[0] for name, each in found.items() if len(each) == 1}
