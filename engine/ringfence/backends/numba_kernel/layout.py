"""Where the kernel's numbers lie: arrays of books, symbols and limits, and the names of their columns.

All money in `pos`, `book` and `total` is in whole quanta (a millionth of the currency) held in float64,
so that sums kept step by step equal sums taken afresh. Lots are whole numbers in float64 as well.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "Bindings",
    "Books",
    "Bytes",
    "Codes",
    "Detail",
    "Floats",
    "Ints",
    "Longs",
    "Orders",
    "Results",
    "Small",
]

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Small = npt.NDArray[np.int8]
Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int16]

# `pos`: one row, one cache line, for each book and symbol.
Q, BUYS, SELLS, MARK, VALUE, LONG, SHORT, COST = range(8)
POS_WIDTH = 8

# `book`: one row for each book.
(
    CASH,
    VALUES,
    GROSS,
    UNMARKED,
    UNCOUNTED,
    DAY_EQUITY,
    DAY_BALANCE,
    PEAK,
    DEPOSITS,
    EQUITY,
    COSTS,
    FEES,
    REALISED,
    OPEN,
    KNOWN,
    EQUITY_QUANTA,
) = range(16)
BOOK_WIDTH = 16

# `book_n`: whole numbers of each book.
HELD, OLDEST, EXISTS = range(3)
BOOK_N_WIDTH = 4

# `sym`: one row for each symbol, market data first.
(
    BID,
    ASK,
    LAST,
    GIVEN_MARK,
    SYM_MARK,
    AGE,
    HELD_AGE,
    COMPLETENESS,
    BID_DEPTH,
    ASK_DEPTH,
    VOLUME,
    LOT_MONEY,
    LOT_UNITS,
    LOT_SCALE,
    MIN_SIZE,
    MAX_SIZE,
    MIN_NOTIONAL,
    FULL_CLOSE_EXEMPT,
    TICK_UNITS,
    TICK_SCALE,
    MIN_LOTS,
    VENUE_MIN_NOTIONAL,
    MULTIPLIER,
    FX,
    STATUS,
) = range(25)
SYM_WIDTH = 32
# Values of STATUS.
TRADABLE, NO_INSTRUMENT, NO_FX = range(3)

# `left`
LEFT_TS, LEFT_ACCOUNT, LEFT_SYMBOL, LEFT_SIDE, LEFT_PREVIOUS = range(5)
LEFT_WIDTH = 5

# `rate_what`: twice the symbol's code, and one more for a cancel. In place of a code: a symbol that has none here,
# and one that is not known, which counts in every symbol.
NO_SYMBOL, ANY_SYMBOL = -1, -2

# `settings`; the last three are counts of what went through a ring, and the longest window asked of it.
AGES, LEFT_N, LEFT_WINDOW, QUOTES_N, QUOTES_WINDOW = range(5)
SETTINGS_WIDTH = 8
# Values of AGES: from the time of the mark, as given, or none (every price is fresh).
AGES_TIMED, AGES_GIVEN, AGES_NONE = range(3)

# `total`: all account books together.
TOTAL_QUANTA, TOTAL_PEAK, TOTAL_UNKNOWN, TOTAL_DRAWDOWN, TOTAL_MAX_DRAWDOWN = range(5)
TOTAL_WIDTH = 8


class Books(NamedTuple):
    """Everything that a decision depends on and that moves: B books (0 is the firm's), S symbols."""

    sym: Floats  # (S, SYM_WIDTH)
    sym_ts: Longs  # (S,) time of the market data, ns
    pos: Floats  # (B, S, POS_WIDTH)
    pos_orders: Ints  # (B, S) working orders
    book: Floats  # (B, BOOK_WIDTH)
    book_n: Longs  # (B, BOOK_N_WIDTH)
    book_level: Small  # (B,) 0 firm, 1 account, 2 strategy
    held: Ints  # (B, S) symbols of the book, the first HELD of the row
    held_sides: Floats  # (B, S, 2) LONG and SHORT of each symbol in `held`, side by side
    held_at: Ints  # (B, S) place of a symbol in `held`, -1
    holders: Ints  # (S, B) books that hold the symbol, the first `holders_n`
    holders_n: Ints  # (S,)
    holder_at: Ints  # (B, S) place of a book in `holders`
    account_book: Ints  # (A,) book of an account's code
    strategy_book: Ints  # (T,) book of a strategy's code
    kill_book: Small  # (B,) 0 active, 1 reducing, 2 halted
    kill_venue: Small  # (V,)
    kill_symbol: Small  # (S,)
    rate_ts: Longs  # (B, R) times of what left last, a ring; R is 1 where no gate asks
    rate_what: Ints  # (B, R) what it was
    rate_n: Longs  # (B,) how many left
    left: Longs  # (N, LEFT_WIDTH) orders that left, and cancels, a ring; N is 1 where no gate asks
    left_size: Floats  # (N, 2) lots, price
    left_chain: Longs  # (H,) latest order by hash, -1
    quotes: Longs  # (N, 2) time and previous quote of the symbol, a ring; N is 1 where no gate asks
    quote_prices: Floats  # (N, 3) mid, last, mark
    quote_chain: Longs  # (S,) latest quote, -1
    settings: Longs
    total: Floats


# `entry`: one row for each gate of a list of gates. CONFIRM is at how many ticks a breach must be met to halt the book,
# and CONFIRM_AT the row of `Events.confirm_n` that counts them.
SLOT, ROW, ROWS, COLUMN, FLAGS, LEVEL, CONFIRM, CONFIRM_AT = range(8)
ENTRY_WIDTH = 8
# Bits of FLAGS.
ENFORCE, REDUCES, EXEMPTS, HALTS = 1, 2, 4, 8

# `lists`; TIMED is 1 where an override changes how old data may be, STRAIGHT numbers its sequence of gates.
START, END, COVERED, TIMED, STRAIGHT = range(5)
LISTS_WIDTH = 5
# Values of COVERED.
COVERED_ALL, COVERED_PARTLY, COVERED_NOT = range(3)


class Bindings(NamedTuple):
    """The limits, as data: which list of gates binds an order, and each gate's parameters."""

    account_class: Ints
    strategy_class: Ints
    venue_class: Ints
    symbol_class: Ints
    strides: Longs  # (3,)
    bind: Ints  # list of gates by the four classes
    lists: Ints  # (L, LISTS_WIDTH)
    max_age: Floats  # (L,) seconds
    entry: Ints  # (E, ENTRY_WIDTH)
    params: Floats  # (R, W), column 0 holds the bits of the checks that bind
    # (L, ...) the parameters of a list's gates side by side, after a 1 where the clear way may read them
    by_list: Floats
    window: Longs  # (R, 2) from, until
    freshness: Floats  # (R,) seconds, inf where the gate has none
    permits: Bytes  # (K, S)
    moves: (
        Small  # (K, S, S) +1 where two symbols move together, -1 against each other; 0 for itself
    )


# `Orders.kind` (LIMIT, and further kinds of stops from STOP on).
LIMIT, MARKET, STOP = range(3)


class Orders(NamedTuple):
    """Columns of orders; names by their codes."""

    ts: Longs
    account: Ints
    strategy: Ints
    venue: Ints
    symbol: Ints
    side: Small
    kind: Small
    size: Floats  # in units of the base
    price: Floats
    reduce_only: Bytes
    end_ts: Longs
    n_fills: Ints
    cancelled: Bytes  # whether its end is a cancel


# `Detail.again` holds these for the gate that failed at a reduced size.
AGAIN_ENTRY, AGAIN_OUTCOME, AGAIN_MEASURE, AGAIN_LIMIT, AGAIN_CHECK = range(5)


class Detail(NamedTuple):
    """What a single decision tells beyond its results; G columns."""

    headroom: Floats  # (G,) lots, -1 where not looked for
    check: Ints  # (G,) the check that is shown, -1
    again: Floats  # (5,)
    stage: (
        Ints  # (1,) 1 below the minimum size, 2 below the minimum notional, 3 failed when reduced
    )


class Results(NamedTuple):
    """What was decided, one entry or column for each order."""

    decision: Small  # 0 APPROVE, 1 REDUCE_SIZE, 2 REJECT
    size: Floats
    code: Codes
    gate: Codes
    notional: Floats
    outcome: Bytes  # (G, n)
    measure: Floats  # (G, n)
    limit: Floats  # (G, n)
    equity: Floats
    drawdown: Floats


# Why an order is refused whatever its gates say, by code; 0 is none.
REFUSALS = (
    "",
    "UNKNOWN_INSTRUMENT",
    "INVALID_SIDE",
    "INVALID_TYPE",
    "INVALID_SIZE",
    "SIZE_OFF_STEP",
    "NO_FX_RATE",
    "INVALID_PRICE",
    "NO_PRICE",
    "NO_POLICY",
    "MANDATORY_GATE_MISSING",
    "REDUCE_ONLY_UNTRUE",
)
# Up to this one the gates cannot be asked.
LAST_UNREADABLE = 6
# From this one on they were asked with a price.
FIRST_GATE_REFUSAL = REFUSALS.index("NO_POLICY")
REFUSAL_COUNT = len(REFUSALS)

# `Events.cursor`; STOP_AT is the order to stop before, 0 for none. HALTING: 0 no gate halts a book, 1 each halt lasts until
# the next trading day, 2 until the end. HALTS_AT counts those of the batch, CONFIRMING the breaches that wait for ticks.
(
    ORDER_AT,
    FIRST_ORDER,
    NEXT_EVENT,
    MARK_AT,
    MARK_END,
    FILL_AT,
    FILL_END,
    MONEY_AT,
    MONEY_END,
    DAY_AT,
    END_AT,
    FREE_AT,
    OPEN_NOW,
    EARLY_FILLS,
    FROZEN,
    OWN_PRICES,
    HAS_FILLS,
    USES_FIRM,
    USES_STRATEGY,
    USES_LEFT,
    USES_QUOTES,
    STOP_AT,
    USES_RATES,
    HALTING,
    HALTS_AT,
    CONFIRMING,
) = range(26)
CURSOR_WIDTH = 32

# `Events.open`
OPEN_POSITION, OPEN_ACCOUNT, OPEN_STRATEGY, OPEN_SYMBOL, OPEN_SIDE, OPEN_CANCELLED = range(6)
OPEN_WIDTH = 6
# `Events.halts`
HALT_WIDTH = 3


class Events(NamedTuple):
    """What happens between the orders of a replay; batches of streams, and the orders that still work."""

    cursor: Longs
    mark_ts: Longs
    mark_symbol: Ints
    mark_bid: Floats
    mark_ask: Floats
    mark_last: Floats
    mark_bid_depth: Floats
    mark_ask_depth: Floats
    mark_volume: Floats
    fill_ts: Longs
    fill_position: Longs
    fill_size: Floats
    fill_price: Floats
    fill_fee: Floats
    fill_last: Bytes
    money_ts: Longs
    money_book: Ints
    money_kind: Small
    money_amount: Floats
    money_firm: Bytes  # 1 where the firm's book moves along
    days: Longs  # starts of trading days; empty where none is known yet
    open: Longs  # (N, OPEN_WIDTH) orders that work
    open_lots: Floats  # (N, 5) asked, going, filled, size filled in the history, size asked
    free: Ints  # (N,) free rows of `open`, the first FREE_AT
    map_key: Longs  # (H,) position of an order, -1
    map_slot: Ints  # (H,) its row
    ends: Longs  # (N, 3) heap of ends: time, row, position
    halts: (
        Longs  # (N, HALT_WIDTH) time, book and column of each halt of the batch, the first HALTS_AT
    )
    confirm_n: Ints  # (K, B) ticks at which a breach was met, of each gate that waits for several
    confirm_ts: Longs  # (K, B) time of the latest data at the last of them
