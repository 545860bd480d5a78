"""Fresh arrays of books: nothing held, nothing known; and the trading rules of their symbols."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Books
from ringfence.language.orders import Instrument, step_digits

__all__ = ["NEVER", "UNBOUNDED", "new_books", "set_instrument"]

#: The time of market data that was never seen.
NEVER = -(2**63)
#: A largest size where the venue has none.
UNBOUNDED = 1e300
# Bytes that a processor fetches at once.
_LINE = 64


def new_books(
    levels: Sequence[int],
    symbols: int,
    *,
    account_books: Sequence[int],
    strategy_books: Sequence[int],
    venues: int,
    rate_ring: int = 1,
    left_ring: int = 1,
    quotes_ring: int = 1,
) -> Books:
    """Arrays for `len(levels)` books and `symbols` symbols.

    Args:
        levels: Of each book: 0 firm, 1 account, 2 strategy. Book 0 is the firm's.
        symbols: How many symbols there are.
        account_books, strategy_books: Book of each account's and each strategy's code.
        venues: How many venues there are.
        rate_ring, left_ring, quotes_ring: Lengths of the rings of recent orders and quotes.
    """
    count, symbols, venues = len(levels), max(1, symbols), max(1, venues)
    book = _on_lines((count, layout.BOOK_WIDTH), np.float64)
    for column in (layout.DAY_EQUITY, layout.DAY_BALANCE, layout.PEAK, layout.EQUITY):
        book[:, column] = math.nan
    book_n = _on_lines((count, layout.BOOK_N_WIDTH), np.int64)
    book_n[:, layout.EXISTS] = 1
    book_n[:, layout.OLDEST] = np.iinfo(np.int64).max
    pos = _on_lines((count, symbols, layout.POS_WIDTH), np.float64)
    pos[:, :, layout.MARK] = math.nan
    held_at = _on_lines((count, symbols), np.int32)
    held_at.fill(-1)
    total = np.zeros(layout.TOTAL_WIDTH)
    total[layout.TOTAL_UNKNOWN] = sum(level == 1 for level in levels)
    return Books(
        sym=_no_instruments(symbols),
        sym_ts=np.full(symbols, NEVER, np.int64),
        pos=pos,
        pos_orders=np.zeros((count, symbols), np.int32),
        book=book,
        book_n=book_n,
        book_level=np.array(levels, np.int8),
        held=_on_lines((count, symbols), np.int32),
        held_sides=_on_lines((count, symbols, 2), np.float64),
        held_at=held_at,
        holders=np.zeros((symbols, count), np.int32),
        holders_n=np.zeros(symbols, np.int32),
        holder_at=np.full((count, symbols), -1, np.int32),
        account_book=np.array(account_books or [0], np.int32),
        strategy_book=np.array(strategy_books or [0], np.int32),
        kill_book=np.zeros(count, np.int8),
        kill_venue=np.zeros(venues, np.int8),
        kill_symbol=np.zeros(symbols, np.int8),
        rate_ts=np.full((count, rate_ring), NEVER, np.int64),
        rate_n=np.zeros(count, np.int64),
        left=np.zeros((left_ring, layout.LEFT_WIDTH), np.int64),
        left_size=np.zeros((left_ring, 2)),
        left_chain=np.full(max(1, 2 * left_ring), -1, np.int64),
        quotes=np.zeros((quotes_ring, 2), np.int64),
        quote_prices=np.zeros((quotes_ring, 3)),
        quote_chain=np.full(symbols, -1, np.int64),
        settings=np.zeros(layout.SETTINGS_WIDTH, np.int64),
        total=total,
    )


def _on_lines(shape: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
    """Zeros that begin where a line of the cache does: a row as long as one then lies in one, not in two."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    room = np.zeros(size + _LINE, np.uint8)
    start = -room.ctypes.data % _LINE
    return room[start : start + size].view(kind).reshape(shape)


def _no_instruments(symbols: int) -> layout.Floats:
    sym = _on_lines((symbols, layout.SYM_WIDTH), np.float64)
    sym[:, : layout.VOLUME + 1] = math.nan
    sym[:, layout.HELD_AGE] = 0.0
    sym[:, layout.FX] = 1.0
    sym[:, layout.MAX_SIZE] = UNBOUNDED
    sym[:, layout.LOT_UNITS] = sym[:, layout.LOT_SCALE] = 1.0
    sym[:, layout.STATUS] = layout.NO_INSTRUMENT
    return sym


def set_instrument(books: Books, s: int, instrument: Instrument, fx: float | None) -> None:
    """Set the trading rules of a symbol.

    Args:
        books: The arrays.
        s: The symbol's code.
        instrument: Its rules.
        fx: From its quote currency into the policy set's; None where no rate is declared.
    """
    rate = math.nan if fx is None else fx
    units, places = step_digits(instrument.lot_step)
    least = instrument.min_size or instrument.lot_step
    row = books.sym[s]
    row[layout.LOT_MONEY] = float(instrument.lot_step) * instrument.multiplier * rate
    row[layout.LOT_UNITS] = units
    row[layout.LOT_SCALE] = 10.0**places
    row[layout.MIN_SIZE] = float(least)
    row[layout.MIN_LOTS] = math.ceil(least / instrument.lot_step)
    row[layout.MAX_SIZE] = float(instrument.max_size or UNBOUNDED)
    row[layout.MIN_NOTIONAL] = instrument.min_notional * rate
    row[layout.VENUE_MIN_NOTIONAL] = instrument.min_notional
    row[layout.FULL_CLOSE_EXEMPT] = float(instrument.full_close_exempt)
    row[layout.MULTIPLIER] = instrument.multiplier
    row[layout.FX] = rate
    if instrument.tick_size is not None:
        units, places = step_digits(instrument.tick_size)
        row[layout.TICK_UNITS], row[layout.TICK_SCALE] = units, 10.0**places
    row[layout.STATUS] = layout.TRADABLE if fx is not None else layout.NO_FX
