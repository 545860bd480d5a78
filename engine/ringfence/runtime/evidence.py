"""What a decision was made from, as data for an audit record."""

import binascii
from collections.abc import Sequence
from typing import Any

from ringfence.backends.numba_kernel import layout
from ringfence.runtime.book_arrays import NO_BOOK, BookArrays
from ringfence.runtime.evaluator import Route

__all__ = ["evidence"]

_LEVELS = ("firm", "account", "strategy")


def evidence(arrays: BookArrays, route: Route, symbols: Sequence[str]) -> dict[str, Any]:
    """Market data, switches and books of an order, in the kernel's own numbers and columns (`layout`).

    Rows are the bytes of little-endian float64 in base64: exact, NaN included, and quick to write. `market`
    is the symbol's row (`SYM_WIDTH`). Of each book that the order touches there are its level, its row
    (`BOOK_WIDTH`), its switch, and for all symbols that it holds their names, rows (`POS_WIDTH`, one after
    the other) and numbers of working orders. `symbols` has the names by their codes.
    """
    books, s = arrays.books, route.symbol
    shown: list[list[Any]] = []
    for level, b in zip(_LEVELS, route.books, strict=True):
        if b == NO_BOOK:
            continue
        about = [level, _text(books.book[b].tobytes()), int(books.kill_book[b])]
        count = int(books.book_n[b, layout.HELD])
        if count:
            held = books.held[b, :count]
            about += [
                [symbols[at] for at in held.tolist()],
                _text(books.pos[b].take(held, axis=0).tobytes()),
                books.pos_orders[b].take(held).tolist(),
            ]
        else:
            about += [[], "", []]
        shown.append(about)
    return {
        "market": _text(books.sym[s].tobytes()),
        "market_ns": int(books.sym_ts[s]),
        "kill_venue": int(books.kill_venue[route.venue]),
        "kill_symbol": int(books.kill_symbol[s]),
        "books": shown,
    }


def _text(row: bytes) -> str:
    return binascii.b2a_base64(row, newline=False).decode("ascii")
