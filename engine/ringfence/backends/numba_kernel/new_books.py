"""Fresh arrays of books: nothing held, nothing known; and the trading rules of their symbols."""

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress
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
# A page that the processor finds the place of once for all that lies in it, where the system has such.
_HUGE_PAGE = 1 << 21


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
        rate_ring, left_ring, quotes_ring: Lengths of the rings of recent orders, cancels and quotes.
    """
    count, symbols, venues = len(levels), max(1, symbols), max(1, venues)
    room = _Room(
        ((count, layout.BOOK_WIDTH), np.float64),
        ((count, layout.BOOK_N_WIDTH), np.int64),
        ((count, symbols, layout.POS_WIDTH), np.float64),
        ((count, symbols), np.int32),
        ((count, symbols), np.int32),
        ((count, symbols, 2), np.float64),
    )
    book = room.next()
    for column in (layout.DAY_EQUITY, layout.DAY_BALANCE, layout.PEAK, layout.EQUITY):
        book[:, column] = math.nan
    book_n = room.next()
    book_n[:, layout.EXISTS] = 1
    book_n[:, layout.OLDEST] = np.iinfo(np.int64).max
    pos = room.next()
    pos[:, :, layout.MARK] = math.nan
    held_at = room.next()
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
        held=room.next(),
        held_sides=room.next(),
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
        rate_what=np.zeros((count, rate_ring), np.int32),
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


class _Room:
    """Memory for arrays that orders look into here and there, on as few pages as can be.

    Args:
        parts: Shapes and kinds of all of them, which are then asked for in this order.
    """

    def __init__(self, *parts: tuple[tuple[int, ...], type[np.generic]]) -> None:
        self._parts = iter(parts)
        need = sum(_size(*part) + _LINE for part in parts)
        if need < _HUGE_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
            self._bytes: npt.NDArray[np.uint8] = np.zeros(need, np.uint8)
            return
        # Private: a process that forks must not share its books with its child.
        block = mmap.mmap(-1, need + _HUGE_PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        # On a system without them all works, with more pages.
        with suppress(OSError):
            block.madvise(mmap.MADV_HUGEPAGE)
        whole = np.frombuffer(block, np.uint8)
        self._bytes = whole[-whole.ctypes.data % _HUGE_PAGE :]

    def next(self) -> npt.NDArray[Any]:
        """Zeros that begin where a line of the cache does: a row as long as one then lies in one, not in two."""
        shape, kind = next(self._parts)
        start, size = -self._bytes.ctypes.data % _LINE, _size(shape, kind)
        found = self._bytes[start : start + size].view(kind).reshape(shape)
        self._bytes = self._bytes[start + size :]
        return found


def _size(shape: tuple[int, ...], kind: type[np.generic]) -> int:
    return math.prod(shape) * np.dtype(kind).itemsize


def _no_instruments(symbols: int) -> layout.Floats:
    sym = _Room(((symbols, layout.SYM_WIDTH), np.float64)).next()
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
