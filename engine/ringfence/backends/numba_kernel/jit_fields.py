"""Input fields that take more than a look into one row, compiled; as the reference reads them."""

import numpy as np

from ringfence.backends.numba_kernel.jit_numbers import (
    NAN,
    counted,
    divide,
    fin,
    inline,
    lost,
    money_of,
    natural,
    plain,
    quanta_up,
    share_of,
    usable,
)
from ringfence.backends.numba_kernel.layout import (
    ASK,
    BID,
    BUYS,
    COMPLETENESS,
    DAY_BALANCE,
    DAY_EQUITY,
    DEPOSITS,
    EQUITY,
    GIVEN_MARK,
    GROSS,
    HELD,
    LAST,
    LONG,
    LOT_MONEY,
    MARK,
    MARKET,
    OPEN,
    PEAK,
    SELLS,
    SHORT,
    SYM_MARK,
    TICK_SCALE,
    TICK_UNITS,
    UNCOUNTED,
    UNMARKED,
    VALUE,
    Q,
)

__all__ = [
    "completeness",
    "correlated_others",
    "correlated_sound",
    "crossed",
    "day_loss",
    "day_loss_ratio",
    "day_start",
    "drawdown",
    "exposure_after",
    "kill_state",
    "money",
    "net_exposure_after",
    "nonnegative",
    "on_tick",
    "orders_after",
    "position_after",
    "positions_after",
    "price_deviation",
    "reference_price",
    "whole_lots",
    "worst_lots",
]


@inline
def whole_lots(size, units, scale):
    """Lots of a size in steps of units / scale; -1 where it is no whole number of them."""
    steps = np.rint(size * scale)
    if not (steps < 1e15) or steps / scale != size:
        return -1.0
    lots = np.floor(steps / units)
    return lots if lots * units == steps else -1.0


@inline
def on_tick(price, kind, sym, s):
    units = sym[s, TICK_UNITS]
    if units == 0.0 or kind == MARKET or not usable(price):
        return 1.0
    return 1.0 if whole_lots(price, units, sym[s, TICK_SCALE]) >= 0.0 else 0.0


@inline
def worst_lots(q, buys, sells, gross):
    """Largest position that open orders can lead to; `gross`: orders against it free nothing."""
    if gross:
        return max(max(q, 0.0) + buys, max(-q, 0.0) + sells)
    return max(abs(q + buys), abs(q - sells))


@inline
def position_after(books, b, s, side, lots, value, gross):
    """Exposure of the order's symbol in quanta: what is there at the mark, the increase in its worst
    case at the larger of mark and valuation price."""
    b, s = natural(b), natural(s)
    pos = books.pos
    q, buys, sells = pos[b, s, Q], pos[b, s, BUYS], pos[b, s, SELLS]
    lot_money = books.sym[s, LOT_MONEY]
    before = worst_lots(q, buys, sells, gross)
    after = worst_lots(
        q, buys + (lots if side > 0 else 0.0), sells + (0.0 if side > 0 else lots), gross
    )
    held_mark = pos[b, s, MARK]
    if before == 0.0:
        existing = 0.0
    elif gross:
        existing = quanta_up(before * (held_mark * lot_money))
    else:
        existing = max(pos[b, s, LONG], pos[b, s, SHORT])
        if pos[b, s, SHORT] != pos[b, s, SHORT]:
            existing = NAN
    mark = held_mark if usable(held_mark) else books.sym[s, SYM_MARK]
    price = max(mark, value) if usable(mark) else value
    return existing + quanta_up((after - before) * (price * lot_money))


@plain
def _gross_others(books, b, s):
    b, s = natural(b), natural(s)
    total = 0.0
    for at in range(books.book_n[b, HELD]):
        j = natural(np.int64(books.held[b, at]))
        if j != s:
            row = books.pos[b, j]
            lots = worst_lots(row[Q], row[BUYS], row[SELLS], True)
            if lots != 0.0:
                total += quanta_up(lots * (row[MARK] * books.sym[j, LOT_MONEY]))
    return total


@inline
def exposure_after(books, b, s, position, gross):
    """Gross exposure in quanta over all symbols, the order's at `position`."""
    b, s = natural(b), natural(s)
    if gross:
        return counted(position + _gross_others(books, b, s))
    if books.book[b, UNCOUNTED] != 0.0:
        return NAN
    own = max(books.pos[b, s, LONG], books.pos[b, s, SHORT])
    return counted(position + (books.book[b, GROSS] - own))


@plain
def net_exposure_after(books, b, s, side, lots, value, gross):
    """Absolute net exposure in quanta at its worst case, the order included."""
    b, s = natural(b), natural(s)
    sym = books.sym
    held_mark = books.pos[b, s, MARK]
    mark = held_mark if usable(held_mark) else sym[s, SYM_MARK]
    price = max(mark, value) if usable(mark) else value
    order = quanta_up(lots * (price * sym[s, LOT_MONEY]))
    net, up, down = 0.0, 0.0, 0.0
    for at in range(books.book_n[b, HELD]):
        j = natural(np.int64(books.held[b, at]))
        row = books.pos[b, j]
        lot = row[MARK] * sym[j, LOT_MONEY]
        net += row[VALUE]
        if row[BUYS] != 0.0:
            up += quanta_up(row[BUYS] * lot)
        if row[SELLS] != 0.0:
            down += quanta_up(row[SELLS] * lot)
    if side > 0:
        up += order
    else:
        down += order
    if net != net or up != up or down != down:
        return NAN
    if gross:
        return counted(max(max(net, 0.0) + up, max(-net, 0.0) + down))
    return counted(max(abs(net + up), abs(net - down)))


@inline
def correlated_sound(books, b, s, side, moves):
    """`correlated_others` of a book whose every exposure is known: no branch hangs on what is held."""
    b, s = natural(b), natural(s)
    total = 0.0
    for at in range(books.book_n[b, HELD]):
        way = np.int64(moves[s, natural(np.int64(books.held[b, at]))]) * side
        total += books.held_sides[b, at, natural((way >> 1) & 1)] * float(way & 1)
    return total


@inline
def correlated_others(books, b, s, side, moves):
    """Exposure in quanta of the other symbols that move with the order's; hedges are left out."""
    b, s = natural(b), natural(s)
    if books.book[b, UNMARKED] + books.book[b, UNCOUNTED] == 0.0:
        return correlated_sound(books, b, s, side, moves)
    total = 0.0
    for at in range(books.book_n[b, HELD]):
        way = np.int64(moves[s, natural(np.int64(books.held[b, at]))]) * side
        if way != 0:
            total += books.held_sides[b, at, 0 if way > 0 else 1]
    return total


@inline
def money(quanta, unknown):
    return NAN if unknown else money_of(quanta)


@inline
def nonnegative(value):
    return value if value >= 0.0 and value < np.inf else NAN


@inline
def orders_after(books, b, s, of_symbol):
    return (books.pos_orders[b, s] if of_symbol else books.book[b, OPEN]) + 1.0


@inline
def positions_after(books, b, s, lots):
    b, s = natural(b), natural(s)
    held = float(books.book_n[b, HELD])
    row = books.pos[b, s]
    if lots == 0.0 or row[Q] != 0.0 or row[BUYS] != 0.0 or row[SELLS] != 0.0:
        return held
    return held + 1.0


@inline
def day_start(books, b, basis):
    """By basis 0 the equity, 1 the balance, 2 the larger of both."""
    equity, balance = books.book[b, DAY_EQUITY], books.book[b, DAY_BALANCE]
    if basis == 1.0:
        return balance
    if basis == 2.0:
        return max(equity, balance) if equity == equity and balance == balance else NAN
    return equity


@inline
def day_loss(books, b, basis):
    return lost(day_start(books, b, basis), books.book[b, EQUITY], books.book[b, DEPOSITS])


@inline
def day_loss_ratio(books, b, basis):
    start = day_start(books, b, basis)
    return divide(day_loss(books, b, basis), start) if start > 0.0 else NAN


@inline
def drawdown(books, b):
    peak, equity = books.book[b, PEAK], books.book[b, EQUITY]
    if not peak > 0.0 or not abs(equity) < np.inf:
        return NAN
    return divide(lost(peak, equity, 0.0), peak)


@inline
def completeness(sym, s, required):
    """Share of the required fields (bits: bid 1, ask 2, last 4, mark 8) present and sane."""
    bits = int(required)
    wanted, found = 0.0, 0.0
    if bits & 1:
        wanted += 1.0
        found += 1.0 if usable(sym[s, BID]) else 0.0
    if bits & 2:
        wanted += 1.0
        found += 1.0 if usable(sym[s, ASK]) else 0.0
    if bits & 4:
        wanted += 1.0
        found += 1.0 if usable(sym[s, LAST]) else 0.0
    if bits & 8:
        wanted += 1.0
        found += 1.0 if usable(sym[s, GIVEN_MARK]) else 0.0
    share = found / wanted
    said = sym[s, COMPLETENESS]
    return min(share, said) if abs(said) < np.inf else share


@inline
def crossed(sym, s):
    bid, ask = sym[s, BID], sym[s, ASK]
    return 1.0 if usable(bid) and usable(ask) and bid > ask else 0.0


@inline
def reference_price(sym, s, reference):
    """0 the middle of bid and ask, 1 the last trade, 2 the mark."""
    if reference == 0.0:
        bid, ask = sym[s, BID], sym[s, ASK]
        return (bid + ask) / 2 if usable(bid) and usable(ask) else NAN
    return sym[s, LAST] if reference == 1.0 else sym[s, SYM_MARK]


@inline
def price_deviation(sym, s, price, value, reference):
    asked = price if usable(price) else value
    against = reference_price(sym, s, reference)
    return fin(share_of(abs(asked - against), against)) if usable(against) else NAN


@inline
def kill_state(books, account, strategy, venue, symbol):
    """The strictest switch that touches the order."""
    of_books = max(books.kill_book[0], books.kill_book[account], books.kill_book[strategy])
    return float(max(of_books, books.kill_venue[venue], books.kill_symbol[symbol]))
