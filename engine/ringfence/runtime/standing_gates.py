"""What gates that halt books find of them as they stand, of all limits that were looked at."""

from collections.abc import Iterable
from itertools import chain
from math import inf, isnan

import numpy as np

from ringfence.backends.numba_kernel.slots import LEVELS
from ringfence.language.answers import gate_result
from ringfence.language.decision import GateResult, Outcome
from ringfence.language.gates import Gate
from ringfence.language.orders import KILL_STATES
from ringfence.runtime.breach_ticks import held_times
from ringfence.runtime.guard_halts import StandingGate
from ringfence.runtime.limit_keys import NOBODY, Codes, LimitKeys
from ringfence.runtime.limit_sample import BREACH, PASS, Sampled

__all__ = ["standing_gates"]

_HALTED = KILL_STATES.index("halted")


def standing_gates(sampled: Sampled) -> list[StandingGate]:
    """The gates that halt books, by book, where any order would meet a breach, or where each limit of a gate that waits
    for ticks is kept.

    A gate may hold orders of some symbols to tighter limits, and a policy may bind some symbols, strategies or venues alone.
    That those alone are breached halts no book before such an order comes, for others of the book pass.
    """
    keys = sampled.keys
    by_book: dict[tuple[str, int], list[int]] = {}
    for at in _wanted(sampled).tolist():
        gate = keys.kinds[keys.kind[at]].gate
        by_book.setdefault((gate.label, int(keys.book[at])), []).append(at)
    found: list[tuple[int, StandingGate]] = []
    for (_, book), places in by_book.items():
        gate = keys.kinds[keys.kind[places[0]]].gate
        is_kept = all(sampled.outcome[at] == PASS for at in places)
        breach = None if is_kept else _breach(sampled, gate, places)
        if is_kept or breach is not None:
            times = () if is_kept else held_times(sampled.stand.books, book)
            found.append((book, StandingGate(gate, keys.names.books[book], breach, times)))
    met = _met(keys, found)
    return [each for book, each in found if each.breach is None or book in met]


def _met(keys: LimitKeys, found: Iterable[tuple[int, StandingGate]]) -> set[int]:
    """The books of which every order would meet one of the breaches."""
    by_book: dict[int, list[Gate]] = {}
    for book, each in found:
        if each.breach is not None:
            by_book.setdefault(book, []).append(each.gate)
    return {
        book
        for book, gates in by_book.items()
        if all(
            any(bound.gate in gates for bound in keys.limits.lists[which])
            for which in keys.lists_of(LEVELS.index(gates[0].level), book)
        )
    }


def _wanted(sampled: Sampled) -> Codes:
    """Places of the gates and books where a breach was found, or where one that waits for ticks may be over.

    There may be many thousands that are neither. Books that are halted already count for the latter alone.
    """
    keys = sampled.keys
    gates = {kind.gate.label: kind.gate for kind in keys.kinds if kind.gate.halts}
    numbers = {label: n for n, label in enumerate(gates)}
    of_kind = np.array([numbers.get(kind.gate.label, NOBODY) for kind in keys.kinds], np.int64)
    waits = np.array([gate.confirm_ticks > 1 for gate in gates.values()], np.bool_)
    if not gates or not len(keys.kind):
        return np.empty(0, np.int64)
    gate = of_kind[keys.kind]
    bound = np.flatnonzero((gate != NOBODY) & (sampled.outcome != 0))
    gate, book = gate[bound], keys.book[bound]
    pair = gate * len(keys.names.books) + book
    is_halted = sampled.stand.books.kill_book[book] == _HALTED
    breached = np.unique(pair[(sampled.outcome[bound] == BREACH) & ~is_halted])
    return bound[np.isin(pair, breached) | waits[gate]]


def _breach(sampled: Sampled, gate: Gate, places: Iterable[int]) -> GateResult | None:
    """The check furthest beyond its limit, where orders of every kind would meet one."""
    keys = sampled.keys
    # By the limits that hold, and by the symbol and account where these matter.
    by_limits: dict[tuple[int, ...], dict[tuple[int, int], list[int]]] = {}
    for at in places:
        limits = by_limits.setdefault(tuple(map(id, keys.kinds[keys.kind[at]].bound.rows)), {})
        breached = limits.setdefault((int(keys.symbol[at]), int(keys.account[at])), [])
        if sampled.outcome[at] == BREACH:
            breached.append(at)
    if not all(
        limits.get((NOBODY, NOBODY)) or all(limits.values()) for limits in by_limits.values()
    ):
        return None
    all_breached = chain.from_iterable(
        each for limits in by_limits.values() for each in limits.values()
    )
    at = max(all_breached, key=lambda at: _use(sampled, at))
    check = keys.kinds[keys.kind[at]].check
    return gate_result(
        gate,
        Outcome.BREACH,
        check=check.name,
        unit=check.unit.kind,
        measure=float(sampled.measure[at]),
        limit=float(sampled.limit[at]),
    )


def _use(sampled: Sampled, at: int) -> float:
    used = float(sampled.used[at])
    return inf if isnan(used) else used
