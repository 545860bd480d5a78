"""Cells: all orders at all times, cut into parts in which the same gates bind with the same limits.

Within a cell every limit is a constant, so that a question about all orders becomes one question for each
cell. Orders are told apart by the classes of their names (`language.scope_classes`), times by the windows of
the overrides that hold there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import and_

from ringfence.language.canonical import canonical_binding
from ringfence.language.gates import ALWAYS, LimitRow
from ringfence.language.instruments import Desk
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.scope_classes import representatives
from ringfence.language.scopes import Scope

__all__ = ["Binding", "Cell", "cells"]

Binding = tuple[Bound, LimitRow]
"""A gate that binds, and the limits of it that are in force."""

_SYMBOLS = 3
_MAY_BE_EMPTY = (1, 2)
"""Strategies and venues: an order need not have them."""

Masks = tuple[int, ...]
"""For each policy set the scopes that hold a name, or an order."""


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """Orders that face the same gates with the same limits, in each of the policy sets compared.

    `account`, `strategy`, `venue` and `symbol` are an example; `symbols` all that are known of it. The limits
    hold from `from_ns` to before `until_ns` (ns since 1970), and in other windows with the same limits.
    """

    account: str
    strategy: str
    venue: str
    symbol: str
    symbols: tuple[str, ...]
    from_ns: int
    until_ns: int
    bounds: tuple[tuple[Binding, ...], ...]
    _forms: dict[int, str] = field(repr=False)
    _moved: bool = field(repr=False)
    """Whether what surrounds the gates differs: instruments, FX rates, correlations, the currency, the day."""

    @property
    def moment_ns(self) -> int:
        """A moment within the cell, close to its bounded end: ns since 1970."""
        if self.from_ns > ALWAYS[0]:
            return self.from_ns
        return self.until_ns - 1 if self.until_ns < ALWAYS[1] else 0

    @property
    def surroundings_changed(self) -> bool:
        """Whether instruments, FX rates, correlations, the currency or the trading day differ here, between the
        first and the last policy set."""
        return self._moved

    @property
    def changed(self) -> bool:
        """Whether the first and the last policy set differ here: in any gate or limit in force, or in
        the instruments, rates and correlations that orders are judged with."""
        if self._moved:
            return True
        one, other = (sorted(map(self.form, side)) for side in (self.bounds[0], self.bounds[-1]))
        return one != other

    def form(self, binding: Binding) -> str:
        """What a gate means with the limits in force, as text; made once for all cells."""
        bound, row = binding
        form = self._forms.get(id(row))
        if form is None:
            form = self._forms[id(row)] = canonical_binding(bound.gate, row)
        return form


def cells(*sets: LinkedSet, since_ns: int = ALWAYS[0]) -> Iterator[Cell]:
    """All cells of one policy set, or of several side by side.

    Where every set declares its instruments, orders in other symbols are left out: no guard takes them.
    Orders that no gate of any set binds are left out too.

    Args:
        sets: Linked policy sets.
        since_ns: Windows that have ended by then (ns since 1970) are left out; by default none.

    Raises:
        TooManyClassesError: the globs of the scopes multiply one another beyond reason.
    """
    grouped = [_by_masks(sets, at, names) for at, names in enumerate(_names(sets))]
    whole: dict[Masks, tuple[str, ...]] = {tuple(-1 for _ in sets): ()}
    for group in grouped[:_SYMBOLS]:
        whole = _crossed(whole, group)
    held: dict[Masks, tuple[tuple[str, ...], list[str]]] = {}
    for masks, parties in whole.items():
        for more, symbols in grouped[_SYMBOLS].items():
            both = tuple(map(and_, masks, more))
            held.setdefault(both, (parties, []))[1].extend(symbols)
    forms: dict[int, str] = {}
    for masks, ((account, strategy, venue), traded) in held.items():
        bounds = [each.bind_masks((mask,) * 4) for each, mask in zip(sets, masks, strict=True)]
        if not any(bounds):
            continue
        known = tuple(dict.fromkeys(traded))
        moved = _surroundings(sets[0], known) != _surroundings(sets[-1], known)
        for from_ns, until_ns, rows in _windows(bounds, since_ns):
            yield Cell(
                account, strategy, venue, known[0], known, from_ns, until_ns, rows, forms, moved
            )  # fmt: skip


def _surroundings(linked: LinkedSet, symbols: Sequence[str]) -> tuple[object, ...]:
    desk = linked.desk
    own = [desk.instruments.get(symbol) for symbol in symbols]
    day = {policy.day for policy in linked.policies if policy.day}
    return linked.currency, day, desk.fx, desk.correlations, own


def _names(sets: Sequence[LinkedSet]) -> list[tuple[str, ...]]:
    """For each dimension names of every class: those that are declared, then examples of the globs."""
    found = []
    for at in range(_SYMBOLS + 1):
        declared = [name for each in sets for name in _declared(each.desk, at)]
        only = at == _SYMBOLS and all(each.desk.instruments for each in sets)
        examples = () if only else representatives(_globs(sets, at))
        absent = ("",) if at in _MAY_BE_EMPTY else ()
        found.append(tuple(dict.fromkeys((*declared, *examples, *absent))))
    return found


def _declared(desk: Desk, dimension: int) -> Iterable[str]:
    return (desk.accounts, desk.strategies, desk.venues, desk.instruments)[dimension]


def _globs(sets: Sequence[LinkedSet], dimension: int) -> Iterator[str]:
    for each in sets:
        for policy in each.policies:
            yield from _of_scope(policy.scope, dimension)
            for gate in policy.gates:
                for row in gate.rows[1:]:
                    if row.scope is not None:
                        yield from _of_scope(row.scope, dimension)


def _of_scope(scope: Scope, dimension: int) -> Iterator[str]:
    for globs in scope.parts(dimension):
        yield from globs


def _by_masks(
    sets: Sequence[LinkedSet], dimension: int, names: Iterable[str]
) -> dict[Masks, tuple[str, ...]]:
    grouped: dict[Masks, list[str]] = {}
    for name in names:
        grouped.setdefault(tuple(each.mask(dimension, name) for each in sets), []).append(name)
    return {masks: tuple(found) for masks, found in grouped.items()}


def _crossed(
    before: dict[Masks, tuple[str, ...]], group: dict[Masks, tuple[str, ...]]
) -> dict[Masks, tuple[str, ...]]:
    """With one more dimension: of names that end in the same scopes, the first ones stand for all."""
    after: dict[Masks, tuple[str, ...]] = {}
    for masks, names in before.items():
        for more, found in group.items():
            after.setdefault(tuple(map(and_, masks, more)), (*names, found[0]))
    return after


def _windows(
    bounds: Sequence[Sequence[Bound]], since_ns: int
) -> Iterator[tuple[int, int, tuple[tuple[Binding, ...], ...]]]:
    """Each choice of limits that is in force at some time, with the first window that it holds in."""
    edges = sorted(
        {
            ALWAYS[0],
            ALWAYS[1],
            *(
                edge
                for side in bounds
                for bound in side
                for row in bound.rows
                for edge in (row.from_ns, row.until_ns)
            ),
        }
    )
    seen: set[tuple[int, ...]] = set()
    for from_ns, until_ns in pairwise(edges):
        if until_ns <= since_ns:
            continue
        rows = tuple(tuple((bound, bound.row_at(from_ns)) for bound in side) for side in bounds)
        key = tuple(id(row) for side in rows for _, row in side)
        if key not in seen:
            seen.add(key)
            yield from_ns, until_ns, rows
