"""What a decision was made from, as plain data: what the compiled writer is held against."""

import binascii
from collections.abc import Sequence
from typing import Any

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Books
from ringfence.runtime.book_arrays import NO_BOOK

__all__ = ["Evidence"]

_LEVELS = ("firm", "account", "strategy")
_ROW = 8 * layout.BOOK_WIDTH
_SYMBOL_ROW = 8 * layout.SYM_WIDTH


class Evidence:
    """Reads the arrays of books; `symbols` are the names by their codes."""

    def __init__(self, books: Books, symbols: Sequence[str]) -> None:
        self._books, self._symbols = books, symbols
        # Bytes and elements through views: an array's own indexing takes several times as long.
        self._rows = books.book.data.cast("B")
        self._quotes = books.sym.data.cast("B")
        self._times = books.sym_ts.data
        self._counts = books.book_n.data
        self._kill_book = books.kill_book.data
        self._kill_venue = books.kill_venue.data
        self._kill_symbol = books.kill_symbol.data

    def of(self, books: Sequence[int], symbol: int, venue: int) -> dict[str, Any]:
        """As `LiveEvidence.of`, before it is encoded."""
        return {
            "market": _text(self._quotes[symbol * _SYMBOL_ROW : (symbol + 1) * _SYMBOL_ROW]),
            "market_ns": self._times[symbol],
            "kill_venue": self._kill_venue[venue],
            "kill_symbol": self._kill_symbol[symbol],
            "books": [
                [
                    level,
                    _text(self._rows[b * _ROW : (b + 1) * _ROW]),
                    self._kill_book[b],
                    *self._positions(b),
                    self._counts[b, layout.OLDEST],
                ]
                for level, b in zip(_LEVELS, books, strict=True)
                if b != NO_BOOK
            ],
        }

    def _positions(self, b: int) -> tuple[list[str], str, list[int]]:
        count = self._counts[b, layout.HELD]
        if not count:
            return [], "", []
        books = self._books
        held = books.held[b, :count]
        return (
            [self._symbols[at] for at in held.tolist()],
            _text(books.pos[b].take(held, axis=0).tobytes()),
            books.pos_orders[b].take(held).tolist(),
        )


def _text(row: bytes | memoryview) -> str:
    return binascii.b2a_base64(row, newline=False).decode("ascii")
