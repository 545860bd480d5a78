"""What moves the books, compiled: marks, fills, reservations, money, the day's reset.

Each change of a position updates the book's sums by the difference, in whole quanta, so that they equal
sums over all positions at any time.
"""

import numpy as np

from ringfence.backends.numba_kernel.jit_numbers import (
    COUNTABLE,
    NAN,
    QUANTA,
    counted,
    inline,
    money_of,
    natural,
    plain,
    quanta_down,
    quanta_up,
    usable,
)
from ringfence.backends.numba_kernel.layout import (
    AGES,
    AGES_GIVEN,
    AGES_NONE,
    ASK,
    ASK_DEPTH,
    BID,
    BID_DEPTH,
    BUYS,
    CASH,
    COST,
    COSTS,
    DAY_BALANCE,
    DAY_EQUITY,
    DEPOSITS,
    EQUITY,
    EQUITY_QUANTA,
    FEES,
    GROSS,
    HELD,
    HELD_AGE,
    KNOWN,
    LAST,
    LONG,
    LOT_MONEY,
    MARK,
    OLDEST,
    OPEN,
    PEAK,
    REALISED,
    SELLS,
    SHORT,
    SYM_MARK,
    TOTAL_DRAWDOWN,
    TOTAL_MAX_DRAWDOWN,
    TOTAL_PEAK,
    TOTAL_QUANTA,
    TOTAL_UNKNOWN,
    UNCOUNTED,
    UNMARKED,
    VALUE,
    VALUES,
    VOLUME,
    Q,
)

__all__ = [
    "apply_fill",
    "apply_mark",
    "is_stale",
    "move_money",
    "open_book",
    "place",
    "release",
    "reserve",
    "reset_day",
]

ACCOUNT = 1
NEVER = -(2**63)


@plain
def _resum(books, b):
    """Gross exposure and value afresh: after one of them was too large to be counted."""
    gross, values = 0.0, 0.0
    for at in range(books.book_n[b, HELD]):
        s = books.held[b, at]
        long, short = books.pos[b, s, LONG], books.pos[b, s, SHORT]
        value = books.pos[b, s, VALUE]
        if long + short + value == long + short + value:
            gross += max(long, short)
            values += value
    books.book[b, GROSS] = gross
    books.book[b, VALUES] = values


@plain
def hold(books, b, s):
    at = books.book_n[b, HELD]
    books.held[b, at] = s
    books.held_at[b, s] = at
    books.book_n[b, HELD] = at + 1
    if at == 0 or books.sym_ts[s] < books.book_n[b, OLDEST]:
        books.book_n[b, OLDEST] = books.sym_ts[s]
    # Without marks nobody asks who holds a symbol.
    if books.settings[AGES] != AGES_NONE:
        at = books.holders_n[s]
        books.holders[s, at] = b
        books.holder_at[b, s] = at
        books.holders_n[s] = at + 1


@plain
def let_go(books, b, s):
    last = books.book_n[b, HELD] - 1
    at = books.held_at[b, s]
    moved = books.held[b, last]
    books.held[b, at] = moved
    books.held_sides[b, at, 0] = books.held_sides[b, last, 0]
    books.held_sides[b, at, 1] = books.held_sides[b, last, 1]
    books.held_at[b, moved] = at
    books.held_at[b, s] = -1
    books.book_n[b, HELD] = last
    if books.settings[AGES] != AGES_NONE:
        last = books.holders_n[s] - 1
        at = books.holder_at[b, s]
        other = books.holders[s, last]
        books.holders[s, at] = other
        books.holder_at[other, s] = at
        books.holder_at[b, s] = -1
        books.holders_n[s] = last


@plain
def place(books, b, s, q, buys, sells, mark):
    """Set a position, its working lots and its mark; the book's sums follow."""
    b, s = natural(b), natural(s)
    pos = books.pos
    book = books.book
    q_before, buys_before, sells_before = pos[b, s, Q], pos[b, s, BUYS], pos[b, s, SELLS]
    was_held = q_before != 0.0 or buys_before != 0.0 or sells_before != 0.0
    is_held = q != 0.0 or buys != 0.0 or sells != 0.0
    value_before, long_before, short_before = pos[b, s, VALUE], pos[b, s, LONG], pos[b, s, SHORT]
    value, long, short = 0.0, 0.0, 0.0
    marked = usable(mark)
    if is_held:
        lot = mark * books.sym[s, LOT_MONEY]
        if marked:
            value = quanta_down(q * lot) if q != 0.0 else 0.0
            long = quanta_up((q + buys) * lot) if q + buys > 0.0 else 0.0
            short = quanta_up((sells - q) * lot) if sells - q > 0.0 else 0.0
        else:
            value, long, short = NAN, NAN, NAN
    pos[b, s, Q] = q
    pos[b, s, BUYS] = buys
    pos[b, s, SELLS] = sells
    pos[b, s, VALUE] = value
    pos[b, s, LONG] = long
    pos[b, s, SHORT] = short
    gross = book[b, GROSS]
    values_before = book[b, VALUES]
    sound_before = value_before + long_before + short_before
    sound = value + long + short
    if sound_before == sound_before and sound == sound:
        book[b, VALUES] += value - value_before
        gross += max(long, short) - max(long_before, short_before)
    else:
        if sound_before == sound_before:
            book[b, VALUES] -= value_before
            gross -= max(long_before, short_before)
        elif usable(pos[b, s, MARK]):
            book[b, UNCOUNTED] -= 1.0
        else:
            book[b, UNMARKED] -= 1.0
        if sound == sound:
            book[b, VALUES] += value
            gross += max(long, short)
        elif marked:
            book[b, UNCOUNTED] += 1.0
        else:
            book[b, UNMARKED] += 1.0
    # Marks reach a book only while it holds the symbol: an old one must not wait for the next position.
    pos[b, s, MARK] = mark if is_held or not was_held else NAN
    crossed = book[b, GROSS] > COUNTABLE
    book[b, GROSS] = gross
    if was_held != is_held:
        if is_held:
            hold(books, b, s)
        else:
            let_go(books, b, s)
    if is_held:
        at = natural(np.int64(books.held_at[b, s]))
        books.held_sides[b, at, 0] = long
        books.held_sides[b, at, 1] = short
    if crossed or abs(values_before) > COUNTABLE:
        _resum(books, b)


@inline
def _revalue(books, b):
    """The book's equity and peak from cash and values.

    Unknown while a position has no value, or where a sum is too large to be exact; `EQUITY_QUANTA` then
    holds the last known equity, with the money that was moved since.
    """
    b = natural(b)
    book = books.book
    if book[b, KNOWN] == 0.0:
        return
    was_known = book[b, EQUITY] == book[b, EQUITY]
    worth = counted(book[b, CASH] + counted(book[b, VALUES]))
    of_account = books.book_level[b] == ACCOUNT
    total = books.total
    if worth == worth and book[b, UNMARKED] + book[b, UNCOUNTED] == 0.0:
        before = book[b, EQUITY_QUANTA]
        book[b, EQUITY_QUANTA] = worth
        equity = money_of(worth)
        book[b, EQUITY] = equity
        if not equity <= book[b, PEAK]:
            book[b, PEAK] = equity
        if of_account:
            if not was_known:
                total[TOTAL_UNKNOWN] -= 1.0
            total[TOTAL_QUANTA] += worth - before
            _total_peak(total)
    else:
        book[b, EQUITY] = NAN
        if of_account and was_known:
            total[TOTAL_UNKNOWN] += 1.0


@inline
def _total_peak(total):
    worth = total[TOTAL_QUANTA]
    if worth > total[TOTAL_PEAK]:
        total[TOTAL_PEAK] = worth
        total[TOTAL_DRAWDOWN] = 0.0
    elif total[TOTAL_PEAK] > 0.0:
        fall = (total[TOTAL_PEAK] - worth) / total[TOTAL_PEAK]
        total[TOTAL_DRAWDOWN] = fall
        if fall > total[TOTAL_MAX_DRAWDOWN]:
            total[TOTAL_MAX_DRAWDOWN] = fall


@inline
def remark(books, b, s, mark):
    """Value one book's position at a new mark."""
    b, s = natural(b), natural(s)
    pos = books.pos
    if books.held_at[b, s] >= 0 and pos[b, s, MARK] != mark:
        place(books, b, s, pos[b, s, Q], pos[b, s, BUYS], pos[b, s, SELLS], mark)
        _revalue(books, b)


@plain
def apply_mark(books, s, ts, bid, ask, last, bid_depth, ask_depth, volume):
    """Take over market data of a symbol, and value every book that holds it."""
    sym = books.sym
    sym[s, BID] = bid
    sym[s, ASK] = ask
    sym[s, LAST] = last
    sym[s, BID_DEPTH] = bid_depth
    sym[s, ASK_DEPTH] = ask_depth
    sym[s, VOLUME] = volume
    books.sym_ts[s] = ts
    mark = mark_of(bid, ask, last, NAN)
    sym[s, SYM_MARK] = mark
    for at in range(books.holders_n[s]):
        remark(books, np.int64(books.holders[s, at]), s, mark)


@inline
def mark_of(bid, ask, last, given):
    """The mark; without one the middle of an uncrossed bid and ask, then the last trade."""
    if usable(given):
        return given
    if usable(bid) and usable(ask) and bid <= ask:
        return (bid + ask) / 2
    return last if usable(last) else NAN


@inline
def _work(books, b, s, buys, sells, mark):
    """Set the working lots; equity is unknown while some of them have no mark."""
    book = books.book
    blind = book[b, UNMARKED] + book[b, UNCOUNTED]
    place(books, b, s, books.pos[b, s, Q], buys, sells, mark)
    if book[b, UNMARKED] + book[b, UNCOUNTED] != blind:
        _revalue(books, b)


@plain
def reserve(books, b, s, side, lots):
    """Count an approved order as working."""
    b, s = natural(b), natural(s)
    pos = books.pos
    buys, sells = pos[b, s, BUYS], pos[b, s, SELLS]
    if side > 0:
        buys += lots
    else:
        sells += lots
    mark = pos[b, s, MARK]
    if not usable(mark):
        mark = books.sym[s, SYM_MARK]
    _work(books, b, s, buys, sells, mark)
    books.pos_orders[b, s] += 1
    books.book[b, OPEN] += 1.0


@plain
def release(books, b, s, side, lots):
    """Take what is left of an order that has ended out of the working lots."""
    b, s = natural(b), natural(s)
    pos = books.pos
    buys, sells = pos[b, s, BUYS], pos[b, s, SELLS]
    if side > 0:
        buys -= lots
    else:
        sells -= lots
    _work(books, b, s, buys, sells, pos[b, s, MARK])
    books.pos_orders[b, s] -= 1
    books.book[b, OPEN] -= 1.0


@plain
def apply_fill(books, b, s, side, lots, working, price, fee):
    """Move lots into the position.

    `lots` filled of which `working` were reserved, 0 for a fee alone; `fee` in quanta. Cash pays quanta
    rounded up and gets quanta rounded down; a part of the position that closes takes its share of the
    cost, to the nearest quantum, and what remains is realised. A sum past 2**53 quanta is unknown from
    then on.
    """
    b, s = natural(b), natural(s)
    pos = books.pos
    book = books.book
    q = pos[b, s, Q]
    amount = lots * (price * books.sym[s, LOT_MONEY])
    cash = -quanta_up(amount) if side > 0 else quanta_down(amount)
    cost = pos[b, s, COST]
    if q * side < 0.0:
        closing = min(lots, abs(q))
        part = cost if closing == abs(q) else np.rint(cost * closing / abs(q))
        gained = cash if closing == lots else np.rint(cash * closing / lots)
        book[b, REALISED] = counted(book[b, REALISED] + (gained - part))
        change = -part - (cash - gained)
    else:
        change = -cash
    pos[b, s, COST] = counted(cost + change)
    book[b, COSTS] = counted(book[b, COSTS] + change)
    book[b, CASH] = counted(book[b, CASH] + (cash - fee))
    book[b, FEES] = counted(book[b, FEES] + fee)
    if lots != 0.0:
        buys, sells = pos[b, s, BUYS], pos[b, s, SELLS]
        if side > 0:
            buys -= working
        else:
            sells -= working
        mark = pos[b, s, MARK]
        if not usable(mark):
            mark = books.sym[s, SYM_MARK]
            if not usable(mark):
                mark = price
        place(books, b, s, q + side * lots, buys, sells, mark)
    _revalue(books, b)


@inline
def _shifted(money, quanta):
    """An amount of money, itself of whole quanta, with quanta added."""
    return np.rint(money * QUANTA + quanta) / QUANTA


@inline
def _moved_peak(peak, before, after):
    """The peak at which the units stand once money moved; where there were no units, it starts anew."""
    if peak != peak:
        return peak
    if peak > before > 0.0 and after > 0.0:
        return max(after, peak * (after / before))
    # At the peak it stays there, to the last digit.
    return after


@plain
def _bring(books, b, quanta):
    """Add money that is no gain: equity and peak move in step, the book's and that of all accounts."""
    book = books.book
    before = book[b, EQUITY_QUANTA]
    after = before + quanta
    book[b, CASH] = counted(book[b, CASH] + quanta)
    book[b, EQUITY_QUANTA] = after
    book[b, PEAK] = _moved_peak(book[b, PEAK], before / QUANTA, after / QUANTA)
    if books.book_level[b] == ACCOUNT:
        total = books.total
        worth = total[TOTAL_QUANTA]
        total[TOTAL_QUANTA] = worth + quanta
        total[TOTAL_PEAK] = _moved_peak(total[TOTAL_PEAK], worth, worth + quanta)
    _revalue(books, b)


@plain
def open_book(books, b, quanta):
    """Give a book the money it starts with; what it made before then is counted in.

    A book that is open already (the firm's, when a further account opens) had it from the start of the
    day: neither its drawdown nor the day's loss changes.
    """
    book = books.book
    if book[b, KNOWN] != 0.0:
        book[b, DAY_EQUITY] = _shifted(book[b, DAY_EQUITY], quanta)
        book[b, DAY_BALANCE] = _shifted(book[b, DAY_BALANCE], quanta)
        _bring(books, b, quanta)
        return
    book[b, KNOWN] = 1.0
    book[b, EQUITY_QUANTA] = 0.0
    _bring(books, b, quanta)
    book[b, DAY_EQUITY] = book[b, EQUITY]
    book[b, DAY_BALANCE] = (book[b, CASH] + book[b, COSTS]) / QUANTA
    book[b, PEAK] = book[b, EQUITY]
    book[b, DEPOSITS] = 0.0


@plain
def move_money(books, b, quanta):
    """A deposit (above zero) or withdrawal: equity and peak move in step, so no drawdown comes of it."""
    if books.book[b, KNOWN] == 0.0:
        return
    _bring(books, b, quanta)
    books.book[b, DEPOSITS] = _shifted(books.book[b, DEPOSITS], quanta)


@plain
def reset_day(books):
    """Start the trading day anew in every book."""
    book = books.book
    for b in range(book.shape[0]):
        book[b, DAY_EQUITY] = book[b, EQUITY]
        book[b, DAY_BALANCE] = (
            (book[b, CASH] + book[b, COSTS]) / QUANTA if book[b, KNOWN] != 0.0 else NAN
        )
        book[b, DEPOSITS] = 0.0


@plain
def _oldest(books, b):
    oldest = np.int64(2**63 - 1)
    for at in range(books.book_n[b, HELD]):
        oldest = min(oldest, books.sym_ts[books.held[b, at]])
    books.book_n[b, OLDEST] = oldest
    return oldest


@plain
def _given_age_above(books, b, max_age):
    for at in range(books.book_n[b, HELD]):
        if not books.sym[books.held[b, at], HELD_AGE] <= max_age:
            return True
    return False


@inline
def is_stale(books, b, now, max_age):
    """Whether a held symbol has no mark, or one older than `max_age` seconds."""
    b = natural(b)
    if books.book[b, UNMARKED] != 0.0:
        return True
    ages = books.settings[AGES]
    if ages == AGES_NONE or not max_age < np.inf or books.book_n[b, HELD] == 0:
        return False
    if ages == AGES_GIVEN:
        return _given_age_above(books, b, max_age)
    # The oldest time is a lower bound: marks only become newer. Looked up afresh where it is too old.
    # A symbol that never had a mark has no age to be reckoned.
    oldest = books.book_n[b, OLDEST]
    if oldest != NEVER and (now - oldest) / 1e9 <= max_age:
        return False
    oldest = _oldest(books, b)
    return oldest == NEVER or (now - oldest) / 1e9 > max_age
