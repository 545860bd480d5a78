"""The arrays of a ledger's books, by name: accounts, strategies and symbols may appear at any time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.grown_books import empty_books, grown_books
from ringfence.backends.numba_kernel.jit_layout import pack
from ringfence.backends.numba_kernel.layout import Books
from ringfence.backends.numba_kernel.new_books import set_instrument
from ringfence.backends.numba_kernel.rings import Needs, fitted, grow_left, grow_quotes
from ringfence.errors import LedgerError
from ringfence.language.instruments import convert
from ringfence.language.orders import Instrument

__all__ = ["FIRM", "BookArrays"]

FIRM = "firm"
NO_BOOK = -1
_LEVELS = {"account": 1, "strategy": 2}


class BookArrays:
    """Arrays, the pack that hands them to compiled code, and the codes of names.

    The arrays double when they are full, so that n names cost n; `books` and `pack` are then new ones.

    Attributes:
        books: The arrays.
        pack: Their block, for compiled code.
        book_codes: Row of each book, by its name: `firm`, `account/NAME`, `strategy/NAME`.
        accounts, strategies: Codes of names, for `Books.account_book` and `Books.strategy_book`.
        symbols, venues: Codes of symbols and venues; the venue of an order without one is 0.
        instruments: Instruments that are known, each with its FX rate into the ledger's currency.
        times: Times of the symbols' market data, by their codes, ns.
        version: Another number once names or instruments changed, or the arrays are new ones.
    """

    def __init__(self, currency: str, fx: Mapping[tuple[str, str], float]) -> None:
        self.currency = currency
        self.version = 0
        self._fx = dict(fx)
        self.books = empty_books(8, 16)
        self._look()
        self.book_codes = {FIRM: 0}
        self.accounts: dict[str, int] = {}
        self.strategies: dict[str, int] = {}
        self.symbols: dict[str, int] = {}
        self.venues: dict[str, int] = {"": 0}
        self._needs: Needs | None = None
        self.instruments: dict[str, Instrument] = {}

    def declare(self, instrument: Instrument) -> None:
        """Take an instrument's rules, new ones only while no book holds it.

        Raises:
            LedgerError: the symbol is held under other rules.
        """
        if self._is_other(instrument):
            self._set(instrument)

    def _is_other(self, instrument: Instrument) -> bool:
        """Whether its rules are not those that are known; an error where they may not be others."""
        before = self.instruments.get(instrument.symbol)
        if before is not None:
            now = self._with_rate(instrument)
            # As text where they differ, for a rate that is not known does not equal itself.
            if before == now or repr(before) == repr(now):
                return False
        s = self.symbol(instrument.symbol)
        if self.books.pos[:, s, layout.COST].any() or self.books.holders_n[s]:
            raise LedgerError(
                f"`{instrument.symbol}` is held under other rules than those given now",
                fix="close the position, or start a new ledger",
            )
        return True

    def _set(self, instrument: Instrument) -> None:
        rate = convert(self._fx, instrument.quote, self.currency)
        self.instruments[instrument.symbol] = self._with_rate(instrument)
        self.version += 1
        set_instrument(self.books, self.symbol(instrument.symbol), instrument, rate)

    def _with_rate(self, instrument: Instrument) -> Instrument:
        rate = convert(self._fx, instrument.quote, self.currency)
        return replace(instrument, fx=float("nan") if rate is None else rate)

    def redeclare(
        self,
        instruments: Iterable[Instrument],
        fx: Mapping[tuple[str, str], float],
        before_change: Callable[[], None] | None = None,
    ) -> None:
        """Take other rates, and each instrument's rules under them.

        Args:
            instruments, fx: Rules and rates.
            before_change: Called before the first change, where there is one; what it raises stops it.

        Raises:
            LedgerError: a symbol is held under other rules; nothing has changed.
        """
        before, self._fx = self._fx, dict(fx)
        try:
            # All of them are looked at before the first is changed.
            changed = [each for each in instruments if self._is_other(each)]
            if changed and before_change is not None:
                before_change()
        except BaseException:
            self._fx = before
            raise
        for each in changed:
            self._set(each)

    def fit(self, venues: Iterable[str], needs: Needs) -> None:
        """Make room for switches of venues, and for the recent orders and quotes that gates look at."""
        known_venues = len(self.venues)
        for name in ("", *venues):
            self.venues.setdefault(name, len(self.venues))
        if needs == self._needs and len(self.venues) == known_venues:
            return
        self._needs = needs
        switches = np.zeros(len(self.venues), np.int8)
        known = self.books.kill_venue[: len(switches)]
        switches[: len(known)] = known
        self._take(fitted(self.books._replace(kill_venue=switches), needs))

    def make_room(self, now_ns: int) -> None:
        """Lengthen the rings whose oldest entry a gate may still look at."""
        settings = self.books.settings
        left, size = int(settings[layout.LEFT_N]), self.books.left.shape[0]
        if left >= size > 1:
            oldest = int(self.books.left[left % size, layout.LEFT_TS])
            if now_ns - oldest <= settings[layout.LEFT_WINDOW]:
                self._take(grow_left(self.books))
        quotes, size = int(settings[layout.QUOTES_N]), self.books.quotes.shape[0]
        if quotes >= size > 1:
            oldest = int(self.books.quotes[quotes % size, 0])
            if now_ns - oldest <= settings[layout.QUOTES_WINDOW]:
                self._take(grow_quotes(self.books))

    def symbol(self, name: str) -> int:
        """The code of a symbol, a new one for a new name; without an instrument its money is unknown."""
        code = self.symbols.get(name)
        if code is not None:
            return code
        if not name:
            raise LedgerError("a symbol needs a name", fix="give the name that its instrument has")
        code = len(self.symbols)
        if code == self.books.sym.shape[0]:
            self._grow(self.books.book.shape[0], 2 * code)
        self.symbols[name] = code
        self.version += 1
        self.books.sym[code, layout.LOT_MONEY] = float("nan")
        return code

    def lot_step(self, symbol: str) -> Decimal:
        """Size of a lot in units of the base; the finest one for a symbol without an instrument."""
        return (self.instruments.get(symbol) or Instrument(symbol)).lot_step

    def account(self, name: str) -> int:
        """The book of an account."""
        code = self.accounts.get(name)
        return self.book(f"account/{name}") if code is None else int(self._account_book[code])

    def strategy(self, name: str) -> int:
        """The book of a strategy; -1 where an order has none."""
        return self.book(f"strategy/{name}") if name else NO_BOOK

    def book(self, name: str) -> int:
        """The row of a book, a new one for a new name.

        Raises:
            LedgerError: the name is none of `firm`, `account/NAME` and `strategy/NAME`.
        """
        code = self.book_codes.get(name)
        return self._new_book(name) if code is None else code

    def _new_book(self, name: str) -> int:
        kind, _, own = name.partition("/")
        if kind not in _LEVELS or not own:
            raise LedgerError(
                f"`{name}` names no book", fix="write `firm`, `account/NAME` or `strategy/NAME`"
            )
        return self._new_row(kind, own)

    def _new_row(self, kind: str, own: str) -> int:
        code = len(self.book_codes)
        if code == self.books.book.shape[0]:
            self._grow(2 * code, self.books.sym.shape[0])
        books = self.books
        books.book_level[code] = _LEVELS[kind]
        books.book_n[code, layout.EXISTS] = 1
        if kind == "account":
            books.account_book[len(self.accounts)] = code
            self.accounts[own] = len(self.accounts)
            books.total[layout.TOTAL_UNKNOWN] += 1.0
        else:
            books.strategy_book[len(self.strategies)] = code
            self.strategies[own] = len(self.strategies)
        self.book_codes[f"{kind}/{own}"] = code
        self.version += 1
        return code

    def resume(
        self,
        books: Books,
        names: Mapping[str, dict[str, int]],
        instruments: dict[str, Instrument],
    ) -> None:
        """Take over arrays that were kept, with the codes of their names."""
        self.book_codes, self.accounts = names["books"], names["accounts"]
        self.strategies, self.symbols = names["strategies"], names["symbols"]
        self.venues, self.instruments = names["venues"], instruments
        self._take(books)

    def no_strategy(self) -> int:
        """The code of the strategy of an order without one: its book is not there, and stays empty."""
        code = self.strategies.get("")
        if code is None:
            row = self._new_row("strategy", "")
            # Only now: the arrays may have grown.
            self.books.book_n[row, layout.EXISTS] = 0
            code = self.strategies[""]
        return code

    def _grow(self, books: int, symbols: int) -> None:
        self._take(grown_books(self.books, books, symbols))

    def _take(self, books: Books) -> None:
        self.books = books
        self._look()
        self.version += 1

    def _look(self) -> None:
        self.pack = pack(self.books)
        # An array's own indexing takes several times as long.
        self.times: memoryview[int] = self.books.sym_ts.data
        self._account_book = self.books.account_book.data
