"""What a decision was made from, as data for an audit record."""

from collections.abc import Sequence
from typing import Any

from ringfence.backends.numba_kernel import layout
from ringfence.runtime.book_arrays import NO_BOOK, BookArrays
from ringfence.runtime.evaluator import Route

__all__ = ["evidence"]


def evidence(arrays: BookArrays, route: Route, symbols: Sequence[str]) -> dict[str, Any]:
    """Market data, switches and books of an order, in the kernel's own numbers and columns (`layout`).

    Of each book: its row (`BOOK_WIDTH`), its switch, and for every symbol that it holds the symbol's name,
    row (`POS_WIDTH`) and number of working orders. `symbols` has the names by their codes.
    """
    books, s = arrays.books, route.symbol
    shown = []
    for level, b in zip(("firm", "account", "strategy"), route.books, strict=True):
        if b == NO_BOOK:
            continue
        held = books.held[b, : books.book_n[b, layout.HELD]]
        rows = zip(
            held.tolist(),
            books.pos[b, held].tolist(),
            books.pos_orders[b, held].tolist(),
            strict=True,
        )
        shown.append(
            [
                level,
                books.book[b].tolist(),
                int(books.kill_book[b]),
                [[symbols[at], row, orders] for at, row, orders in rows],
            ]
        )
    return {
        "market": books.sym[s].tolist(),
        "market_ns": int(books.sym_ts[s]),
        "kill_venue": int(books.kill_venue[route.venue]),
        "kill_symbol": int(books.kill_symbol[s]),
        "books": shown,
    }
