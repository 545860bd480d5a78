"""What a look at all limits found, of each the worse side; which lie closest, and what still passes."""

from typing import Any, NamedTuple

import numpy as np

from ringfence.backends.numba_kernel.standing_limits import Questions, Standing
from ringfence.runtime.guard_standing import Stand
from ringfence.runtime.limit_keys import NOBODY, Codes, LimitKeys

__all__ = [
    "BREACH",
    "PASS",
    "UNKNOWN",
    "Sampled",
    "closest",
    "first_switches",
    "rooms_of",
    "worse_side",
]

PASS, _REDUCE, BREACH, UNKNOWN = 1, 2, 3, 5
Floats = np.ndarray[Any, np.dtype[np.float64]]


class Sampled(NamedTuple):
    """What was found of each key.

    Attributes:
        outcome: 0 where the check did not bind after all, 1 pass, 3 breach, 5 unknown.
        measure, limit, used: NaN where there is none; `used` is the utilisation.
    """

    keys: LimitKeys
    stand: Stand
    outcome: Codes
    measure: Floats
    limit: Floats
    used: Floats


def worse_side(keys: LimitKeys, stand: Stand, found: Standing) -> Sampled:
    """Of buying and selling what lies nearer to its limit, or is unknown."""
    outcome, measure, limit = (
        np.stack([part[keys.column, 2 * keys.cell + side] for side in (0, 1)])
        for part in (found.outcome, found.measure, found.limit)
    )
    check = np.stack([found.check[keys.column, 2 * keys.cell + side] for side in (0, 1)])
    outcome = np.where(check < 0, 0, np.where(outcome == _REDUCE, BREACH, outcome)).astype(np.int64)
    of_order, counts = keys.each("of_order"), keys.each("counts_order")
    measure = measure - counts
    outcome[(outcome == BREACH) & counts & (measure <= limit)] = PASS
    unknown = keys.each("needs_price") & np.isnan(
        np.stack([found.price[2 * keys.cell + side] for side in (0, 1)])
    )
    measure[unknown] = np.nan
    outcome[unknown & (outcome != 0)] = UNKNOWN
    measure[:, of_order] = np.nan
    with np.errstate(all="ignore"):
        used: Any = np.where(
            np.greater(limit, 0.0), measure / limit, np.where(measure > limit, np.nan, 0.0)
        )
    used[np.isnan(measure) | np.isnan(limit) | keys.each("is_floor") | (outcome == UNKNOWN)] = (
        np.nan
    )
    rank = np.where(outcome == UNKNOWN, 4, outcome)
    rank = np.where(outcome == BREACH, 5, rank)
    sells = (rank[1] > rank[0]) | ((rank[1] == rank[0]) & (used[1] > used[0]))

    def of(part: Any) -> Any:
        return np.where(sells, part[1], part[0])

    return Sampled(keys, stand, of(outcome), of(measure), of(limit), of(used))


def closest(sampled: Sampled, places: Codes) -> Codes:
    """Places in the order in which they are shown: what is beyond its limit, what is unknown, then by use."""
    of_order, shadow, switch = (
        sampled.keys.each(name)[places] for name in ("of_order", "is_shadow", "is_switch")
    )
    outcome, used = sampled.outcome[places], sampled.used[places]
    group = np.select([of_order, outcome == BREACH, outcome == UNKNOWN], [3, 0, 1], 2)
    # Beyond a limit of zero comes first of what is beyond its limit, and a switch last: one stands there with every symbol.
    unsaid = np.where(group == 0, -np.inf, np.inf)
    use = np.where(np.isnan(used), unsaid, -used)
    return places[np.lexsort((places, shadow, use, switch & (group == 0), group))]


def first_switches(sampled: Sampled, places: Codes, most: int | None) -> Codes:
    """The places without the kill switches that are beyond, but for so many of them; all where `most` is None."""
    if most is None:
        return places
    beyond = sampled.keys.each("is_switch")[places] & (sampled.outcome[places] == BREACH)
    kept: Codes = places[~beyond | (np.cumsum(beyond) <= most)]
    return kept


def rooms_of(sampled: Sampled, places: Codes) -> dict[int, tuple[str | None, str | None]]:
    """The largest orders that pass, by place: of limits of one symbol whose measure rises with the size."""
    keys, stand = sampled.keys, sampled.stand
    wanted = [
        int(at) for at in places if keys.symbol[at] != NOBODY and keys.kinds[keys.kind[at]].rises
    ]
    cells = sorted({int(keys.cell[at]) for at in wanted})
    asked = [2 * cell + side for cell in cells for side in (0, 1)]
    names, side = keys.questions
    questions = Questions(np.ascontiguousarray(names[asked]), np.ascontiguousarray(side[asked]))
    found = keys.standing.ask(stand.books, questions, stand.now_ns, far=True)
    place_of_cell = {cell: 2 * n for n, cell in enumerate(cells)}
    rooms = {}
    for at in wanted:
        step = keys.names.lot_steps[keys.symbol[at]]
        sizes = []
        for way in (0, 1):
            lots = found.headroom[keys.column[at], place_of_cell[int(keys.cell[at])] + way]
            sizes.append(str(int(lots) * step) if lots >= 0 else None)
        rooms[at] = (sizes[0], sizes[1])
    return rooms
