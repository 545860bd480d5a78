"""Arrays that hold just what one order was judged on, put there from its record and taken out again.

Whatever the names of account and strategy, their books are the same two rows: a log of ten thousand
accounts takes no more room than one of a single account.
"""

import math
from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.grown_books import grown_books
from ringfence.backends.numba_kernel.layout import Books
from ringfence.backends.numba_kernel.new_books import NEVER
from ringfence.backends.numba_kernel.recent_entries import entries_of, recent_entries
from ringfence.errors import InputError
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Instrument
from ringfence.runtime.asked import Asked
from ringfence.runtime.book_arrays import BookArrays
from ringfence.runtime.evaluator import gate_needs
from ringfence.runtime.evidence_read import Shown, ShownBook
from ringfence.runtime.recent_evidence import CANCEL, MOST_ENTRIES, OF_SYMBOL

__all__ = ["DerivedBooks"]

_ACCOUNT, _STRATEGY, _NO_STRATEGY = 1, 2, 3
_LATE = 2**63 - 1
_RULES = slice(layout.LOT_MONEY, layout.STATUS + 1)


class DerivedBooks(BookArrays):
    """Books of the firm, one account and one strategy, for every name that is known.

    Args:
        linked: The policy set whose instruments, rates and names they have.
    """

    def __init__(self, linked: LinkedSet) -> None:
        self._rows = {"account": np.zeros(8, np.int32), "strategy": np.zeros(8, np.int32)}
        super().__init__(linked.currency, linked.desk.fx)
        self.books.book_level[:4] = (0, 1, 2, 2)
        self.books.book_n[:4, layout.EXISTS] = (1, 1, 1, 0)
        desk = linked.desk
        self._linked = linked
        for instrument in desk.instruments.values():
            self.declare(instrument)
        self._own = frozenset(desk.instruments)
        self.no_strategy()
        self._gates_need = gate_needs(linked)
        self._base = self.books.sym
        self._held: list[tuple[int, np.ndarray[tuple[int], np.dtype[np.intp]]]] = []
        self._room = entries_of(MOST_ENTRIES)
        self.know(desk.accounts, desk.strategies, desk.venues, ())

    def know(
        self,
        accounts: Iterable[str],
        strategies: Iterable[str],
        venues: Iterable[str],
        symbols: Iterable[str],
    ) -> None:
        """Take in names; many at once, for the limits are bound anew after each call with a new one."""
        for name in accounts:
            self.account(name)
        for name in strategies:
            self.strategy(name)
        for name in symbols:
            self.symbol(name)
        self.fit(venues, self._gates_need)
        books = self.books
        if 1 < books.rate_ts.shape[1] < MOST_ENTRIES:
            shape = (books.rate_ts.shape[0], MOST_ENTRIES)
            books = books._replace(
                rate_ts=np.full(shape, NEVER, np.int64), rate_what=np.zeros(shape, np.int32)
            )
        if 1 < books.left.shape[0] < MOST_ENTRIES:
            books = books._replace(
                left=np.zeros((MOST_ENTRIES, layout.LEFT_WIDTH), np.int64),
                left_size=np.zeros((MOST_ENTRIES, 2)),
            )
        if books is not self.books:
            self._take(books)
        if len(self._base) != len(self.symbols):
            self.books.sym_ts[:] = _LATE
            self._base = self.books.sym[: len(self.symbols)].copy()

    def _new_row(self, kind: str, own: str) -> int:
        names = self.accounts if kind == "account" else self.strategies
        rows = self._rows[kind]
        row = _ACCOUNT if kind == "account" else _STRATEGY if own else _NO_STRATEGY
        if len(names) == len(rows):
            rows = self._rows[kind] = np.concatenate([rows, rows])
            self._take(self.books)
        rows[len(names)] = row
        names[own] = len(names)
        self.book_codes[f"{kind}/{own}"] = row
        self.version += 1
        return row

    def _grow(self, books: int, symbols: int) -> None:
        del books  # there are never more
        one = np.zeros(1, np.int32)
        self._take(
            grown_books(
                self.books._replace(account_book=one, strategy_book=one),
                self.books.book.shape[0],
                symbols,
            )
        )

    def _take(self, books: Books) -> None:
        rows = self._rows
        super()._take(books._replace(account_book=rows["account"], strategy_book=rows["strategy"]))

    def put(self, shown: Shown, asked: Asked, lots: int) -> None:
        """Let the books be as the record shows them; names are known.

        Args:
            shown: The evidence of a record.
            asked: Its order.
            lots: Its size.

        Raises:
            InputError: they cannot be such books.
        """
        if bool(asked.strategy) != (shown.book(_STRATEGY) is not None):
            raise InputError("the evidence is not of the books that the order touches")
        books, s = self.books, self.symbols[asked.symbol]
        books.sym[s] = shown.market
        books.kill_symbol[s] = shown.kill_symbol
        books.kill_venue[self.venues[asked.venue]] = shown.kill_venue
        for book in shown.books:
            self._put_book(book)
        books.sym[s, _RULES] = shown.market[_RULES]
        books.sym_ts[s] = shown.market_ns
        for level, times in shown.rates.items():
            ring = books.rate_ts[level]
            if len(times) > len(ring):
                raise InputError("the evidence shows orders that no gate counts")
            ring[: len(times)] = times
            books.rate_what[level, : len(times)] = _what(shown.kinds.get(level), s)
            books.rate_n[level] = len(times)
        if len(shown.equal):
            entries, room = self._room
            if len(shown.equal) > books.left.shape[0]:
                raise InputError("the evidence shows orders that no gate compares")
            entries.times[: len(shown.equal)] = shown.equal
            content = (_ACCOUNT, s, asked.side, float(lots), asked.price)
            recent_entries().leave_equal(
                self.pack.address, *content, len(shown.equal), room.address
            )
        count = len(shown.quote_times)
        if count:
            if count > books.quotes.shape[0]:
                raise InputError("the evidence shows quotes that no gate looks at")
            books.quotes[:count, 0] = shown.quote_times
            books.quotes[:count, 1] = np.arange(-1, count - 1)
            books.quote_prices[:count] = shown.quote_prices
            books.quote_chain[s] = count - 1
            books.settings[layout.QUOTES_N] = count

    def _put_book(self, book: ShownBook) -> None:
        books, b = self.books, book.level
        count = len(book.symbols)
        books.book[b] = book.row
        books.kill_book[b] = book.kill
        books.book_n[b, layout.HELD], books.book_n[b, layout.OLDEST] = count, book.oldest
        if not count:
            return
        codes = np.array([self.symbols[each] for each in book.symbols], np.intp)
        self._held.append((b, codes))
        books.pos[b, codes] = book.pos
        books.pos_orders[b, codes] = book.orders
        books.held[b, :count] = codes
        books.held_sides[b, :count] = book.pos[:, layout.LONG : layout.SHORT + 1]
        books.held_at[b, codes] = np.arange(count)
        # Where a mark is too old the bound is the time of the oldest: then all of them may be that old.
        books.sym_ts[codes] = np.minimum(books.sym_ts[codes], book.oldest)
        if book.lot_money is not None:
            books.sym[codes, layout.LOT_MONEY] = book.lot_money

    def clear(self, asked: Asked) -> None:
        """Take out what `put` put there."""
        books, s = self.books, self.symbols[asked.symbol]
        for b, codes in self._held:
            count = len(codes)
            books.pos[b, codes] = 0.0
            books.pos[b, codes, layout.MARK] = math.nan
            books.pos_orders[b, codes] = 0
            books.held_sides[b, :count] = 0.0
            books.held_at[b, codes] = -1
            books.sym_ts[codes] = _LATE
            books.sym[codes] = self._base[codes]
        self._held.clear()
        books.book_n[:3, layout.HELD] = 0
        books.sym[s], books.sym_ts[s] = self._base[s], _LATE
        books.kill_book[:3] = 0
        books.kill_symbol[s] = books.kill_venue[self.venues[asked.venue]] = 0
        books.rate_n[:3] = 0
        if books.settings[layout.LEFT_N]:
            books.left_chain.fill(-1)
        books.quote_chain[s] = -1
        books.settings[layout.LEFT_N] = books.settings[layout.QUOTES_N] = 0

    def fits(self, shown: Shown, symbol: str) -> bool:
        """Whether the trading rules in the symbol's row are those of the policy set.

        A symbol that the set does not declare is taken as the row has it.
        """
        row = shown.market
        if symbol in self._own:
            own = self._base[self.symbols[symbol], _RULES]
            return own.tobytes() == row[_RULES].tobytes()
        self.instruments[symbol] = _instrument(symbol, row)
        return True


def _what(kinds: layout.Bytes | None, symbol: int) -> layout.Ints | int:
    """What messages were, as the ring has it; all of them orders where it does not matter."""
    if kinds is None:
        return 2 * layout.NO_SYMBOL
    codes = np.where(kinds & OF_SYMBOL, symbol, layout.NO_SYMBOL)
    found: layout.Ints = (2 * codes + (kinds & CANCEL)).astype(np.int32)
    return found


def _instrument(symbol: str, row: layout.Floats) -> Instrument:
    """The trading rules in a row."""

    def exact(value: float) -> Decimal:
        return Decimal(repr(float(value)))

    try:
        return Instrument(
            symbol,
            lot_step=_step(row[layout.LOT_UNITS], row[layout.LOT_SCALE]),
            min_size=exact(row[layout.MIN_SIZE]),
            max_size=exact(row[layout.MAX_SIZE]),
            tick_size=(
                _step(row[layout.TICK_UNITS], row[layout.TICK_SCALE])
                if row[layout.TICK_UNITS]
                else None
            ),
            multiplier=float(row[layout.MULTIPLIER]),
            min_notional=float(row[layout.VENUE_MIN_NOTIONAL]),
            full_close_exempt=bool(row[layout.FULL_CLOSE_EXEMPT]),
            fx=float(row[layout.FX]),
        )
    except (ValueError, ArithmeticError):
        raise InputError(f"the evidence shows no trading rules of `{symbol}`") from None


def _step(units: float, scale: float) -> Decimal:
    found = Decimal(int(units)).scaleb(-round(math.log10(scale)))
    if not found > 0:
        raise ValueError("a step is above zero")
    return found
