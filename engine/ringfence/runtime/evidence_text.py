"""The evidence of a decision as JSON at once: the same that `evidence` gives as data, in a third of the time."""

import binascii
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii as _quoted

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Books
from ringfence.runtime.book_arrays import NO_BOOK

__all__ = ["EvidenceText"]

_LEVELS = ("firm", "account", "strategy")
_ROW = 8 * layout.BOOK_WIDTH
_SYMBOL_ROW = 8 * layout.SYM_WIDTH
_POS_ROW = 8 * layout.POS_WIDTH
_COUNTS = layout.BOOK_N_WIDTH
_NOTHING_HELD = '[],"",[]'
# Beyond so many symbols numpy takes rows together faster than a loop does.
_FEW = 12
_KNOWN_HOLDINGS = 4096
_b64 = binascii.b2a_base64


class EvidenceText:
    """Reads the arrays of books through views; made anew where they are.

    Args:
        books: The arrays.
        symbols: Names of symbols, by their codes.
    """

    def __init__(self, books: Books, symbols: Sequence[str]) -> None:
        self._books = books
        self._symbols = [_quoted(name) for name in symbols]
        self._rows = books.book.data.cast("B")
        self._quotes = books.sym.data.cast("B")
        self._pos = books.pos.data.cast("B")
        self._orders = books.pos_orders.data.cast("B").cast("i")
        self._held = books.held.data.cast("B")
        self._width = books.held.shape[1]
        self._times = books.sym_ts.data
        self._counts = books.book_n.data.cast("B").cast("q")
        self._kill_book = books.kill_book.data
        self._kill_venue = books.kill_venue.data
        self._kill_symbol = books.kill_symbol.data
        self._names: dict[bytes, tuple[list[int], str]] = {}

    def of(self, books: Sequence[int], symbol: int, venue: int) -> str:
        """As `Evidence.of`."""
        shown = ",".join(
            [
                f'["{level}","{_b64(self._rows[b * _ROW : (b + 1) * _ROW], newline=False).decode()}"'
                f",{self._kill_book[b]},{self._positions(b)},{self._counts[b * _COUNTS + layout.OLDEST]}]"
                for level, b in zip(_LEVELS, books, strict=True)
                if b != NO_BOOK
            ]
        )
        market = self._quotes[symbol * _SYMBOL_ROW : (symbol + 1) * _SYMBOL_ROW]
        return (
            f'{{"books":[{shown}],"kill_symbol":{self._kill_symbol[symbol]}'
            f',"kill_venue":{self._kill_venue[venue]}'
            f',"market":"{_b64(market, newline=False).decode()}","market_ns":{self._times[symbol]}}}'
        )

    def _positions(self, b: int) -> str:
        count = self._counts[b * _COUNTS + layout.HELD]
        if not count:
            return _NOTHING_HELD
        start = b * self._width
        held = bytes(self._held[4 * start : 4 * (start + count)])
        known = self._names.get(held)
        if known is None:
            known = self._new_holding(held)
        codes, names = known
        if count > _FEW:
            rows = self._books.pos[b].take(codes, axis=0).tobytes()
            orders = self._books.pos_orders[b].take(codes).tolist()
        else:
            pos = self._pos
            places = [(start + s) * _POS_ROW for s in codes]
            rows = b"".join([pos[at : at + _POS_ROW] for at in places])
            orders = [self._orders[start + s] for s in codes]
        return f'{names},"{_b64(rows, newline=False).decode()}",[{",".join(map(str, orders))}]'

    def _new_holding(self, held: bytes) -> tuple[list[int], str]:
        codes = memoryview(held).cast("i").tolist()
        found = codes, f"[{','.join([self._symbols[s] for s in codes])}]"
        if len(self._names) >= _KNOWN_HOLDINGS:
            self._names.clear()
        self._names[held] = found
        return found
