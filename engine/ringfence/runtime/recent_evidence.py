"""Recent orders and quotes that a decision was made from, as JSON for an audit record."""

import binascii
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.jit_packs import Pack
from ringfence.backends.numba_kernel.layout import Books
from ringfence.backends.numba_kernel.recent_entries import entries_of, recent_entries
from ringfence.backends.numba_kernel.rings import window_ns
from ringfence.language import ir
from ringfence.language.fields import MESSAGES
from ringfence.language.linking import Bound
from ringfence.language.rules import walk
from ringfence.runtime.book_arrays import NO_BOOK

__all__ = [
    "CANCEL",
    "MOST_ENTRIES",
    "NOTHING_SINCE",
    "OF_SYMBOL",
    "Judged",
    "Looks",
    "RecentEvidence",
    "looks_of",
]

#: So many entries of one ring are shown; where a gate looked at more, that is said.
MOST_ENTRIES = 4096
#: Bits of what a message was: the cancel of an order; of the symbol of the order that was judged.
CANCEL, OF_SYMBOL = 1, 2
_LEVELS = ("firm", "account", "strategy")
#: No book was told in full before.
NOTHING_SINCE: Mapping[int, tuple[layout.Floats | None, layout.Ints]] = MappingProxyType({})
_NO_PLACES: layout.Ints = np.zeros(0, np.int32)


class Looks(NamedTuple):
    """What the gates of an order look at beside the rows of its books.

    Attributes:
        rates: Longest window in ns, for each level whose orders and cancels a gate counts.
        kinds: Whether a gate tells some of these from others.
        equal_ns: Longest window in ns of equal orders, 0 for none.
        quotes_ns: The same of earlier quotes.
        lot_money: Whether the other symbols of a book are valued anew.
    """

    rates: tuple[tuple[int, int], ...]
    kinds: bool
    equal_ns: int
    quotes_ns: int
    lot_money: bool


class Judged(NamedTuple):
    """The order that was asked about last, as far as its recent past is looked up by it."""

    looks: Looks
    account: int
    side: int
    lots: int
    price: float
    now_ns: int


def looks_of(bounds: Iterable[Bound], fields: Mapping[str, frozenset[str]]) -> Looks | None:
    """What these gates look at beside the rows; None for nothing.

    Args:
        bounds: The gates of an order.
        fields: By the key of a rule, the input fields that it reads.
    """
    rates: dict[int, int] = {}
    equal = quotes = 0
    lot_money = kinds = False
    for bound in bounds:
        used = fields.get(bound.gate.rule.key, frozenset())
        window = max((window_ns(row.values.get("window")) for row in bound.rows), default=0)
        level = _LEVELS.index(bound.gate.level)
        if not used.isdisjoint(MESSAGES):
            rates[level] = max(rates.get(level, 0), window)
            kinds = kinds or _tells_kinds(bound)
        if "order.duplicates" in used:
            equal = max(equal, window)
        if "order.price_deviation" in used:
            quotes = max(quotes, window)
        gross = any(row.values.get("working") == "gross" for row in bound.rows)
        lot_money = lot_money or gross or "book.net_exposure_after" in used
    if not (rates or equal or quotes or lot_money):
        return None
    return Looks(tuple(sorted(rates.items())), kinds, equal, quotes, lot_money)


def _tells_kinds(bound: Bound) -> bool:
    """Whether a gate does not count all messages of its book alike."""
    return any(
        isinstance(node, ir.Field)
        and (
            node.name in ("order.rate", "order.symbol_messages")
            or (node.name == "order.messages" and row.values.get("counts") == "orders")
        )
        for row in bound.rows
        for check in bound.gate.rule.checks
        if set(check.when) <= row.values.keys()
        for node in (*walk(check.measure), *walk(check.limit))
    )


class RecentEvidence:
    """Reads the rings of books, and what the lots of other symbols are worth; made anew where the arrays are.

    Args:
        books: The arrays.
        block: The same, for compiled code.
    """

    def __init__(self, books: Books, block: Pack) -> None:
        self._books, self._block = books, block
        self._room: Any = None

    def of(
        self,
        judged: Judged,
        books: Sequence[int],
        symbol: int,
        since: Mapping[int, tuple[layout.Floats | None, layout.Ints]] = NOTHING_SINCE,
    ) -> str:
        """What the gates of an order look at besides rows, as `audit_codec.encode` would write it.

        `rates` has level and times of what left (little-endian int64 in base64, as all of it), and where a gate tells
        one from another what each was (`CANCEL`, `OF_SYMBOL`; bytes), `equal` times of equal orders, `quotes` times and prices (`quote_prices`), all of them the oldest first, and
        `lot_money` for each book what a lot of each symbol is worth. `cut` where there were too many.

        Args:
            judged: The order, as it was asked about.
            books: Rows of the firm's, the account's and the strategy's book; -1 for none.
            symbol: Its code.
            since: By level, of books that an earlier record has told in full: what lots were worth there, None where
                it does not say so, and the places that are told now. Where all others are worth the same, a list stands
                for such a book, with the text of these places alone.
        """
        looks, now = judged.looks, judged.now_ns
        parts: list[str] = []
        rates: list[str] = []
        cut = False
        for level, window in looks.rates:
            if books[level] != NO_BOOK:
                b = books[level]
                count = self._left(b, now, window)
                cut = cut or count > MOST_ENTRIES
                count = min(count, MOST_ENTRIES)
                told = _text(self._last(self._books.rate_ts[b], b, count))
                if looks.kinds:
                    told += f",{_text(self._kinds(b, count, symbol))}"
                rates.append(f'["{_LEVELS[level]}",{told}]')
        if looks.equal_ns or looks.quotes_ns:
            if self._room is None:
                self._room = entries_of(MOST_ENTRIES)
            entries, room = self._room
            read, address = recent_entries(), self._block.address
        if looks.equal_ns:
            content = (books[1], symbol, judged.side, float(judged.lots), judged.price)
            count = read.equal_left(address, *content, now, looks.equal_ns, room.address)
            parts.append(f'"equal":{_text(entries.times[:count][::-1])}')
            cut = cut or count > MOST_ENTRIES
        if looks.lot_money:
            told = ",".join(
                self._lot_money_since(b, *since.get(level, (None, _NO_PLACES)))
                for level, b in enumerate(books)
                if b != NO_BOOK
            )
            parts.append(f'"lot_money":[{told}]')
        if looks.quotes_ns:
            count = read.quotes_seen(address, symbol, now, looks.quotes_ns, room.address)
            times, prices = entries.times[:count][::-1], entries.prices[:count][::-1]
            parts.append(f'"quotes":[{_text(times)},{_text(prices)}]')
            cut = cut or count > MOST_ENTRIES
        if looks.rates:
            parts.append(f'"rates":[{",".join(rates)}]')
        if cut:
            parts.insert(0, '"cut":true')
        return f"{{{','.join(parts)}}}"

    def _left(self, b: int, now: int, window: int) -> int:
        """How many messages of the book left within the window."""
        ring, total = self._books.rate_ts[b], int(self._books.rate_n[b])
        times, size = ring.data, len(ring)
        low, high = 0, min(total, size)
        while low < high:
            middle = (low + high) // 2
            if now - times[(total - 1 - middle) % size] <= window:
                low = middle + 1
            else:
                high = middle
        return low

    def _last(self, ring: Any, b: int, count: int) -> Any:
        """The last `count` entries of a book's ring, the oldest first."""
        total, size = int(self._books.rate_n[b]), len(ring)
        first, last = (total - count) % size, total % size
        if count and first >= last:
            return np.concatenate([ring[first:], ring[:last]])
        return ring[first:last] if count else ring[:0]

    def _kinds(self, b: int, count: int, symbol: int) -> layout.Bytes:
        """What each of the last `count` messages of a book was."""
        what = self._last(self._books.rate_what[b], b, count)
        of_symbol = (what >> 1 == symbol) | (what >> 1 == layout.ANY_SYMBOL)
        found: layout.Bytes = ((what & 1) * CANCEL + of_symbol * OF_SYMBOL).astype(np.uint8)
        return found

    def lot_money(self, b: int) -> layout.Floats:
        """What a lot of each symbol of a book is worth."""
        books = self._books
        held = books.held[b, : int(books.book_n[b, layout.HELD])]
        found: layout.Floats = books.sym[held, layout.LOT_MONEY]
        return found

    def _lot_money_since(self, b: int, before: layout.Floats | None, places: layout.Ints) -> str:
        now = self.lot_money(b)
        if before is None:
            return _text(now)
        other = now[: len(before)].view(np.int64) != before[: len(now)].view(np.int64)
        other[places[places < len(other)]] = False
        return _text(now) if other.any() else f"[{_text(now[places])}]"


def _text(array: layout.Floats | layout.Longs | layout.Bytes) -> str:
    return f'"{binascii.b2a_base64(array.tobytes(), newline=False).decode("ascii")}"'
