"""How a guard's books stand at one moment, copied so that whoever looks at them makes no order wait."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Books
from ringfence.language.linking import LinkedSet
from ringfence.runtime.evaluator import Found
from ringfence.runtime.guard_metrics import GuardMetrics
from ringfence.runtime.trading_day import TradingDay

__all__ = ["BooksCopy", "GuardStanding", "Names", "Stand"]

# What only the arrays' own upkeep, or the price and size of single orders, look at.
_LEFT_OUT = frozenset(
    {
        "holders",
        "holders_n",
        "holder_at",
        "left",
        "left_size",
        "left_chain",
        "quotes",
        "quote_prices",
        "quote_chain",
    }
)
_TIMES = ("rate_ts", "rate_what")


class Names(NamedTuple):
    """Names by their codes, and what the codes belong to.

    Attributes:
        books: By the row of their book.
        tradable: Codes of symbols that have an instrument.
        owner, version: Of the arrays; codes and rows mean the same for as long as both are the same.
    """

    accounts: tuple[str, ...]
    strategies: tuple[str, ...]
    venues: tuple[str, ...]
    symbols: tuple[str, ...]
    books: tuple[str, ...]
    tradable: tuple[int, ...]
    lot_steps: tuple[Any, ...]
    bases: tuple[str, ...]
    owner: Any
    version: int


class Stand(NamedTuple):
    """How books stood.

    Attributes:
        books: A copy, until the next one is made.
        linked: The policy set that decides, with the limits that these books are held to.
        now_ns: When.
        day_ends_ns: When the trading day is over.
        decided: What was approved since it was asked last.
    """

    books: Books
    linked: LinkedSet
    names: Names
    now_ns: int
    day_ends_ns: int
    decided: list[Found]


def _arrays(books: Books) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    arrays: Iterable[Any] = books
    return zip(Books._fields, arrays, strict=True)


class BooksCopy:
    """Room for a copy of books, used again: memory that is new to a process takes longer than copying."""

    def __init__(self) -> None:
        self._room: Books | None = None
        self._times_of: Any = None

    def of(self, books: Books) -> Books:
        """The books copied, without what only single orders are held against."""
        room = self._room
        if room is None or any(
            mine.shape != theirs.shape
            for (name, mine), (_, theirs) in zip(_arrays(room), _arrays(books), strict=True)
            if name not in _LEFT_OUT
        ):
            self._times_of = None
            room = self._room = Books(
                *(
                    _least(array) if name in _LEFT_OUT else np.empty_like(array)
                    for name, array in _arrays(books)
                )
            )._replace(quote_chain=np.full_like(books.quote_chain, -1))
        self._copy_times(room, books)
        for (name, mine), (_, theirs) in zip(_arrays(room), _arrays(books), strict=True):
            if name not in _LEFT_OUT and name not in _TIMES:
                np.copyto(mine, theirs)
        room.settings[[layout.LEFT_N, layout.QUOTES_N]] = 0
        return room

    def _copy_times(self, room: Books, books: Books) -> None:
        """What left, and when: what has come since; the ring may be long."""
        if self._times_of is not books.rate_ts:
            np.copyto(room.rate_ts, books.rate_ts)
            np.copyto(room.rate_what, books.rate_what)
            self._times_of = books.rate_ts
            return
        size = books.rate_ts.shape[1]
        for b in np.flatnonzero(books.rate_n != room.rate_n).tolist():
            first, last = int(room.rate_n[b]), int(books.rate_n[b])
            at = np.arange(max(first, last - size), last) % size
            room.rate_ts[b, at] = books.rate_ts[b, at]
            room.rate_what[b, at] = books.rate_what[b, at]


def _least(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The smallest array of its kind, with nothing in it."""
    shape = (1,) * (array.ndim - 1) + (array.shape[-1] if array.ndim > 1 else 1,)
    return np.full(shape, -1, array.dtype)


class GuardStanding(GuardMetrics):
    """What others may look at in `CentralRiskGuard`."""

    def __init__(self, *parts: Any) -> None:
        self._noted: deque[Found] | None = None
        self._names: Names | None = None
        super().__init__(*parts)

    def note_decisions(self, most: int) -> None:
        """Keep what is approved from now on for `stand`, at most so many: the oldest fall out."""
        with self._lock:
            self._noted = deque(maxlen=most)

    def stand(self, room: BooksCopy) -> Stand:
        """How the books stand now; orders wait for no more than the copy."""
        with self._lock:
            now = self._clock.now_ns()
            if not self._closed:
                now = self._keeper.advance(now)
            self._bind_anew()
            books = self._books
            decided: list[Found] = []
            if self._noted is not None:
                decided += self._noted
                self._noted.clear()
            return Stand(
                room.of(books.ledger.arrays.books),
                self.evaluator.linked,
                self._known_names(),
                now,
                TradingDay(*books.trading_day).next_start(now),
                decided,
            )

    def _known_names(self) -> Names:
        arrays, names = self._books.ledger.arrays, self._names
        if names is not None and names.owner is arrays and names.version == arrays.version:
            return names
        symbols = tuple(arrays.symbols)
        known = [arrays.instruments.get(symbol) for symbol in symbols]
        self._names = Names(
            tuple(arrays.accounts),
            tuple(arrays.strategies),
            tuple(arrays.venues),
            symbols,
            tuple(arrays.book_codes),
            tuple(code for code, each in enumerate(known) if each is not None),
            tuple(arrays.lot_step(symbol) for symbol in symbols),
            tuple("" if each is None else each.base for each in known),
            arrays,
            arrays.version,
        )
        return self._names
