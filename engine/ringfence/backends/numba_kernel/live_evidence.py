"""What a live order was decided on, written as JSON by compiled code: rows of the arrays in base64.

The same text as the audit log's encoder makes of plain data (a property test holds that), in a fraction of the
time. It is on the way of every order.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

import numpy as np
from numba import types as nt

from ringfence.backends.numba_kernel.disk_cache import load_module
from ringfence.backends.numba_kernel.jit_packs import Pack, PackType
from ringfence.backends.numba_kernel.layout import Books

__all__ = ["LiveEvidence"]

_FIRST_BYTES = 1 << 14

_TEXT = '''"""What a live guard calls to tell what an order was decided on."""

import numpy as np
from numba import njit, types

from ringfence.backends.numba_kernel.jit_numbers import inline, plain
from ringfence.backends.numba_kernel.jit_packs import Field, PackType, reader
from ringfence.backends.numba_kernel.layout import BOOK_N_WIDTH, BOOK_WIDTH, HELD, OLDEST, POS_WIDTH, SYM_WIDTH


def fields(kind, *names):
    return [Field(name, types.Array(kind, 1, "C"), 0) for name in names]


#: Flat views of books, the quoted names of symbols with where each begins, and room for the text.
VIEWS = PackType(
    "Evidence",
    (
        *fields(types.uint8, "sym", "book", "pos", "names", "out"),
        *fields(types.int64, "sym_ts", "book_n", "name_at"),
        *fields(types.int32, "held", "orders"),
        *fields(types.int8, "kill_book", "kill_venue", "kill_symbol"),
    ),
)
views_at = reader(VIEWS)

DIGITS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
PARTS = [
    b'{"books":[', b'["firm","', b'["account","', b'["strategy","', b'","kill_symbol":', b',"kill_venue":',
    b',"market":"', b'","market_ns":',
]
WORDS = np.frombuffer(b"".join(PARTS), np.uint8)
PLACES = np.array([sum(map(len, PARTS[:k])) for k in range(len(PARTS) + 1)])
QUOTE, COMMA, OPEN, SHUT, END, MINUS, PAD, ZERO = (np.uint8(ord(each)) for each in '",[]}-=0')
# The most that a row in base64, a whole number, and all that stands between them take.
MOST = 8 * (SYM_WIDTH + 3 * BOOK_WIDTH) * 4 // 3 + 400
EACH_HELD = 8 * POS_WIDTH * 4 // 3 + 24


@inline
def put(out, at, byte):
    out[at] = byte
    return at + np.uint64(1)


@plain
def copied(out, at, source, start, end):
    for k in range(np.uint64(start), np.uint64(end)):
        out[at] = source[k]
        at += np.uint64(1)
    return at


@plain
def word(out, at, which):
    return copied(out, at, WORDS, PLACES[which], PLACES[which + 1])


@plain
def number(out, at, value):
    left = np.uint64(value)
    if value < 0:
        at = put(out, at, MINUS)
        left = np.uint64(-(value + 1)) + np.uint64(1)
    length, rest = np.uint64(1), left
    while rest >= np.uint64(10):
        rest //= np.uint64(10)
        length += np.uint64(1)
    for k in range(length):
        out[at + length - np.uint64(1) - k] = ZERO + np.uint8(left % np.uint64(10))
        left //= np.uint64(10)
    return at + length


@inline
def bits(out, at, value, count):
    for k in range(count):
        out[at + np.uint64(k)] = DIGITS[(value >> np.uint32(18 - 6 * k)) & np.uint32(63)]
    return at + np.uint64(count)


@plain
def base64(out, at, source, start, length, carry, carried):
    """The bytes, after `carried` (0 to 2) that wait in `carry`; returns what waits then."""
    for k in range(np.uint64(start), np.uint64(start + length)):
        carry = (carry << np.uint32(8)) | np.uint32(source[k])
        carried += 1
        if carried == 3:
            at = bits(out, at, carry, 4)
            carry, carried = np.uint32(0), 0
    return at, carry, carried


@plain
def base64_end(out, at, carry, carried):
    if carried:
        at = bits(out, at, carry << np.uint32(8 * (3 - carried)), 1 + carried)
        for _ in range(3 - carried):
            at = put(out, at, PAD)
    return at


@plain
def row(out, at, source, index, width):
    at, carry, carried = base64(out, at, source, index * width, width, np.uint32(0), 0)
    return base64_end(out, at, carry, carried)


@plain
def positions(V, out, at, b, count, width):
    start = b * width
    at = put(out, at, OPEN)
    for k in range(start, start + count):
        if k > start:
            at = put(out, at, COMMA)
        s = V.held[np.uint64(k)]
        at = copied(out, at, V.names, V.name_at[np.uint64(s)], V.name_at[np.uint64(s + 1)])
    at = put(out, put(out, put(out, at, SHUT), COMMA), QUOTE)
    carry, carried = np.uint32(0), 0
    for k in range(start, start + count):
        place = (start + V.held[np.uint64(k)]) * 8 * POS_WIDTH
        at, carry, carried = base64(out, at, V.pos, place, 8 * POS_WIDTH, carry, carried)
    at = base64_end(out, at, carry, carried)
    at = put(out, put(out, put(out, at, QUOTE), COMMA), OPEN)
    for k in range(start, start + count):
        if k > start:
            at = put(out, at, COMMA)
        at = number(out, at, np.int64(V.orders[np.uint64(start + V.held[np.uint64(k)])]))
    return put(out, at, SHUT)


@plain
def room_for(V, b, width):
    need = 0
    for k in range(b * width, b * width + V.book_n[np.uint64(b * BOOK_N_WIDTH + HELD)]):
        s = V.held[np.uint64(k)]
        need += EACH_HELD + V.name_at[np.uint64(s + 1)] - V.name_at[np.uint64(s)]
    return need


@njit(error_model="numpy", _nrt=False, cache=True)
def write(views, firm, account, strategy, s, venue):
    """Write the text; returns its length, or the length that `out` must have, below zero."""
    V = views_at(views)
    out, width = V.out, V.sym_ts.shape[0]
    need = MOST
    for level in range(3):
        b = firm if level == 0 else account if level == 1 else strategy
        if b >= 0:
            need += room_for(V, b, width)
    if need > out.shape[0]:
        return -need
    at = word(out, np.uint64(0), 0)
    for level in range(3):
        b = firm if level == 0 else account if level == 1 else strategy
        if b < 0:
            continue
        if level > 0:
            at = put(out, at, COMMA)
        at = row(out, word(out, at, 1 + level), V.book, b, 8 * BOOK_WIDTH)
        at = put(out, put(out, at, QUOTE), COMMA)
        at = put(out, number(out, at, np.int64(V.kill_book[np.uint64(b)])), COMMA)
        counts = b * BOOK_N_WIDTH
        at = positions(V, out, at, b, V.book_n[np.uint64(counts + HELD)], width)
        at = number(out, put(out, at, COMMA), V.book_n[np.uint64(counts + OLDEST)])
        at = put(out, at, SHUT)
    at = put(out, at, SHUT)
    at = copied(out, at, WORDS, PLACES[4] + 1, PLACES[5])
    at = number(out, at, np.int64(V.kill_symbol[np.uint64(s)]))
    at = number(out, word(out, at, 5), np.int64(V.kill_venue[np.uint64(venue)]))
    at = row(out, word(out, at, 6), V.sym, s, 8 * SYM_WIDTH)
    at = number(out, word(out, at, 7), V.sym_ts[np.uint64(s)])
    return np.int64(put(out, at, END))
'''


class LiveEvidence:
    """Writes what orders of the same arrays are decided on; made anew where the arrays are.

    Args:
        books: The arrays.
        symbols: Names of symbols, by their codes.
    """

    def __init__(self, books: Books, symbols: Sequence[str]) -> None:
        self._write, self._kind = _compiled()
        # Symbols that the arrays have room for, and nobody has named, have no name.
        names = [encode_basestring_ascii(name).encode("ascii") for name in symbols]
        names += [b""] * (len(books.sym_ts) - len(names))
        ends = np.cumsum([0, *map(len, names)], dtype=np.int64)
        self._arrays: dict[str, Any] = {
            "sym": books.sym.view(np.uint8).reshape(-1),
            "book": books.book.view(np.uint8).reshape(-1),
            "pos": books.pos.view(np.uint8).reshape(-1),
            "names": np.frombuffer(bytearray(b"".join(names) or b" "), np.uint8),
            "out": np.zeros(_FIRST_BYTES, np.uint8),
            "sym_ts": books.sym_ts,
            "book_n": books.book_n.reshape(-1),
            "name_at": ends,
            "held": books.held.reshape(-1),
            "orders": books.pos_orders.reshape(-1),
            "kill_book": books.kill_book,
            "kill_venue": books.kill_venue,
            "kill_symbol": books.kill_symbol,
        }
        self._bind()

    def _bind(self) -> None:
        self._pack = Pack(self._kind, list(self._arrays.values()))
        self._address = self._pack.address
        self._view = self._arrays["out"].data

    def of(self, books: Sequence[int], symbol: int, venue: int) -> str:
        """Market data, switches and books of an order, in the kernel's own numbers and columns (`layout`).

        Rows are the bytes of little-endian float64 in base64: exact, NaN included, and quick to write.
        `market` is the symbol's row (`SYM_WIDTH`). Of each book that the order touches there are its level,
        its row (`BOOK_WIDTH`), its switch, for all symbols that it holds their names, rows (`POS_WIDTH`,
        one after the other) and numbers of working orders, and how old a mark may at most be (`OLDEST`).

        Args:
            books: Rows of the firm's, the account's and the strategy's book; -1 for none.
            symbol, venue: Their codes.
        """
        length = self._write(self._address, *books, symbol, venue)
        if length < 0:
            self._arrays["out"] = np.zeros(-2 * length, np.uint8)
            self._bind()
            length = self._write(self._address, *books, symbol, venue)
        return str(self._view[:length], "ascii")


@lru_cache(maxsize=1)
def _compiled() -> tuple[Callable[..., int], PackType]:
    module = load_module(_TEXT, lambda made: made.write.compile(nt.int64(*[nt.int64] * 6)))
    (made,) = module.write.overloads.values()
    return made.entry_point, module.VIEWS
