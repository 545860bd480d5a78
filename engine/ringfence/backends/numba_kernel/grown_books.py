"""Arrays of books with room for more books and symbols; what they held stays where it was."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Books
from ringfence.backends.numba_kernel.new_books import new_books

__all__ = ["empty_books", "grown_books"]

_STRATEGY = 2


def empty_books(
    books: int,
    symbols: int,
    *,
    venues: int = 1,
    rate_ring: int = 1,
    left_ring: int = 1,
    quotes_ring: int = 1,
) -> Books:
    """Room for `books` books and `symbols` symbols, of which the firm's book alone is in use."""
    made = new_books(
        [0] + [_STRATEGY] * (books - 1),
        symbols,
        account_books=[0] * books,
        strategy_books=[0] * books,
        venues=venues,
        rate_ring=rate_ring,
        left_ring=left_ring,
        quotes_ring=quotes_ring,
    )
    made.book_n[1:, layout.EXISTS] = 0
    return made


def grown_books(old: Books, books: int, symbols: int) -> Books:
    """The same books with room for `books` books and `symbols` symbols, no fewer than before."""
    new = empty_books(
        books,
        symbols,
        venues=old.kill_venue.shape[0],
        rate_ring=old.rate_ts.shape[1],
        left_ring=old.left.shape[0],
        quotes_ring=old.quotes.shape[0],
    )
    # Its entries stand where their hash, modulo its length, has put them.
    new = new._replace(left_chain=np.empty_like(old.left_chain))
    arrays: Iterable[tuple[Any, Any]] = zip(old, new, strict=True)
    for before, after in arrays:
        after[tuple(slice(length) for length in before.shape)] = before
    return new
