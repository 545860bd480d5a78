"""What Python calls: decide one order, or replay columns of them. The same for every policy set.

Only `decide_order` belongs to a policy set's structure; it is called by its address, so that a new structure
compiles nothing of what stands here.
"""

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ringfence.backends.numba_kernel.jit_books import place
from ringfence.backends.numba_kernel.jit_fields import whole_lots
from ringfence.backends.numba_kernel.jit_halts import settle_halts
from ringfence.backends.numba_kernel.jit_layout import (
    bindings_at,
    books_at,
    events_at,
    orders_at,
    results_at,
)
from ringfence.backends.numba_kernel.jit_numbers import inline, money_of, quanta_up, usable
from ringfence.backends.numba_kernel.jit_recent import note_left
from ringfence.backends.numba_kernel.jit_replay import (
    advance,
    note_total,
    rings_full,
    send,
    take_own_price,
)
from ringfence.backends.numba_kernel.jit_rows import refusal_of, valuation_price
from ringfence.backends.numba_kernel.jit_straight import AHEAD, fetch
from ringfence.backends.numba_kernel.layout import (
    CONFIRMING,
    FIRST_ORDER,
    FROZEN,
    HALTING,
    HAS_FILLS,
    LAST_UNREADABLE,
    LOT_MONEY,
    LOT_SCALE,
    LOT_UNITS,
    NEXT_EVENT,
    OPEN,
    ORDER_AT,
    OWN_PRICES,
    STOP_AT,
)

__all__ = [
    "advance_to",
    "call_decide",
    "call_replay",
    "evaluate_one",
    "put_past_order",
    "put_position",
    "replay",
]

_REJECT = 2
_WHOLE, _NUMBER = ir.IntType(64), ir.DoubleType()
_DECIDE = ir.FunctionType(
    _NUMBER, [_WHOLE] * 13 + [_NUMBER, _WHOLE, _NUMBER, _NUMBER, _WHOLE]
).as_pointer()
_REPLAY = ir.FunctionType(_WHOLE, [_WHOLE] * 7).as_pointer()
_SIGNATURE = types.float64(
    types.int64,
    *[types.int64] * 13,
    types.float64,
    types.int64,
    types.float64,
    types.float64,
    types.int64,
)


@intrinsic
def call_decide(
    typing_context, address, books, bindings, results, details, detail, i, now, account, strategy,
    venue, s, side, kind, lots, refusal, price, value, reduce_only,
):  # fmt: skip
    """Call a policy set's `decide_order` by its address."""

    def codegen(context, builder, signature, arguments):
        function = builder.inttoptr(arguments[0], _DECIDE)
        return builder.call(function, arguments[1:])

    return _SIGNATURE, codegen


@intrinsic
def call_replay(
    typing_context, address, decide, books, bindings, results, details, columns, events
):  # fmt: skip
    """Call `replay` by its address."""

    def codegen(context, builder, signature, arguments):
        function = builder.inttoptr(arguments[0], _REPLAY)
        return builder.call(function, arguments[1:])

    return types.int64(*[types.int64] * 8), codegen


@inline
def evaluate_one(decide, books, bindings, results, details, now, account, strategy, venue, s, side, kind,
                 lots, refusal, price, value, reduce_only):  # fmt: skip
    """Decide one order on books as they are; nothing moves."""
    R = results_at(results)
    R.size[0] = call_decide(
        decide, books, bindings, results, details, 1, 0, now, account, strategy, venue, s, side, kind,
        lots, refusal, price, value, reduce_only,
    )  # fmt: skip


@inline
def put_position(books, b, s, lots, buys, sells, orders, mark):
    """Set what a book holds and has working in a symbol."""
    B = books_at(books)
    place(B, b, s, lots, buys, sells, mark)
    B.book[b, OPEN] += orders - B.pos_orders[b, s]
    B.pos_orders[b, s] = orders


@inline
def put_past_order(books, account, s, side, lots, price, ts):
    """Remember an order that left earlier; the oldest comes first."""
    note_left(books_at(books), account, s, side, lots, price, ts)


@inline
def advance_to(books, events, now, position):
    """Apply everything up to `now`; returns why it stopped, 0 where all is done."""
    return advance(books_at(books), events_at(events), now, position)


@inline
def replay(decide, books, bindings, results, details, columns, events):
    """Decide columns of orders in time order; the books follow. Returns why it stopped, 0 at the end."""
    B, R = books_at(books), results_at(results)
    O, E = orders_at(columns), events_at(events)
    cursor = E.cursor
    count = cursor[STOP_AT] if cursor[STOP_AT] != 0 else O.ts.shape[0]
    frozen = cursor[FROZEN] != 0
    own_prices = cursor[OWN_PRICES] != 0
    fills = cursor[HAS_FILLS] != 0
    sym = B.sym
    for i in range(cursor[ORDER_AT], count):
        if i + AHEAD < count:
            fetch(B, O, i + AHEAD)
        now = O.ts[i]
        if now >= cursor[NEXT_EVENT]:
            status = advance(B, E, now, cursor[FIRST_ORDER] + i)
            if status != 0:
                cursor[ORDER_AT] = i
                return status
        status = rings_full(B, E, now)
        if status != 0:
            cursor[ORDER_AT] = i
            return status
        s = np.int64(O.symbol[i])
        side, kind, price = np.int64(O.side[i]), np.int64(O.kind[i]), O.price[i]
        account, strategy = np.int64(O.account[i]), np.int64(O.strategy[i])
        if own_prices and usable(price):
            take_own_price(
                B, E, s, np.int64(B.account_book[account]), np.int64(B.strategy_book[strategy]), kind,
                price, now,
            )  # fmt: skip
        lots = whole_lots(O.size[i], sym[s, LOT_UNITS], sym[s, LOT_SCALE])
        value = valuation_price(sym, s, side, kind, price)
        refusal = np.int64(refusal_of(sym, s, kind, lots, price, value))
        allowed = call_decide(
            decide, books, bindings, results, details, 0, i, now, account, strategy,
            np.int64(O.venue[i]), s, side, kind, lots, refusal, price, value, np.int64(O.reduce_only[i]),
        )  # fmt: skip
        R.size[i] = allowed * sym[s, LOT_UNITS] / sym[s, LOT_SCALE]
        asked = lots if lots > 0.0 else O.size[i] / sym[s, LOT_UNITS] * sym[s, LOT_SCALE]
        R.notional[i] = money_of(quanta_up(asked * (value * sym[s, LOT_MONEY])))
        note_total(B, R, i)
        if cursor[HALTING] != 0 and (R.decision[i] == _REJECT or cursor[CONFIRMING] != 0):
            settle_halts(B, bindings_at(bindings), R, E, i, now, account, strategy, O.venue[i], s)
        going = lots if frozen else allowed
        at = price if usable(price) else value
        # What cannot be read or valued moves nothing: money that is unknown once stays so.
        sound = not 0 < refusal <= LAST_UNREADABLE and (fills or usable(at))
        if going > 0.0 and sound:
            send(
                B, E, fills, O.end_ts[i], np.int64(O.cancelled[i]), cursor[FIRST_ORDER] + i, now, account,
                strategy, s, side, lots, going, price, at,
            )  # fmt: skip
    cursor[ORDER_AT] = count
    return np.int64(0)
