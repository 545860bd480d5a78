"""What an order was decided on (`live_evidence`), read again: checked first, since whoever can write a log can write anything."""

import binascii
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Bytes, Floats, Longs
from ringfence.errors import InputError
from ringfence.runtime.recent_evidence import CANCEL, OF_SYMBOL

__all__ = ["LEVELS", "Shown", "ShownBook", "read_evidence"]

LEVELS = ("firm", "account", "strategy")
_INT64 = range(-(2**63), 2**63)
_STATES = range(3)
_COUNTS = range(2**31)
#: More symbols than this in one book are not believed.
_MOST_HELD = 100_000
_NONE: Longs = np.zeros(0, np.int64)


@dataclass(slots=True)
class ShownBook:
    """A book as its order was judged on it; arrays as `layout` has them.

    Attributes:
        level: 0 firm, 1 account, 2 strategy.
        row: Of `Books.book`.
        kill: Its switch.
        symbols: What it holds, in the kernel's order.
        pos: A row for each of them.
        orders: How many orders of each work.
        oldest: Time of the oldest mark, or a bound of it.
        lot_money: What a lot of each is worth per unit of price; None where no gate looks.
    """

    level: int
    row: Floats
    kill: int
    symbols: list[str]
    pos: Floats
    orders: list[int]
    oldest: int
    lot_money: Floats | None = None


@dataclass(slots=True)
class Shown:
    """Everything that the gates of an order looked at.

    Attributes:
        market: The row of `Books.sym`.
        market_ns: Time of the market data.
        kill_venue, kill_symbol: Their switches.
        books: The firm's first.
        rates: Times of orders and cancels that left, by level.
        kinds: What they were (bits `CANCEL` and `OF_SYMBOL`), by level; empty where no gate tells one from another.
        equal: Times of equal ones.
        quote_times, quote_prices: Earlier quotes.
        cut: Some of these were too many to be shown.
    """

    market: Floats
    market_ns: int
    kill_venue: int
    kill_symbol: int
    books: list[ShownBook]
    rates: dict[int, Longs]
    kinds: dict[int, Bytes]
    equal: Longs
    quote_times: Longs
    quote_prices: Floats
    cut: bool

    def book(self, level: int) -> ShownBook | None:
        """The book of a level."""
        return next((each for each in self.books if each.level == level), None)


def read_evidence(shown: Any) -> Shown:
    """Read the evidence of a decision's record.

    Raises:
        InputError: it is not what a guard writes.
    """
    try:
        return _read(shown)
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(
            f"the evidence cannot be read: {type(error).__name__.lower()} {ascii(str(error))[:80]}"
        ) from None


def _read(shown: Any) -> Shown:
    recent = shown.get("recent", {})
    books = [_book(each) for each in shown["books"]]
    levels = [each.level for each in books]
    if levels not in ([0, 1], [0, 1, 2]):
        raise ValueError("not the books of an order")
    for book, text in zip(books, recent.get("lot_money", []), strict=False):
        book.lot_money = _floats(text, len(book.symbols), 1)[:, 0]
    times, prices = recent.get("quotes", ["", ""])
    quote_times = _longs(times)
    rates = recent.get("rates", [])
    return Shown(
        market=_floats(shown["market"], 1, layout.SYM_WIDTH)[0],
        market_ns=_whole(shown["market_ns"], _INT64),
        kill_venue=_whole(shown["kill_venue"], _STATES),
        kill_symbol=_whole(shown["kill_symbol"], _STATES),
        books=books,
        rates={LEVELS.index(level): _longs(text) for level, text, *_ in rates},
        kinds=_kinds(rates),
        equal=_longs(recent.get("equal", "")),
        quote_times=quote_times,
        quote_prices=_floats(prices, len(quote_times), 3),
        cut=bool(recent.get("cut", False)),
    )


def _book(told: Any) -> ShownBook:
    level, row, kill, symbols, pos, orders, oldest = told
    if not all(isinstance(each, str) and each for each in symbols):
        raise ValueError("a symbol is no name")
    if len(set(symbols)) != len(symbols) or len(symbols) > _MOST_HELD:
        raise ValueError("a symbol is there twice, or there are too many")
    if len(orders) != len(symbols):
        raise ValueError("not a number of orders for each symbol")
    rows = _floats(pos, len(symbols), layout.POS_WIDTH)
    # What is searched for a size that passes never ends where one of these is no number.
    if not np.isfinite(rows[:, [layout.Q, layout.BUYS, layout.SELLS]]).all():
        raise ValueError("a position is no number of lots")
    return ShownBook(
        level=LEVELS.index(level),
        row=_floats(row, 1, layout.BOOK_WIDTH)[0],
        kill=_whole(kill, _STATES),
        symbols=list(symbols),
        pos=rows,
        orders=[_whole(each, _COUNTS) for each in orders],
        oldest=_whole(oldest, _INT64),
    )


def _kinds(rates: Any) -> dict[int, Bytes]:
    """What the messages were, where the record says so: then of every level."""
    if all(len(each) == 2 for each in rates):
        return {}
    found = {}
    for level, times, text in rates:
        kinds = np.frombuffer(binascii.a2b_base64(text, strict_mode=True), np.uint8)
        if len(kinds) != len(_longs(times)) or (kinds > CANCEL + OF_SYMBOL).any():
            raise ValueError("not what each of the messages was")
        found[LEVELS.index(level)] = kinds
    return found


def _whole(value: Any, within: range) -> int:
    if type(value) is not int or value not in within:
        raise ValueError("a whole number is out of its range")
    return value


def _floats(text: Any, rows: int, width: int) -> Floats:
    found = np.frombuffer(binascii.a2b_base64(text, strict_mode=True), "<f8")
    return found.reshape(rows, width)


def _longs(text: Any) -> Longs:
    if text == "":
        return _NONE
    found = np.frombuffer(binascii.a2b_base64(text, strict_mode=True), "<i8")
    if (np.diff(found) < 0).any():
        raise ValueError("times go back")
    return found
