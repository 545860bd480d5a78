"""What the straight way through a replay does with a book, compiled.

It takes the orders that most orders are: a book whose every position has a mark, with nothing working, and sums far from where they could no longer be counted. What it then computes equals, to
the last bit, what `jit_books` and `jit_fields` do; values travel in registers instead of in arrays. Nothing is
stored before the order is decided, so that the general way can take it over from scratch.
"""

import numpy as np

from ringfence.backends.numba_kernel.jit_books import hold, let_go
from ringfence.backends.numba_kernel.jit_fields import day_start
from ringfence.backends.numba_kernel.jit_numbers import (
    COUNTABLE,
    NAN,
    divide,
    inline,
    lost,
    money_of,
    natural,
    quanta_down,
    quanta_up,
)
from ringfence.backends.numba_kernel.jit_packs import prefetch, prefetch_to_write
from ringfence.backends.numba_kernel.layout import (
    BOOK_N_WIDTH,
    BOOK_WIDTH,
    BUYS,
    CASH,
    COST,
    COSTS,
    DEPOSITS,
    EQUITY,
    EQUITY_QUANTA,
    GROSS,
    KNOWN,
    LONG,
    MARK,
    PEAK,
    POS_WIDTH,
    REALISED,
    SELLS,
    SHORT,
    TOTAL_DRAWDOWN,
    TOTAL_MAX_DRAWDOWN,
    UNCOUNTED,
    UNMARKED,
    VALUE,
    VALUES,
    Q,
)

__all__ = [
    "AHEAD",
    "added",
    "fall_from",
    "fall_of",
    "fetch",
    "fetch_book",
    "fetch_columns",
    "fetch_results",
    "is_plain",
    "keep_marked",
    "keep_total_fall",
    "loss_of",
    "loss_share",
    "move",
    "nearer_plainly",
    "plainly",
    "raise_peak",
]

#: How many orders ahead books are fetched.
AHEAD = 8
# Far enough from the largest sum that can be counted: no sum of the few numbers at hand gets there.
FAR = COUNTABLE / 16.0


@inline
def fetch_book(books, b, s):
    """Have what a later order will look at brought near; books of many accounts fill no cache."""
    b, s = natural(b), natural(s)
    width = books.pos.shape[1]
    place = b * width + s
    prefetch(books.pos, place * POS_WIDTH)
    prefetch(books.held_at, place)
    prefetch(books.book, b * BOOK_WIDTH)
    prefetch(books.book, b * BOOK_WIDTH + BOOK_WIDTH // 2)
    prefetch(books.book_n, b * BOOK_N_WIDTH)
    prefetch(books.held, b * width)
    prefetch(books.held_sides, b * width * 2)
    prefetch(books.held_sides, b * width * 2 + 8)


@inline
def fetch(books, orders, i):
    """`fetch_book` for the account of the order at `i`."""
    account = natural(np.int64(orders.account[i]))
    fetch_book(books, np.int64(books.account_book[account]), np.int64(orders.symbol[i]))


@inline
def fetch_results(R, i):
    """Have the room for the results of the order at `i` brought near, a line of each column."""
    gates, rows = R.measure.shape
    for g in range(gates):
        prefetch_to_write(R.measure, g * rows + i)
        prefetch_to_write(R.limit, g * rows + i)
    prefetch_to_write(R.size, i)
    prefetch_to_write(R.notional, i)
    prefetch_to_write(R.equity, i)
    prefetch_to_write(R.drawdown, i)
    if i & 63 == 0:
        for g in range(gates):
            prefetch_to_write(R.outcome, g * rows + i)
        prefetch_to_write(R.decision, i)
        prefetch_to_write(R.code, i)
        prefetch_to_write(R.code, i + 32)
        prefetch_to_write(R.gate, i)
        prefetch_to_write(R.gate, i + 32)


@inline
def fetch_columns(O, i):
    """Have the columns of the orders from `i` on brought near, a line of each."""
    prefetch(O.ts, i)
    prefetch(O.size, i)
    prefetch(O.price, i)
    if i & 15 == 0:
        prefetch(O.account, i)
        prefetch(O.strategy, i)
        prefetch(O.venue, i)
        prefetch(O.symbol, i)
    if i & 63 == 0:
        prefetch(O.side, i)
        prefetch(O.kind, i)
        prefetch(O.reduce_only, i)


@inline
def is_plain(books, b, s, reach):
    """Whether the straight way may take an order of `reach` quanta, with what is held of the symbol."""
    b, s = natural(b), natural(s)
    pos, book = books.pos, books.book
    blind = book[b, UNMARKED] + book[b, UNCOUNTED] + pos[b, s, BUYS] + pos[b, s, SELLS]
    money = abs(book[b, CASH]) + abs(book[b, VALUES]) + book[b, GROSS]
    cost = abs(pos[b, s, COST]) + abs(book[b, COSTS]) + abs(book[b, REALISED])
    return (
        (blind == 0.0)
        & ((book[b, KNOWN] == 0.0) | (book[b, EQUITY] == book[b, EQUITY]))
        & (money + cost + reach <= FAR)
    )


@inline
def added(q, exposure, side, lots, unit, gross):
    """`jit_fields.position_after` where nothing works: exposure in quanta, the order in it."""
    before = abs(q)
    signed = lots if side > 0 else -lots
    if gross:
        after = max(max(q, 0.0) + max(signed, 0.0), max(-q, 0.0) + max(-signed, 0.0))
    else:
        after = max(before, abs(q + signed))
    return exposure + quanta_up((after - before) * unit)


@inline
def loss_of(books, b, basis, equity):
    """`jit_fields.day_loss` at an equity."""
    return lost(day_start(books, b, basis), equity, books.book[b, DEPOSITS])


@inline
def loss_share(books, b, basis, equity):
    """`jit_fields.day_loss_ratio` at an equity."""
    start = day_start(books, b, basis)
    return divide(loss_of(books, b, basis, equity), start) if start > 0.0 else NAN


@inline
def fall_of(peak, equity):
    """`jit_fields.drawdown` from a peak."""
    if not peak > 0.0:
        return NAN
    return divide(lost(peak, equity, 0.0), peak)


@inline
def plainly(left, right):
    """Whether `left <= right` for finite numbers, without any tolerance."""
    return (left <= right) & (right < np.inf) & (left > -np.inf)


@inline
def nearer_plainly(measure, limit, other_measure, other_limit):
    """`jit_numbers.nearer` of finite measures."""
    part = measure if limit > 0.0 else 0.0
    whole = limit if limit > 0.0 else 1.0
    other_part = other_measure if other_limit > 0.0 else 0.0
    other_whole = other_limit if other_limit > 0.0 else 1.0
    return part * other_whole > other_part * whole


@inline
def raise_peak(peak, equity):
    """The larger of both; the equity where no peak is known."""
    return peak if equity <= peak else equity


@inline
def keep_marked(books, b, s, q, mark, value, exposure, values, gross, worth, equity, peak):
    """Store a book whose position was valued at a new mark."""
    b, s = natural(b), natural(s)
    pos, book = books.pos, books.book
    book[b, VALUES] = values
    book[b, GROSS] = gross
    book[b, EQUITY_QUANTA] = worth
    book[b, EQUITY] = equity
    book[b, PEAK] = peak
    if q != 0.0:
        pos[b, s, MARK] = mark
        _keep_sides(books, b, s, q, value, exposure)


@inline
def _keep_sides(books, b, s, q, value, exposure):
    long = exposure if q > 0.0 else 0.0
    short = exposure if q < 0.0 else 0.0
    pos = books.pos
    pos[b, s, VALUE] = value
    pos[b, s, LONG] = long
    pos[b, s, SHORT] = short
    at = natural(np.int64(books.held_at[b, s]))
    books.held_sides[b, at, 0] = long
    books.held_sides[b, at, 1] = short


@inline
def move(books, b, s, side, lots, unit, lot, q, mark, value, exposure, values, gross, peak):
    """`jit_books.apply_fill` of an order that fills at once; returns the book's worth in quanta.

    `unit` and `lot` are the money of one lot at the fill's price and at the mark; the position's value,
    its exposure and the book's sums are those before the fill.
    """
    b, s = natural(b), natural(s)
    pos, book = books.pos, books.book
    amount = lots * unit
    cash = -quanta_up(amount) if side > 0 else quanta_down(amount)
    signed = lots if side > 0 else -lots
    cost = pos[b, s, COST]
    held = abs(q)
    if q * signed < 0.0:
        closing = min(lots, held)
        part = cost if closing == held else np.rint(cost * closing / held)
        gained = cash if closing == lots else np.rint(cash * closing / lots)
        book[b, REALISED] += gained - part
        change = -part - (cash - gained)
    else:
        change = -cash
    after = q + signed
    value_after = quanta_down(after * lot)
    exposure_after = quanta_up(abs(after) * lot)
    values += value_after - value
    paid = book[b, CASH] + cash
    worth = paid + values
    equity = money_of(worth)
    peak = raise_peak(peak, equity)
    if book[b, KNOWN] == 0.0:
        worth, equity, peak = book[b, EQUITY_QUANTA], NAN, book[b, PEAK]
    pos[b, s, COST] = cost + change
    book[b, COSTS] += change
    book[b, CASH] = paid
    book[b, VALUES] = values
    book[b, GROSS] = gross + (exposure_after - exposure)
    book[b, EQUITY_QUANTA] = worth
    book[b, EQUITY] = equity
    book[b, PEAK] = peak
    pos[b, s, Q] = after
    pos[b, s, MARK] = mark if after != 0.0 else NAN
    if q == 0.0:
        hold(books, b, s)
    if after != 0.0:
        _keep_sides(books, b, s, after, value_after, exposure_after)
    else:
        pos[b, s, VALUE] = 0.0
        pos[b, s, LONG] = 0.0
        pos[b, s, SHORT] = 0.0
        let_go(books, b, s)
    return worth


@inline
def fall_from(peak, worth, total):
    """Fall of all accounts' equity from its peak; as it was while there is no peak."""
    return (peak - worth) / peak if peak > 0.0 else total[TOTAL_DRAWDOWN]


@inline
def keep_total_fall(total, worth, peak):
    """Keep the deepest fall of all accounts' equity; only where it may be one is anything divided."""
    if peak > 0.0 and peak - worth >= total[TOTAL_MAX_DRAWDOWN] * peak * (1.0 - 1e-12):
        fall = (peak - worth) / peak
        if fall > total[TOTAL_MAX_DRAWDOWN]:
            total[TOTAL_MAX_DRAWDOWN] = fall
