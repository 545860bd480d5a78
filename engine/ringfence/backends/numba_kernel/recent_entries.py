"""Recent orders and quotes read out of the rings, and put into empty ones, compiled."""

import types
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types as nt

from ringfence.backends.numba_kernel.disk_cache import load_module
from ringfence.backends.numba_kernel.jit_packs import Field, Pack, PackType
from ringfence.backends.numba_kernel.layout import Floats, Longs

__all__ = ["Entries", "entries_of", "recent_entries"]


class Entries(NamedTuple):
    """Room for entries of a ring: times, and of quotes the middle, the last trade and the mark."""

    times: Longs
    prices: Floats  # (N, 3)


_FIELDS = (
    Field("times", nt.Array(nt.int64, 1, "C"), 0),
    Field("prices", nt.Array(nt.float64, 2, "C"), 3),
)
_TEXT = '''"""Reads and writes what the rings hold."""

from numba import njit, types

from ringfence.backends.numba_kernel import jit_recent
from ringfence.backends.numba_kernel.jit_layout import books_at
from ringfence.backends.numba_kernel.jit_packs import Field, PackType, reader
from ringfence.backends.numba_kernel.layout import (
    LEFT_ACCOUNT, LEFT_N, LEFT_PREVIOUS, LEFT_SIDE, LEFT_SYMBOL, LEFT_TS, QUOTES_N,
)

entry_point = njit(error_model="numpy", nogil=True, _nrt=False, cache=True)
entries_at = reader(
    PackType(
        "Entries",
        (
            Field("times", types.Array(types.int64, 1, "C"), 0),
            Field("prices", types.Array(types.float64, 2, "C"), 3),
        ),
    )
)


@entry_point
def equal_left(address, account, s, side, lots, price, now, window, room):
    """Times of equal orders that left at most `window` ns ago, the newest first; returns how many."""
    books, out = books_at(address), entries_at(room)
    size = books.left.shape[0]
    key = jit_recent._hash(account, s, side, lots)
    number = books.left_chain[key % type(key)(books.left_chain.shape[0])]
    count = 0
    while number >= 0 and number >= books.settings[LEFT_N] - size:
        at = number % size
        entry = books.left[at]
        if now - entry[LEFT_TS] > window:
            break
        earlier = books.left_size[at, 1]
        if (
            entry[LEFT_ACCOUNT] == account
            and entry[LEFT_SYMBOL] == s
            and entry[LEFT_SIDE] == side
            and books.left_size[at, 0] == lots
            and (earlier == price or earlier != earlier)
        ):
            if count < out.times.shape[0]:
                out.times[count] = entry[LEFT_TS]
            count += 1
        number = entry[LEFT_PREVIOUS]
    return count


@entry_point
def quotes_seen(address, s, now, window, room):
    """Quotes of a symbol at most `window` ns ago, the newest first; returns how many."""
    books, out = books_at(address), entries_at(room)
    size = books.quotes.shape[0]
    number = books.quote_chain[s]
    count = 0
    while number >= 0 and number >= books.settings[QUOTES_N] - size:
        at = number % size
        if now - books.quotes[at, 0] > window:
            break
        if count < out.times.shape[0]:
            out.times[count] = books.quotes[at, 0]
            for k in range(3):
                out.prices[count, k] = books.quote_prices[at, k]
        count += 1
        number = books.quotes[at, 1]
    return count


@entry_point
def leave_equal(address, account, s, side, lots, price, count, room):
    """Remember `count` equal orders that left, the oldest first."""
    books, given = books_at(address), entries_at(room)
    for k in range(count):
        jit_recent.note_left(books, account, s, side, lots, price, given.times[k])
'''


def entries_of(count: int) -> tuple[Entries, Pack]:
    """Room for so many entries, and its block for compiled code."""
    made = Entries(np.zeros(count, np.int64), np.zeros((count, 3)))
    return made, Pack(PackType("Entries", _FIELDS), made)


@lru_cache(maxsize=1)
def recent_entries() -> types.ModuleType:
    """The functions of the text above, compiled; each takes addresses of packs."""
    return load_module(_TEXT, _compile)


def _compile(module: types.ModuleType) -> None:
    whole, number = nt.int64, nt.float64
    module.equal_left.compile(nt.int64(*[whole] * 4, number, number, *[whole] * 3))
    module.quotes_seen.compile(nt.int64(*[whole] * 5))
    module.leave_equal.compile(nt.void(*[whole] * 4, number, number, whole, whole))
