"""The arrays of a ledger's books, by name: accounts, strategies and symbols may appear at any time."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.grown_books import empty_books, grown_books
from ringfence.backends.numba_kernel.jit_layout import pack
from ringfence.backends.numba_kernel.new_books import set_instrument
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
        symbols: Codes of symbols.
        instruments: Instruments that are known, each with its FX rate into the ledger's currency.
    """

    def __init__(self, currency: str, fx: Mapping[tuple[str, str], float]) -> None:
        self.currency = currency
        self._fx = dict(fx)
        self.books = empty_books(8, 16)
        self.pack = pack(self.books)
        self.book_codes = {FIRM: 0}
        self.accounts: dict[str, int] = {}
        self.strategies: dict[str, int] = {}
        self.symbols: dict[str, int] = {}
        self.instruments: dict[str, Instrument] = {}

    def declare(self, instrument: Instrument) -> None:
        """Take an instrument's rules, new ones only while no book holds it.

        Raises:
            LedgerError: the symbol is held under other rules.
        """
        rate = convert(self._fx, instrument.quote, self.currency)
        declared = replace(instrument, fx=float("nan") if rate is None else rate)
        s = self.symbol(instrument.symbol)
        before = self.instruments.get(instrument.symbol)
        if before is not None and repr(before) == repr(declared):
            return
        if self.books.pos[:, s, layout.COST].any() or self.books.holders_n[s]:
            raise LedgerError(
                f"`{instrument.symbol}` is held under other rules than those given now",
                fix="close the position, or start a new ledger",
            )
        self.instruments[instrument.symbol] = declared
        set_instrument(self.books, s, instrument, rate)

    def symbol(self, name: str) -> int:
        """The code of a symbol, a new one for a new name; without an instrument its money is unknown."""
        code = self.symbols.get(name)
        if code is not None:
            return code
        if not name:
            raise LedgerError("a symbol needs a name")
        code = len(self.symbols)
        if code == self.books.sym.shape[0]:
            self._grow(self.books.book.shape[0], 2 * code)
        self.symbols[name] = code
        self.books.sym[code, layout.LOT_MONEY] = float("nan")
        return code

    def lot_step(self, symbol: str) -> Decimal:
        """Size of a lot in units of the base; the finest one for a symbol without an instrument."""
        return (self.instruments.get(symbol) or Instrument(symbol)).lot_step

    def account(self, name: str) -> int:
        """The book of an account."""
        return self.book(f"account/{name}")

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
        self.book_codes[name] = code
        return code

    def _grow(self, books: int, symbols: int) -> None:
        self.books = grown_books(self.books, books, symbols)
        self.pack = pack(self.books)
