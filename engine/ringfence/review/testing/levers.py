"""Levers: single numbers of a test's state or order that can be moved, and the cases that come of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from ringfence.language.fields import MESSAGES
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import to_decimal
from ringfence.review.testing.mutants import edited

__all__ = ["Lever", "State", "levers_of", "plain_changes", "starts_of"]

State = tuple[Mapping[str, Any], Mapping[str, Any]]
"""What is given, and the order, as a test has them, defaults merged in."""

_SCALES = (Decimal(1), Decimal("0.5"), Decimal("0.25"), Decimal("0.1"), Decimal(2), Decimal(10))
_EQUITIES = ("equity", "day_start_equity", "day_start_balance", "peak_equity")
_MOVES = {
    "age": ("market.age", "market.skew"),
    "completeness": ("market.completeness",),
    "depth": ("market.opposite_depth",),
    "volume": ("market.volume",),
    "spread": ("market.spread",),
    "size": (
        "order.size",
        "order.notional",
        "book.exposure",
        "book.net",
        "book.position_",
        "book.corr",
    ),
    "price": ("order.price",),
    "equity": ("book.equity", "book.day_loss", "book.drawdown"),
    "position": ("book.exposure", "book.net", "book.position_", "book.correlated"),
    "positions": ("book.positions",),
    "working orders": ("book.open_orders",),
    "working orders elsewhere": ("book.open_orders_after",),
    "recent orders": ("order.duplicates", *MESSAGES),
}
"""The fields that a lever moves, by the beginning of its name and of theirs."""
_MOVES_ALONG = "0.9"


@dataclass(frozen=True, slots=True)
class Lever:
    """One number: what it is now, another where a measure that it moves has moved, and how to put it.

    It stands on a `grid`, and is never below `least`.
    """

    name: str
    now: Decimal
    other: Decimal
    grid: Decimal
    put: Callable[[Decimal], State]
    least: Decimal | None = None

    def may_move(self, fields: Iterable[str]) -> bool:
        """Whether it moves one of the input fields."""
        kind = self.name if self.name in _MOVES else self.name.split(" ")[0]
        return any(each.startswith(_MOVES[kind]) for each in fields)

    def on_grid(self, value: Decimal) -> Decimal:
        """The next value of the grid at or below."""
        return (value / self.grid).to_integral_value(ROUND_FLOOR) * self.grid


def starts_of(state: State, level: str, linked: LinkedSet) -> Iterator[State]:
    """States to start from: as it is, with a book of another size, and with another symbol that moves along."""
    given, when = state
    book = _book_name(level, when)
    held = (given.get("books") or {}).get(book) or {}
    amounts = {name: to_decimal(held.get(name)) for name in _EQUITIES}
    for scale in _SCALES if held else ():
        changed = {
            name: _plain(amount * scale) for name, amount in amounts.items() if amount is not None
        }
        scaled = edited(given, ("books", book), {**held, **changed})
        yield scaled, when
        for other in linked.desk.instruments:
            if other != when.get("symbol"):
                pair = "|".join(sorted((other, str(when.get("symbol")))))
                yield edited(scaled, ("correlations", pair), float(_MOVES_ALONG)), when


def plain_changes(state: State, linked: LinkedSet) -> Iterator[tuple[str, State]]:
    """Changes that need no search: what they show, and the state."""
    given, when = state
    symbol, size = str(when.get("symbol")), to_decimal(when.get("size"))
    instrument = linked.desk.instruments.get(symbol)
    if instrument is None or size is None:
        return
    sign, side = (1, "sell") if when.get("side") == "buy" else (-1, "buy")
    mark = (given.get("market") or {}).get(symbol, {}).get("bid")
    position = {
        "size": f"{_trimmed(2 * sign * size):f}",
        **({} if mark is None else {"mark": mark}),
    }
    closing = given
    for book in given.get("books") or {}:
        closing = edited(closing, ("books", book, "positions", symbol), position)
    yield "an order that only reduces risk", (closing, {**when, "side": side})
    yield "the firm is halted", (edited(given, ("control", "kill_switch", "firm"), "halted"), when)
    price, tick = to_decimal(when.get("price")), instrument.tick_size
    if price is not None and tick is not None:
        yield "a price off the tick", (given, {**when, "price": f"{_trimmed(price + tick / 2):f}"})


def levers_of(state: State, level: str, linked: LinkedSet) -> Iterator[Lever]:
    """The levers of a state for a gate that measures the book of `level`, those that read best first."""
    given, when = state
    symbol = str(when.get("symbol"))
    instrument = linked.desk.instruments.get(symbol)
    if instrument is None:
        return
    lot, tick = instrument.lot_step, instrument.tick_size or Decimal("0.01")
    yield from _of_market(given, when, symbol)
    yield _of_order(state, "size", lot)
    if when.get("price") is not None:
        yield _of_order(state, "price", tick)
    book = _book_name(level, when)
    if book not in (given.get("books") or {}):
        return
    yield from _of_equity(given, when, book)
    for held in (*(each for each in linked.desk.instruments if each != symbol), symbol):
        step = linked.desk.instruments[held].lot_step
        yield _of_position(given, when, book, held, step)
    elsewhere = next((each for each in linked.desk.instruments if each != symbol), symbol)
    yield from _of_counts(given, when, book, instrument.quote, elsewhere)


def _of_market(given: Mapping[str, Any], when: Mapping[str, Any], symbol: str) -> Iterator[Lever]:
    def put(name: str, text: Callable[[Decimal], Any]) -> Callable[[Decimal], State]:
        return lambda value: (edited(given, ("market", symbol, name), text(value)), when)

    ages = put("age", lambda value: f"{value.normalize():f}s")
    yield Lever("age", Decimal(1), Decimal(100), Decimal("0.5"), ages)
    yield Lever("age ahead", Decimal(-1), Decimal(-100), Decimal("0.5"), ages)
    shares = put("completeness", lambda value: f"{value.normalize():f}%")
    yield Lever("completeness", Decimal(90), Decimal(50), Decimal(1), shares, Decimal(0))
    for name in ("depth", "volume"):
        yield Lever(
            name, Decimal(1000), Decimal(500), Decimal("0.01"), put(name, _plain), Decimal(0)
        )
    quote = (given.get("market") or {}).get(symbol, {})
    bid, ask = to_decimal(quote.get("bid")), to_decimal(quote.get("ask"))
    if bid is None or ask is None:
        return
    middle = (bid + ask) / 2

    def apart(value: Decimal) -> State:
        either = {"bid": _plain(middle - value / 2), "ask": _plain(middle + value / 2)}
        return edited(given, ("market", symbol), {**quote, **either}), when

    yield Lever("spread", ask - bid, middle / 2, Decimal("0.02"), apart, Decimal(0))


def _of_order(state: State, name: str, grid: Decimal) -> Lever:
    given, when = state
    now = to_decimal(when.get(name)) or grid
    return Lever(
        name,
        now,
        2 * now,
        grid,
        lambda value: (given, {**when, name: f"{_trimmed(value):f}"}),
        grid,
    )


def _of_equity(given: Mapping[str, Any], when: Mapping[str, Any], book: str) -> Iterator[Lever]:
    now = to_decimal(given["books"][book].get("equity"))
    if now is None:
        return
    for names in (("equity",), ("equity", "day_start_equity"), _EQUITIES):
        known = [each for each in names if each in given["books"][book]]

        def put(value: Decimal, known: list[str] = known) -> State:
            changed = {name: _plain(value) for name in known}
            return edited(given, ("books", book), {**given["books"][book], **changed}), when

        yield Lever(" and ".join(known), now, now / 2, Decimal(1), put)


def _of_position(
    given: Mapping[str, Any], when: Mapping[str, Any], book: str, symbol: str, step: Decimal
) -> Lever:
    mark = (given.get("market") or {}).get(symbol, {}).get("bid")

    def put(value: Decimal) -> State:
        position = {"size": f"{_trimmed(value):f}", **({} if mark is None else {"mark": mark})}
        return edited(given, ("books", book, "positions", symbol), position), when

    return Lever(f"position in {symbol}", Decimal(0), 100 * step, step, put)


def _of_counts(
    given: Mapping[str, Any], when: Mapping[str, Any], book: str, quote: str, elsewhere: str
) -> Iterator[Lever]:
    def positions(value: Decimal) -> State:
        names = [f"P{number + 1}/{quote}" for number in range(int(value))]
        held = {each: {"size": "1", "mark": 1} for each in names}
        known = {
            each: {"lot_step": "1", "base": each.split("/")[0], "quote": quote} for each in names
        }
        with_rules = {**given, "instruments": {**(given.get("instruments") or {}), **known}}
        return edited(with_rules, ("books", book, "positions"), held), when

    def working(value: Decimal, symbol: str = str(when.get("symbol"))) -> State:
        order = {"symbol": symbol} | {name: when.get(name) for name in ("side", "size", "price")}
        orders = [{"order_id": f"w{number + 1}", **order} for number in range(int(value))]
        return edited(given, ("books", book, "working"), orders), when

    def recent(value: Decimal) -> State:
        order = {
            name: when[name]
            for name in ("account", "symbol", "side", "size", "price")
            if name in when
        }
        return {**given, "recent_orders": [{**order, "age": "0s"}] * int(value)}, when

    for name, put in (
        ("positions", positions),
        ("working orders", working),
        ("working orders elsewhere", lambda value: working(value, elsewhere)),
        ("recent orders", recent),
    ):
        yield Lever(name, Decimal(0), Decimal(4), Decimal(1), put, Decimal(0))


def _book_name(level: str, when: Mapping[str, Any]) -> str:
    return "firm" if level == "firm" else f"{level}/{when.get(level) or ''}"


def _trimmed(value: Decimal) -> Decimal:
    normal = value.normalize()
    return normal if normal.as_tuple().exponent <= 0 else normal.quantize(Decimal(1))  # type: ignore[operator]  # finite


def _plain(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
