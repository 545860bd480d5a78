"""A case made plainer while it still shows what it is to show: less in it, and rounder numbers.

A solver's example holds whatever no formula forbade: odd sizes, positions that do not matter. Each part is
left out, or made rounder, where the case goes on to show the same; the interpreter is asked each time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from functools import partial
from typing import Any

__all__ = ["plainer"]

Data = dict[str, Any]
Shows = Callable[[Data, Data], bool]
Change = Callable[[Data, Data], None]

_MOST_TRIES = 300
_MONEY = ("equity", "day_start_equity", "day_start_balance", "peak_equity")
_DIGITS = (1, 2, 3, 4)
_SIZES = tuple(f"{Decimal(f'{digit}e{power}'):f}" for power in range(-4, 5) for digit in (1, 2, 5))
_CAPITAL = (100_000.0, 1_000_000.0, 10_000_000.0, 100_000_000.0, 1_000_000_000.0)


def plainer(given: Mapping[str, Any], when: Mapping[str, Any], shows: Shows) -> tuple[Data, Data]:
    """Return a plainer case that still shows it.

    Args:
        given, when: As a policy test has them; they stay as they are.
        shows: Whether a case shows what it is to show; asked at most 300 times.
    """
    return _Search(given, when, shows).run()


class _Search:
    def __init__(self, given: Mapping[str, Any], when: Mapping[str, Any], shows: Shows) -> None:
        self.given, self.when = deepcopy(dict(given)), deepcopy(dict(when))
        self._shows, self._left = shows, _MOST_TRIES

    def run(self) -> tuple[Data, Data]:
        for step in (
            self._without_names,
            self._round_capital,
            self._without_what_is_held,
            self._held_and_not_working,
            self._without_the_rest,
            self._like_the_account,
            self._a_buy,
            self._rounder_order,
            self._rounder_books,
            self._without_what_is_held,
            self._round_capital,
        ):
            step()
        self._without_unused_names()
        return self.given, self.when

    def _try(self, change: Change) -> bool:
        """Make a change, and keep it where the case goes on to show what it is to show."""
        given, when = deepcopy(self.given), deepcopy(self.when)
        change(given, when)
        if (given, when) == (self.given, self.when):
            return True
        if self._left <= 0:
            return False
        self._left -= 1
        if not self._shows(given, when):
            return False
        self.given, self.when = given, when
        return True

    def _first(self, changes: Iterable[Change]) -> bool:
        """Keep the first of several changes with which it shows it."""
        return any(map(self._try, changes))

    @property
    def _books(self) -> Data:
        books: Data = self.given.get("books") or {}
        return books

    def _without_names(self) -> None:
        """A strategy or a venue that only stands for those that no scope names."""
        for name in ("venue", "strategy"):
            if name in self.when:
                self._try(partial(_nameless, name))

    def _round_capital(self) -> None:
        """Books that are worth a round amount, as at the day's start and at the peak, with nothing moved."""
        books = list(self._books)
        if not self._first(partial(_capital, books, amount) for amount in _CAPITAL):
            for each in books:
                self._first(partial(_capital, [each], amount) for amount in _CAPITAL)

    def _held_and_not_working(self) -> None:
        for book in list(self._books):
            if self._books[book].get("working"):
                self._try(partial(_filled, book))

    def _a_buy(self) -> None:
        self._try(partial(_ordered, "side", "buy"))

    def _without_what_is_held(self) -> None:
        for book in list(self._books):
            for part in ("working", "positions"):
                whole = slice(None)
                if self._books[book].get(part) and not self._try(partial(_cut, book, part, whole)):
                    self._one_by_one(book, part)

    def _one_by_one(self, book: str, part: str) -> None:
        """Leave out halves, then quarters and so on, of what a book holds."""
        size = len(self._books[book][part])
        while size > 1:
            size = (size + 1) // 2
            for start in range(0, len(self._books[book][part]), size):
                self._try(partial(_cut, book, part, slice(start, start + size)))

    def _without_the_rest(self) -> None:
        for key in ("recent_orders", "control"):
            self._try(partial(_without, (), key))
        for name in list(self.given.get("market") or {}):
            self._try(partial(_aged, name))
            for field in ("completeness", "bid_depth", "ask_depth", "volume", "recent"):
                self._try(partial(_without, ("market", name), field))
            if name != self.when.get("symbol"):
                self._try(partial(_without, ("market",), name))
        self._try(partial(_ordered, "reduce_only", None))

    def _like_the_account(self) -> None:
        """Other books that hold the same as the account's, and are worth as much."""
        account = f"account/{self.when.get('account')}"
        for book in list(self._books):
            if book != account and account in self._books:
                self._try(partial(_copied, account, book))

    def _rounder_order(self) -> None:
        """The smallest round size with which it shows; without one the size in fewer digits."""
        if not self._first(partial(_ordered, "size", size) for size in _SIZES):
            sizes = _rounder(str(self.when.get("size")))
            self._first(partial(_ordered, "size", size) for size in sizes)

    def _rounder_books(self) -> None:
        for book in list(self._books):
            for symbol, position in (self._books[book].get("positions") or {}).items():
                sizes = _rounder(str(position["size"]))
                self._first(partial(_sized, book, symbol, size) for size in sizes)
            self._try(partial(_without, ("books", book), "day_flow"))
            for name in _MONEY:
                value = self._books[book].get(name)
                amounts = _rounder(str(value)) if isinstance(value, int | float) else ()
                self._first(partial(_worth, book, name, float(amount)) for amount in amounts)

    def _without_unused_names(self) -> None:
        """Correlations of symbols that nobody holds any more; they change nothing."""
        held = {str(self.when.get("symbol"))}
        for book in self._books.values():
            held |= {*(book.get("positions") or {})}
            held |= {order["symbol"] for order in book.get("working") or ()}
        for pair in list(self.given.get("correlations") or {}):
            if not set(pair.split("|")) <= held:
                self._left += 1
                self._try(partial(_without, ("correlations",), pair))
        if not self.given.get("correlations"):
            self.given.pop("correlations", None)


def _nameless(name: str, given: Data, when: Data) -> None:
    (given.get("books") or {}).pop(f"{name}/{when[name]}", None)
    del when[name]


def _ordered(name: str, value: Any, _: Data, when: Data) -> None:
    if value is None:
        when.pop(name, None)
    else:
        when[name] = value


def _without(path: Sequence[str], key: str, given: Data, _: Data) -> None:
    place = given
    for name in path:
        place = place[name]
    place.pop(key, None)


def _aged(symbol: str, given: Data, _: Data) -> None:
    given["market"][symbol]["age"] = "1s"


def _cut(book: str, part: str, at: slice, given: Data, _: Data) -> None:
    held = given["books"][book][part]
    if isinstance(held, list):
        del held[at]
        return
    for key in list(held)[at]:
        del held[key]


def _copied(source: str, target: str, given: Data, _: Data) -> None:
    given["books"][target] = deepcopy(given["books"][source])


def _sized(book: str, symbol: str, size: str, given: Data, _: Data) -> None:
    given["books"][book]["positions"][symbol]["size"] = size


def _worth(book: str, name: str, amount: float, given: Data, _: Data) -> None:
    given["books"][book][name] = amount


def _capital(books: Sequence[str], amount: float, given: Data, _: Data) -> None:
    for name in books:
        book = given["books"][name]
        book |= dict.fromkeys(("equity", "day_start_equity", "peak_equity"), amount)
        book.pop("day_start_balance", None)
        book.pop("day_flow", None)


def _filled(name: str, given: Data, _: Data) -> None:
    """What works is held, as if it had filled."""
    book = given["books"][name]
    held = book.setdefault("positions", {})
    for order in book["working"]:
        there = held.get(order["symbol"], {})
        size = Decimal(str(order["size"])) * (1 if order["side"] == "buy" else -1)
        size += Decimal(str(there.get("size", 0)))
        mark = there.get("mark", order.get("price"))
        held[order["symbol"]] = {"size": f"{size:f}", **({} if mark is None else {"mark": mark})}
    book["working"] = []


def _rounder(text: str) -> Iterator[str]:
    """The number in fewer digits, the fewest first, a little above and a little below."""
    try:
        number = Decimal(text)
    except ArithmeticError:
        return
    if not number.is_finite() or not number:
        return
    seen = {number.normalize()}
    for digits in _DIGITS:
        step = Decimal(1).scaleb(number.adjusted() - digits + 1)
        for way in (ROUND_DOWN, ROUND_UP):
            found = ((number / step).to_integral_value(way) * step).normalize()
            if found and found not in seen:
                seen.add(found)
                yield f"{found:f}"
