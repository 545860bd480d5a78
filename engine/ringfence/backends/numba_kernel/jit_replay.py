"""What a replay does beside deciding, compiled: marks, fills, money and days in time order."""

import numpy as np

from ringfence.backends.numba_kernel.jit_books import (
    apply_fill,
    apply_mark,
    move_money,
    open_book,
    release,
    remark,
    reserve,
    reset_day,
)
from ringfence.backends.numba_kernel.jit_halts import release_halts
from ringfence.backends.numba_kernel.jit_numbers import (
    NAN,
    inline,
    money_of,
    plain,
    quanta_down,
    quanta_up,
    usable,
)
from ringfence.backends.numba_kernel.jit_recent import (
    left_full,
    note_cancel,
    note_left,
    note_quote,
    note_rates,
    quotes_full,
)
from ringfence.backends.numba_kernel.layout import (
    ASK,
    BID,
    DAY_AT,
    EARLY_FILLS,
    END_AT,
    FILL_AT,
    FILL_END,
    FREE_AT,
    FX,
    HAS_FILLS,
    LAST,
    LOT_SCALE,
    LOT_UNITS,
    MARK_AT,
    MARK_END,
    MONEY_AT,
    MONEY_END,
    NEXT_EVENT,
    OPEN_ACCOUNT,
    OPEN_CANCELLED,
    OPEN_NOW,
    OPEN_POSITION,
    OPEN_SIDE,
    OPEN_STRATEGY,
    OPEN_SYMBOL,
    STOP,
    SYM_MARK,
    TOTAL_DRAWDOWN,
    TOTAL_QUANTA,
    TOTAL_UNKNOWN,
    USES_FIRM,
    USES_LEFT,
    USES_QUOTES,
    USES_RATES,
    USES_STRATEGY,
)

__all__ = ["advance", "note_total", "rings_full", "send", "take_own_price"]

FOREVER = 2**63 - 1
# Why a replay stops: it needs more of something.
MORE_MARKS, MORE_FILLS, MORE_MONEY, MORE_DAYS, MORE_LEFT, MORE_QUOTES, MORE_OPEN = range(1, 8)


@plain
def _slot_of(events, position):
    mask = events.map_key.shape[0] - 1
    at = (position * 0x9E3779B1) & mask
    while events.map_key[at] != -1:
        if events.map_key[at] == position:
            return at
        at = (at + 1) & mask
    return -1


@plain
def _put(events, position, slot):
    mask = events.map_key.shape[0] - 1
    at = (position * 0x9E3779B1) & mask
    while events.map_key[at] != -1:
        at = (at + 1) & mask
    events.map_key[at] = position
    events.map_slot[at] = slot


@plain
def _take_out(events, at):
    """Close the gap that a removed key leaves, so that every other key is still found."""
    mask = events.map_key.shape[0] - 1
    events.map_key[at] = -1
    following = (at + 1) & mask
    while events.map_key[following] != -1:
        home = (events.map_key[following] * 0x9E3779B1) & mask
        if ((following - home) & mask) >= ((following - at) & mask):
            events.map_key[at] = events.map_key[following]
            events.map_slot[at] = events.map_slot[following]
            events.map_key[following] = -1
            at = following
        following = (following + 1) & mask


@inline
def _copy_end(heap, to, source):
    # By elements: assigning a row takes memory from the runtime.
    heap[to, 0] = heap[source, 0]
    heap[to, 1] = heap[source, 1]
    heap[to, 2] = heap[source, 2]


@plain
def _push_end(events, ts, slot, position):
    heap, at = events.ends, events.cursor[END_AT]
    events.cursor[END_AT] = at + 1
    while at > 0:
        parent = (at - 1) // 2
        if heap[parent, 0] < ts or (heap[parent, 0] == ts and heap[parent, 2] < position):
            break
        _copy_end(heap, at, parent)
        at = parent
    heap[at, 0] = ts
    heap[at, 1] = slot
    heap[at, 2] = position


@plain
def _pop_end(events):
    heap = events.ends
    count = events.cursor[END_AT] - 1
    events.cursor[END_AT] = count
    ts, slot, position = heap[count, 0], heap[count, 1], heap[count, 2]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and (
            heap[child + 1, 0] < heap[child, 0]
            or (heap[child + 1, 0] == heap[child, 0] and heap[child + 1, 2] < heap[child, 2])
        ):
            child += 1
        if ts < heap[child, 0] or (ts == heap[child, 0] and position < heap[child, 2]):
            break
        _copy_end(heap, at, child)
        at = child
    heap[at, 0] = ts
    heap[at, 1] = slot
    heap[at, 2] = position


@plain
def _done(books, events, slot, at):
    """Release what an order still reserves, and forget it."""
    order = events.open[slot]
    lots = events.open_lots[slot]
    rest = lots[1] - lots[2]
    for level in range(3):
        b = _book_of(books, events, level, order[OPEN_ACCOUNT], order[OPEN_STRATEGY])
        if b >= 0:
            release(books, b, order[OPEN_SYMBOL], order[OPEN_SIDE], rest)
    _take_out(events, at)
    free = events.cursor[FREE_AT]
    events.free[free] = slot
    events.cursor[FREE_AT] = free + 1
    events.cursor[OPEN_NOW] -= 1
    order[OPEN_POSITION] = -1


@inline
def _book_of(books, events, level, account_code, strategy_code):
    """The books that move: always the account's, the others where a gate measures them."""
    if level == 1:
        return np.int64(books.account_book[account_code])
    if level == 0:
        return np.int64(0) if events.cursor[USES_FIRM] != 0 else np.int64(-1)
    if events.cursor[USES_STRATEGY] != 0:
        return np.int64(books.strategy_book[strategy_code])
    return np.int64(-1)


@plain
def _fill(books, events, at):
    """Apply one historical fill to its order, in proportion to what was approved."""
    place = _slot_of(events, events.fill_position[at])
    if place < 0:
        return
    slot = np.int64(events.map_slot[place])
    order, lots = events.open[slot], events.open_lots[slot]
    asked, approved = lots[0], lots[1]
    lots[3] += events.fill_size[at]
    share = min(1.0, lots[3] / lots[4])
    if share > 1.0 - 1e-9:
        share = 1.0
    filled = min(approved, np.floor(share * approved + 1e-9))
    step = filled - lots[2]
    s, side = order[OPEN_SYMBOL], order[OPEN_SIDE]
    fee = events.fill_fee[at] * (approved / asked)
    quanta = quanta_up(fee * books.sym[s, FX])
    # A fill too small for a lot of what was approved still costs its fee.
    if step > 0.0 or quanta != 0.0:
        for level in range(3):
            b = _book_of(books, events, level, order[OPEN_ACCOUNT], order[OPEN_STRATEGY])
            if b >= 0:
                apply_fill(books, b, s, side, step, step, events.fill_price[at], quanta)
        lots[2] = filled
    if events.fill_last[at] != 0 or filled == approved:
        _done(books, events, slot, place)


@plain
def _money(books, events, at):
    b = np.int64(events.money_book[at])
    amount, kind = events.money_amount[at], events.money_kind[at]
    if kind == 0:
        open_book(books, b, quanta_down(amount))
        if events.money_firm[at] != 0:
            open_book(books, np.int64(0), quanta_down(amount))
        return
    quanta = quanta_down(amount) if kind == 1 else -quanta_up(amount)
    move_money(books, b, quanta)
    if events.money_firm[at] != 0:
        move_money(books, np.int64(0), quanta)


@plain
def advance(books, events, now, position):
    """Apply everything up to `now` that comes before the order at `position` of the stream.

    At one time: the new day, money, marks, then fills and ends of earlier orders.
    """
    cursor = events.cursor
    while True:
        day = events.days[cursor[DAY_AT]] if cursor[DAY_AT] < events.days.shape[0] else FOREVER
        if day == FOREVER and events.days.shape[0] > 0:
            return MORE_DAYS
        if cursor[MONEY_AT] == events.money_ts.shape[0] and cursor[MONEY_END] == 0:
            return MORE_MONEY
        if cursor[MARK_AT] == events.mark_ts.shape[0] and cursor[MARK_END] == 0:
            return MORE_MARKS
        if cursor[FILL_AT] == events.fill_ts.shape[0] and cursor[FILL_END] == 0:
            return MORE_FILLS
        money = (
            events.money_ts[cursor[MONEY_AT]]
            if cursor[MONEY_AT] < events.money_ts.shape[0]
            else FOREVER
        )
        mark = (
            events.mark_ts[cursor[MARK_AT]]
            if cursor[MARK_AT] < events.mark_ts.shape[0]
            else FOREVER
        )
        fill = (
            events.fill_ts[cursor[FILL_AT]]
            if cursor[FILL_AT] < events.fill_ts.shape[0]
            else FOREVER
        )
        end = events.ends[0, 0] if cursor[END_AT] > 0 else FOREVER
        first = min(min(min(day, money), min(mark, fill)), end)
        cursor[NEXT_EVENT] = first
        # A fill of this order or a later one follows its order; what ends at that time does not wait for it.
        waits = fill == first == now and events.fill_position[cursor[FILL_AT]] >= position
        if first > now or first == FOREVER:
            return 0
        if day == first:
            reset_day(books)
            release_halts(books, events)
            cursor[DAY_AT] += 1
        elif money == first:
            _money(books, events, cursor[MONEY_AT])
            cursor[MONEY_AT] += 1
        elif mark == first:
            if cursor[USES_QUOTES] != 0 and quotes_full(books, first):
                return MORE_QUOTES
            _mark(books, events, cursor[MARK_AT])
            cursor[MARK_AT] += 1
        elif waits and end > now:
            # The fill follows with the next order or at the end.
            return 0
        elif fill == first and not waits:
            at = cursor[FILL_AT]
            if events.fill_position[at] >= position:
                cursor[EARLY_FILLS] += 1
            else:
                _fill(books, events, at)
            cursor[FILL_AT] = at + 1
        else:
            slot, key = events.ends[0, 1], events.ends[0, 2]
            if events.open[slot, OPEN_POSITION] == key:
                if cursor[USES_RATES] != 0 and events.open[slot, OPEN_CANCELLED] != 0:
                    if left_full(books, first):
                        return MORE_LEFT
                    _cancelled(books, events.open[slot], first)
                _done(books, events, slot, _slot_of(events, key))
            _pop_end(events)


@plain
def _cancelled(books, order, now):
    """Its cancel left, in all books of the order."""
    account = np.int64(books.account_book[order[OPEN_ACCOUNT]])
    strategy = np.int64(books.strategy_book[order[OPEN_STRATEGY]])
    note_cancel(books, account, strategy, order[OPEN_SYMBOL], now)


@plain
def _mark(books, events, at):
    s = np.int64(events.mark_symbol[at])
    apply_mark(
        books,
        s,
        events.mark_ts[at],
        events.mark_bid[at],
        events.mark_ask[at],
        events.mark_last[at],
        events.mark_bid_depth[at],
        events.mark_ask_depth[at],
        events.mark_volume[at],
    )
    if events.cursor[USES_QUOTES] != 0:
        note_quote(books, s, events.mark_ts[at])


@inline
def rings_full(books, events, now):
    """Whether something must be made larger before the next order."""
    cursor = events.cursor
    if cursor[USES_LEFT] != 0 and left_full(books, now):
        return MORE_LEFT
    if cursor[HAS_FILLS] != 0 and (cursor[FREE_AT] == 0 or cursor[END_AT] == events.ends.shape[0]):
        return MORE_OPEN
    if cursor[USES_QUOTES] != 0 and quotes_full(books, now):
        return MORE_QUOTES
    return 0


@inline
def take_own_price(books, events, s, account, strategy, kind, price, now):
    """Without marks an order's own price is the quote, and the mark in the books it belongs to."""
    sym = books.sym
    if kind >= STOP and usable(sym[s, SYM_MARK]):
        return
    sym[s, BID] = price
    sym[s, ASK] = price
    sym[s, LAST] = price
    sym[s, SYM_MARK] = price
    remark(books, account, s, price)
    if events.cursor[USES_FIRM] != 0:
        remark(books, np.int64(0), s, price)
    if events.cursor[USES_STRATEGY] != 0:
        remark(books, strategy, s, price)
    if events.cursor[USES_QUOTES] != 0:
        note_quote(books, s, now)


@inline
def note_total(books, results, i):
    """The equity of all accounts together, and its fall from the peak."""
    total = books.total
    known = total[TOTAL_UNKNOWN] == 0.0
    results.equity[i] = money_of(total[TOTAL_QUANTA]) if known else NAN
    results.drawdown[i] = total[TOTAL_DRAWDOWN] if known else NAN


@inline
def send(
    books,
    events,
    fills,
    end_ts,
    cancelled,
    position,
    now,
    account_code,
    strategy_code,
    s,
    side,
    asked,
    going,
    asked_price,
    price,
):
    """An order leaves: it fills at once where no fills are given, else it works until they come.

    `asked_price` is the order's own, NaN for a market order; it would fill at `price`.
    """
    cursor = events.cursor
    account = np.int64(books.account_book[account_code])
    if cursor[USES_LEFT] != 0:
        note_left(books, account, s, side, asked, asked_price, now)
        note_rates(books, account, np.int64(books.strategy_book[strategy_code]), 2 * s, now)
    if not fills:
        apply_fill(books, account, s, side, going, 0.0, price, 0.0)
        if cursor[USES_FIRM] != 0:
            apply_fill(books, np.int64(0), s, side, going, 0.0, price, 0.0)
        if cursor[USES_STRATEGY] != 0:
            apply_fill(
                books, np.int64(books.strategy_book[strategy_code]), s, side, going, 0.0, price, 0.0
            )
        return
    # An end before the order itself can only follow it.
    ends = max(end_ts, now) if end_ts > 0 else np.int64(0)
    _work(
        books, events, ends, cancelled, position, account_code, strategy_code, s, side, asked, going
    )  # fmt: skip


@plain
def _work(
    books, events, end_ts, cancelled, position, account_code, strategy_code, s, side, asked, going
):  # fmt: skip
    cursor = events.cursor
    for level in range(3):
        b = _book_of(books, events, level, account_code, strategy_code)
        if b >= 0:
            reserve(books, b, s, side, going)
    free = cursor[FREE_AT] - 1
    slot = np.int64(events.free[free])
    cursor[FREE_AT] = free
    cursor[OPEN_NOW] += 1
    order, lots = events.open[slot], events.open_lots[slot]
    order[OPEN_POSITION] = position
    order[OPEN_ACCOUNT] = account_code
    order[OPEN_STRATEGY] = strategy_code
    order[OPEN_SYMBOL] = s
    order[OPEN_SIDE] = side
    order[OPEN_CANCELLED] = cancelled
    lots[0], lots[1], lots[2], lots[3] = asked, going, 0.0, 0.0
    lots[4] = asked * books.sym[s, LOT_UNITS] / books.sym[s, LOT_SCALE]
    _put(events, position, slot)
    if end_ts > 0:
        _push_end(events, end_ts, slot, position)
        cursor[NEXT_EVENT] = min(cursor[NEXT_EVENT], end_ts)
