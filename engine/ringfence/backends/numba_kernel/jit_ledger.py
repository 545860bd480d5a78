"""What a ledger calls, compiled: each event moves the books of an account, its strategy and the firm.

The functions are those that a replay runs. `address` is that of the books' pack; `strategy` is -1 where
an order has none.
"""

import numpy as np

from ringfence.backends.numba_kernel import jit_books, jit_recent
from ringfence.backends.numba_kernel.jit_layout import books_at
from ringfence.backends.numba_kernel.jit_numbers import plain, quanta_down, quanta_up
from ringfence.backends.numba_kernel.layout import FX

__all__ = [
    "cancel",
    "deposit",
    "fill",
    "leave",
    "mark",
    "open_with",
    "quote",
    "release",
    "reserve",
    "reset_day",
    "withdraw",
]

FIRM = 0


@plain
def _book_of(level, account, strategy):
    if level == 0:
        return np.int64(FIRM)
    return account if level == 1 else strategy


# Compiled once each, not anew in every loop below.
@plain
def _reserve(books, b, s, side, lots):
    jit_books.reserve(books, b, s, side, lots)


@plain
def _release(books, b, s, side, lots):
    jit_books.release(books, b, s, side, lots)


@plain
def _fill(books, b, s, side, lots, working, price, fee):
    jit_books.apply_fill(books, b, s, side, lots, working, price, fee)


@plain
def reserve(address, account, strategy, s, side, lots):
    """Count an approved order as working in its books."""
    books = books_at(address)
    for level in range(3):
        b = _book_of(level, account, strategy)
        if b >= 0:
            _reserve(books, b, s, side, lots)


@plain
def release(address, account, strategy, s, side, lots):
    """Take what is left of an order that has ended out of the working lots of its books."""
    books = books_at(address)
    for level in range(3):
        b = _book_of(level, account, strategy)
        if b >= 0:
            _release(books, b, s, side, lots)


@plain
def fill(address, account, strategy, s, side, lots, working, price, fee, ends):
    """Move lots into the positions, `working` of them out of the reserved ones.

    `price` and `fee` are money of the quote currency; the fee is rounded up to a quantum.
    """
    books = books_at(address)
    quanta = quanta_up(fee * books.sym[s, FX])
    for level in range(3):
        b = _book_of(level, account, strategy)
        if b >= 0:
            _fill(books, b, s, side, lots, working, price, quanta)
            if ends != 0:
                _release(books, b, s, side, 0.0)


@plain
def mark(address, s, ts, bid, ask, last, bid_depth, ask_depth, volume):
    """Take over market data of a symbol."""
    jit_books.apply_mark(books_at(address), s, ts, bid, ask, last, bid_depth, ask_depth, volume)


@plain
def leave(address, account, strategy, s, side, lots, price, now):
    """Remember an order that left, for rates and duplicates; `price` is its own, NaN where it has none."""
    books = books_at(address)
    jit_recent.note_left(books, account, s, side, lots, price, now)
    jit_recent.note_rates(books, account, strategy, 2 * s, now)


@plain
def cancel(address, account, strategy, s, now):
    """Remember the cancel of an order that left, for rates."""
    jit_recent.note_cancel(books_at(address), account, strategy, s, now)


@plain
def quote(address, s, now):
    """Remember the present quote of a symbol."""
    jit_recent.note_quote(books_at(address), s, now)


@plain
def open_with(address, b, amount, firm):
    """Give a book the money it starts with, rounded down; `firm`: the firm's book too."""
    books = books_at(address)
    jit_books.open_book(books, b, quanta_down(amount))
    if firm != 0:
        jit_books.open_book(books, FIRM, quanta_down(amount))


@plain
def deposit(address, b, amount, firm):
    """Add money to a book, rounded down."""
    books = books_at(address)
    jit_books.move_money(books, b, quanta_down(amount))
    if firm != 0:
        jit_books.move_money(books, FIRM, quanta_down(amount))


@plain
def withdraw(address, b, amount, firm):
    """Take money out of a book, rounded up."""
    books = books_at(address)
    jit_books.move_money(books, b, -quanta_up(amount))
    if firm != 0:
        jit_books.move_money(books, FIRM, -quanta_up(amount))


@plain
def reset_day(address):
    """Start the trading day anew in every book."""
    jit_books.reset_day(books_at(address))
