"""What a live order was decided on, written as JSON by compiled code: rows of the arrays in base64.

The same text as the audit log's encoder makes of plain data (a property test holds that), in a fraction of the
time. It is on the way of every order. Of a book that an earlier record has told in full, only what is another
since is written: all rows are compared, which takes a hundredth of what writing them does.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

import numpy as np
from numba import types as nt

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.disk_cache import load_module
from ringfence.backends.numba_kernel.jit_packs import Pack, PackType
from ringfence.backends.numba_kernel.jit_told import STATE, TABLE, TOLD_WIDTH
from ringfence.backends.numba_kernel.layout import Books

__all__ = ["IN_FULL", "LARGE", "SINCE", "Copied", "LiveEvidence", "ToldTable"]

#: A book with no more symbols than this is always told in full.
LARGE = 32
#: Of a book that was told in full.
IN_FULL = -1
#: A text tells of some book that holds much only its changes.
SINCE = 2
# Written out, all numbers of a row are compared at once.
_BITS = " | ".join(
    f"(V.bits[row + np.uint64({j})] ^ C.bits[there + np.uint64({j})])"
    for j in range(layout.POS_WIDTH)
)

_FIRST_BYTES = 1 << 14

_TEXT = '''"""What a live guard calls to tell what an order was decided on."""

import numpy as np
from numba import cfunc, njit, types

from ringfence.backends.numba_kernel.jit_numbers import plain
from ringfence.backends.numba_kernel.jit_packs import Field, PackType, reader
from ringfence.backends.numba_kernel.jit_writing import base64, base64_end, copied, number, put
from ringfence.backends.numba_kernel.jit_told import STATE, TOLD_WIDTH, table_at
from ringfence.backends.numba_kernel.layout import BOOK_N_WIDTH, BOOK_WIDTH, HELD, OLDEST, POS_WIDTH, SYM_WIDTH


def fields(kind, *names):
    return [Field(name, types.Array(kind, 1, "C"), 0) for name in names]


#: Flat views of books, the quoted names of symbols with where each begins, and room for the text.
VIEWS = PackType(
    "Evidence",
    (
        *fields(types.uint8, "sym", "book", "pos", "names", "out"),
        *fields(types.int64, "sym_ts", "book_n", "name_at", "bits", "changed"),
        *fields(types.int32, "held", "orders", "at"),
        *fields(types.int8, "kill_book", "kill_venue", "kill_symbol"),
    ),
)
views_at = reader(VIEWS)
#: A book as a record has told it in full.
COPY = PackType("Copy", (*fields(types.int64, "bits"), *fields(types.int32, "held", "orders")))
copy_at = reader(COPY)

PARTS = [
    b'{"books":[', b'["firm","', b'["account","', b'["strategy","', b'","kill_symbol":', b',"kill_venue":',
    b',"market":"', b'","market_ns":', b',{"at":[', b'],"base":', b',"held":',
]
WORDS = np.frombuffer(b"".join(PARTS), np.uint8)
PLACES = np.array([sum(map(len, PARTS[:k])) for k in range(len(PARTS) + 1)])
LARGE, IN_FULL, OLDEST_NAMED, NONE_NAMED = @LARGE@, -1, 6, 2**62
ONE = np.uint64(1)
QUOTE, COMMA, OPEN, SHUT, END = (np.uint8(ord(each)) for each in '",[]}')
# The most that a row in base64, a whole number, and all that stands between them take.
MOST = 8 * (SYM_WIDTH + 3 * BOOK_WIDTH) * 4 // 3 + 800
EACH_HELD = 8 * POS_WIDTH * 4 // 3 + 24


@plain
def word(out, at, which):
    return copied(out, at, WORDS, PLACES[which], PLACES[which + 1])


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
def changes(V, table, b, level, count, width, begins, unwritten):
    """Find the places of `held` that are not as in the copy; how many, or `IN_FULL` where it is to be told in full."""
    if count <= LARGE or table == 0:
        return IN_FULL
    T = table_at(table)
    if T.told.shape[0] < (b + 1) * TOLD_WIDTH:
        return IN_FULL
    about = np.uint64(b * TOLD_WIDTH)
    copy, number, since = T.told[about], T.told[about + ONE], T.told[about + ONE + ONE]
    if copy == 0 or (number < begins and (number != 0 or unwritten == 0)):
        return IN_FULL
    C = copy_at(copy)
    before = C.held.shape[0]
    # Once as much was told since as the book holds, a new copy costs no more than it saves.
    if since >= before:
        return IN_FULL
    found, first = 0, level * width
    here, place, there = np.uint64(b * width), np.uint64(0), np.uint64(0)
    for k in range(count):
        s = np.uint64(V.held[here + place])
        row = (here + s) * np.uint64(POS_WIDTH)
        same = k < before
        if same:
            other = np.int64(np.uint64(C.held[place]) ^ s) | np.int64(C.orders[place] ^ V.orders[here + s])
            same = (other | @BITS@) == 0
        if not same:
            if 4 * found >= count:
                return IN_FULL
            V.at[np.uint64(first + found)] = k
            found += 1
        place += ONE
        there += np.uint64(POS_WIDTH)
    T.told[about + ONE + ONE] = since + found
    V.changed[np.uint64(OLDEST_NAMED)] = min(V.changed[np.uint64(OLDEST_NAMED)], number)
    V.changed[np.uint64(3 + level)] = number if number else -1 - level
    return found


@plain
def changed(V, out, at, b, level, count, width):
    """As `positions`, of the places that `changes` has found."""
    start, first = b * width, level * width
    at = put(out, at, OPEN)
    for k in range(first, first + count):
        if k > first:
            at = put(out, at, COMMA)
        s = V.held[np.uint64(start + V.at[np.uint64(k)])]
        at = copied(out, at, V.names, V.name_at[np.uint64(s)], V.name_at[np.uint64(s + 1)])
    at = put(out, put(out, put(out, at, SHUT), COMMA), QUOTE)
    carry, carried = np.uint32(0), 0
    for k in range(first, first + count):
        place = (start + V.held[np.uint64(start + V.at[np.uint64(k)])]) * 8 * POS_WIDTH
        at, carry, carried = base64(out, at, V.pos, place, 8 * POS_WIDTH, carry, carried)
    at = base64_end(out, at, carry, carried)
    at = put(out, put(out, put(out, at, QUOTE), COMMA), OPEN)
    for k in range(first, first + count):
        if k > first:
            at = put(out, at, COMMA)
        s = V.held[np.uint64(start + V.at[np.uint64(k)])]
        at = number(out, at, np.int64(V.orders[np.uint64(start + s)]))
    return put(out, at, SHUT)


@plain
def since(V, out, at, level, count, held, width):
    """Which places these are, which record is meant, and how many places there are in all."""
    at = word(out, at, 8)
    for k in range(level * width, level * width + count):
        if k > level * width:
            at = put(out, at, COMMA)
        at = number(out, at, np.int64(V.at[np.uint64(k)]))
    at = number(out, word(out, at, 9), V.changed[np.uint64(3 + level)])
    return put(out, number(out, word(out, at, 10), held), END)


@plain
def room_for(V, b, width):
    need = 0
    for k in range(b * width, b * width + V.book_n[np.uint64(b * BOOK_N_WIDTH + HELD)]):
        s = V.held[np.uint64(k)]
        need += EACH_HELD + V.name_at[np.uint64(s + 1)] - V.name_at[np.uint64(s)]
    return need


@njit(error_model="numpy", _nrt=False, cache=True)
def write(views, firm, account, strategy, s, venue, table, begins, unwritten):
    """Write the text; returns its length, or the length that `out` must have, below zero.

    `STATE` times 1 is added where a book that holds much is told in full, times 2 where one is told by its changes.
    """
    V = views_at(views)
    out, width = V.out, V.sym_ts.shape[0]
    need = MOST
    for level in range(3):
        b = firm if level == 0 else account if level == 1 else strategy
        if b >= 0:
            need += room_for(V, b, width)
    if need > out.shape[0]:
        return -need
    at, state = word(out, np.uint64(0), 0), 0
    V.changed[np.uint64(OLDEST_NAMED)] = NONE_NAMED
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
        held = V.book_n[np.uint64(counts + HELD)]
        count = changes(V, table, b, level, held, width, begins, unwritten)
        V.changed[np.uint64(level)] = count
        if count == IN_FULL:
            at = positions(V, out, at, b, held, width)
            state |= 1 if held > LARGE else 0
        else:
            state |= 2
            at = changed(V, out, at, b, level, count, width)
        at = number(out, put(out, at, COMMA), V.book_n[np.uint64(counts + OLDEST)])
        if count != IN_FULL:
            at = since(V, out, at, level, count, held, width)
        at = put(out, at, SHUT)
    at = put(out, at, SHUT)
    at = copied(out, at, WORDS, PLACES[4] + 1, PLACES[5])
    at = number(out, at, np.int64(V.kill_symbol[np.uint64(s)]))
    at = number(out, word(out, at, 5), np.int64(V.kill_venue[np.uint64(venue)]))
    at = row(out, word(out, at, 6), V.sym, s, 8 * SYM_WIDTH)
    at = number(out, word(out, at, 7), V.sym_ts[np.uint64(s)])
    return np.int64(put(out, at, END)) + state * STATE


@cfunc("i8(i8, i8, i8, i8, i8, i8, i8, i8, i8)", cache=True, error_model="numpy", _nrt=False)
def write_at(views, firm, account, strategy, s, venue, table, begins, unwritten):
    return write(views, firm, account, strategy, s, venue, table, begins, unwritten)
'''.replace("@LARGE@", str(LARGE)).replace("@BITS@", _BITS)


class Copied:
    """The rows of a book as they are now, to be compared with those of later.

    Args:
        books: The arrays.
        b: The book's row.

    Attributes:
        held: Symbols by their codes, in the book's order.
        rows: `POS_WIDTH` numbers of each, as int64 with the same bits.
        orders: How many orders of each work.
        address: Of all that, for compiled code.
    """

    __slots__ = ("_pack", "address", "held", "orders", "rows")

    def __init__(self, books: Books, b: int) -> None:
        self.held = books.held[b, : int(books.book_n[b, layout.HELD])].copy()
        self.rows = books.pos[b].view(np.int64).take(self.held, axis=0)
        self.orders = books.pos_orders[b].take(self.held)
        self._pack = Pack(_compiled().copy, [self.rows.reshape(-1), self.held, self.orders])
        self.address = self._pack.address

    @property
    def size_bytes(self) -> int:
        """What it takes of memory."""
        return int(self.held.nbytes + self.rows.nbytes + self.orders.nbytes)


class ToldTable:
    """Which books have copies, for compiled code.

    Attributes:
        address: Of the table.
    """

    def __init__(self) -> None:
        self._make(np.zeros(64 * TOLD_WIDTH, np.int64))

    def _make(self, told: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        self._told = told
        self._pack = Pack(TABLE, [told])
        self.address = self._pack.address

    def put(self, b: int, copied: Copied | None, sequence: int) -> None:
        """Note the copy of a book, None for none, and the number of the record that tells it so, 0 before it has one."""
        end = (b + 1) * TOLD_WIDTH
        if len(self._told) < end:
            self._make(np.concatenate([self._told, np.zeros(end, np.int64)]))
        self._told[end - TOLD_WIDTH : end] = (
            0 if copied is None else copied.address,
            sequence,
            0,
        )

    def number(self, b: int, sequence: int) -> None:
        """Note the number of the record that told a book as its copy has it."""
        self._told[b * TOLD_WIDTH + 1] = sequence


class LiveEvidence:
    """Writes what orders of the same arrays are decided on; made anew where the arrays are.

    Args:
        books: The arrays.
        symbols: Names of symbols, by their codes.
    """

    def __init__(self, books: Books, symbols: Sequence[str]) -> None:
        compiled = _compiled()
        self._write, self._kind = compiled.write, compiled.views
        #: Address of what writes, for compiled code.
        self.writer = compiled.write_at
        #: By the books' rows and `layout`, how much each holds.
        self.counts = books.book_n.data
        self._books, self._changed = books, np.zeros(7, np.int64)
        #: Of the text that was written last: how many places of each level's book were told, or `IN_FULL`; the records
        #: that are named; and the first of them.
        self.changed = self._changed.data
        self._width = len(books.sym_ts)
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
            "bits": books.pos.view(np.int64).reshape(-1),
            "changed": self._changed,
            "held": books.held.reshape(-1),
            "orders": books.pos_orders.reshape(-1),
            "at": np.zeros(3 * self._width, np.int32),
            "kill_book": books.kill_book,
            "kill_venue": books.kill_venue,
            "kill_symbol": books.kill_symbol,
        }
        self._bind()

    def _bind(self) -> None:
        self._pack = Pack(self._kind, list(self._arrays.values()))
        self.out: np.ndarray[tuple[int], np.dtype[np.uint8]] = self._arrays["out"]
        #: Of all that it reads and writes, `out` among it; another one where `out` had to grow.
        self.address = self._pack.address
        self._view = self.out.data

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
        return self.since(books, symbol, venue, 0, 0, False)[0]

    def since(
        self,
        books: Sequence[int],
        symbol: int,
        venue: int,
        table: int,
        begins: int,
        unwritten: bool,
    ) -> tuple[str, int]:
        """As `of`; of books that hold much and were told in full before, what is another since.

        Such a book's names, rows and numbers of orders are those of some of its places alone. Behind them stands
        `{"at": [...], "base": NUMBER, "held": N}`: which places these are, the record that told the book in full (-1, -2
        or -3 by the book's level where that has no number yet), and how many places there are in all. A book that has
        changed at more than a quarter of its places is told in full again.

        Args:
            books, symbol, venue: As for `of`.
            table: Address of a `ToldTable`; 0 for none.
            begins: Records before this one are not named.
            unwritten: Whether records are named that have no number yet.

        Returns:
            The text, and 0 where no book holds much; 1 is added where one is told in full, and `SINCE` where one is not.
        """
        found = self._write(self.address, *books, symbol, venue, table, begins, unwritten)
        if found < 0:
            self._arrays["out"] = np.zeros(-2 * found, np.uint8)
            self._bind()
            found = self._write(self.address, *books, symbol, venue, table, begins, unwritten)
        if found < STATE:
            return str(self._view[:found], "ascii"), 0
        state, length = divmod(found, STATE)
        return str(self._view[:length], "ascii"), state

    def copied(self, b: int) -> Copied:
        """A book as it is now."""
        return Copied(self._books, b)

    def places(self, level: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """The places of a book that were told last, where it was not told in full."""
        first, count = level * self._width, int(self.changed[level])
        at: np.ndarray[tuple[int], np.dtype[np.int32]] = self._arrays["at"][first : first + count]
        return at.copy()


class _Compiled(NamedTuple):
    """What writes, for Python and by its address, and how what it reads lies in memory."""

    write: Callable[..., int]
    write_at: int
    views: PackType
    copy: PackType


@lru_cache(maxsize=1)
def _compiled() -> _Compiled:
    # As `write_at` calls it, without the type of what it returns: numba keeps code by the signature as it was asked for.
    module = load_module(_TEXT, lambda made: made.write.compile((nt.int64,) * 9))
    (made,) = module.write.overloads.values()
    return _Compiled(made.entry_point, module.write_at.address, module.VIEWS, module.COPY)
