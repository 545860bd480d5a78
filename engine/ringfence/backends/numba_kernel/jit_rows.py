"""Looking up limits and reading an order, compiled."""

import numpy as np

from ringfence.backends.numba_kernel.jit_fields import whole_lots
from ringfence.backends.numba_kernel.jit_numbers import (
    NAN,
    inline,
    natural,
    plain,
    reaches,
    usable,
)
from ringfence.backends.numba_kernel.layout import (
    AGE,
    AGES,
    AGES_GIVEN,
    AGES_NONE,
    ASK,
    BID,
    BUYS,
    LOT_SCALE,
    LOT_UNITS,
    MARKET,
    MIN_LOTS,
    MULTIPLIER,
    NO_FX,
    NO_INSTRUMENT,
    ROW,
    ROWS,
    SELLS,
    STATUS,
    STOP,
    SYM_MARK,
    VENUE_MIN_NOTIONAL,
    Q,
)

__all__ = [
    "age_of",
    "closing_lots",
    "max_age_at",
    "note_again",
    "refusal_of",
    "row_at",
    "too_small",
    "valuation_price",
    "whole_lots",
]

NEVER = -(2**63)


@plain
def row_at(limits, row, count, now):
    """The limits in force: the first override whose window holds the time, else the gate's own."""
    for at in range(row, row + count - 1):
        if limits.window[at, 0] <= now < limits.window[at, 1]:
            return at
    return row + count - 1


@plain
def max_age_at(limits, start, end, now):
    """The smallest age of data that a gate of the list allows, in seconds."""
    smallest = np.inf
    for e in range(start, end):
        row = row_at(limits, limits.entry[e, ROW], limits.entry[e, ROWS], now)
        smallest = min(smallest, limits.freshness[row])
    return smallest


@inline
def age_of(books, s, now):
    """Age of the symbol's market data in seconds; NaN where there is none."""
    ages = books.settings[AGES]
    if ages == AGES_NONE:
        return 0.0
    if ages == AGES_GIVEN:
        return books.sym[s, AGE]
    ts = books.sym_ts[s]
    return NAN if ts == NEVER else (now - ts) / 1e9


@inline
def closing_lots(books, b, s, side):
    """Lots of this side that only close: |q| less what already works on that side."""
    b, s = natural(b), natural(s)
    q = books.pos[b, s, Q]
    if q * side >= 0.0:
        return 0.0
    return max(0.0, abs(q) - books.pos[b, s, BUYS if side > 0 else SELLS])


@inline
def valuation_price(sym, s, side, kind, price):
    """Buys max(limit, ask), sells max(limit, bid); without bid and ask the mark; a stop's trigger."""
    good = usable(price)
    if kind >= STOP and good:
        return price
    quote = sym[s, ASK] if side > 0 else sym[s, BID]
    if not usable(quote):
        quote = sym[s, SYM_MARK]
    if not usable(quote):
        return price if good else NAN
    return max(price, quote) if good else quote


@inline
def refusal_of(sym, s, kind, lots, price, value):
    """Why the order is refused whatever its gates say: a place in `REFUSALS`, 0 for none."""
    status = sym[s, STATUS]
    if status == NO_INSTRUMENT:
        return 1
    if lots <= 0.0:
        return 5
    if status == NO_FX:
        return 6
    if (price == price or kind != MARKET) and not usable(price):
        return 7
    return 0 if usable(value) else 8


@inline
def too_small(sym, s, lots, value):
    """1 below the venue's minimum size, 2 below its minimum notional, else 0."""
    if lots < sym[s, MIN_LOTS]:
        return 1
    notional = (lots * sym[s, LOT_UNITS] / sym[s, LOT_SCALE]) * value * sym[s, MULTIPLIER]
    return 0 if reaches(notional, sym[s, VENUE_MIN_NOTIONAL]) else 2


@plain
def note_again(detail, entry, outcome, measure, limit, check):
    """Keep what a gate found at the reduced size."""
    detail.again[0] = entry
    detail.again[1] = outcome
    detail.again[2] = measure
    detail.again[3] = limit
    detail.again[4] = check
    detail.stage[0] = 3
