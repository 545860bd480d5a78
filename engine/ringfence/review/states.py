"""States that would let a gate pass: what can be other than it is, in which direction, and how it is said.

Each is one number that is moved while all else stays. The search and the confirmation are in `why_not`.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from ringfence.backends.explain import Question
from ringfence.backends.explain.amounts import Words, plain_number
from ringfence.language import ir
from ringfence.language.orders import Book, Case, Market, Position
from ringfence.language.rules import Check, walk
from ringfence.language.tickets import usable
from ringfence.review.sayable import sayable

__all__ = ["State", "states_for"]

_OF_EQUITY = ("book.equity", "book.day_loss", "book.day_loss_ratio", "book.drawdown")
_OF_POSITIONS = (
    "book.exposure_after",
    "book.position_after",
    "book.net_exposure_after",
    "book.correlated_after",
)
_OF_PRICE = (*_OF_POSITIONS, "order.notional")
#: An equity above so many times what is there is no help to anybody.
_FAR = 1e6


def _no_values(_: float) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class State:
    """One thing that could be otherwise.

    Attributes:
        kind: `state` or `order`.
        apply: The case with it.
        text, values: It in words, and as values.
        start, end: Where the search begins, which does not pass, and the farthest that is looked at.
        rounded: A sayable number near one that passes, still on its side; None where there is none.
        only: The one value to try, where there is nothing to search.
        need: What has to be, where no number says it.
    """

    kind: str
    apply: Callable[[Case, float], Case] = field(default=lambda case, _: case)
    text: Callable[[float], str] = field(default=str)
    values: Callable[[float], Mapping[str, str]] = _no_values
    start: float = 0.0
    end: float = 0.0
    rounded: Callable[[float, int], float | None] = field(default=lambda x, _: x)
    only: float | None = None
    need: str = ""


def states_for(question: Question, failing: Sequence[Check]) -> Iterator[State]:
    """The states that may let the failing checks of a gate pass."""
    names = {
        node.name
        for check in failing
        for part in (check.measure, check.limit)
        for node in walk(part)
        if isinstance(node, ir.Field)
    }
    words = Words(question.currency, question.ticket.instrument)
    if names & set(_OF_EQUITY) and question.book is not None:
        yield from _equity(question, words)
    if names & set(_OF_POSITIONS):
        yield from _positions(question, words, names)
    if "order.price_deviation" in names or names & set(_OF_PRICE):
        yield from _price(question, words, collar="order.price_deviation" in names)
    if names & {"order.rate", "order.duplicates"}:
        yield from _wait(question)
    if names & {"book.open_orders_after", "book.open_orders_symbol_after"}:
        yield from _cancelled(question, "book.open_orders_after" not in names)
    if "book.positions_after" in names:
        yield from _closed(question)
    if "market.opposite_depth" in names or "market.volume" in names:
        yield from _liquidity(question, words, "market.volume" in names)
    if "control.kill_state" in names:
        yield _switch(question)
    yield from _quality(question, names, failing)
    if "order.on_tick" in names:
        yield from _tick(question, words)


def _book_key(question: Question) -> str:
    name = getattr(question.case.order, question.level, "")
    return "firm" if question.level == "firm" else f"{question.level}/{name}"


def _with_book(
    question: Question, change: Callable[[Book, float], Book]
) -> Callable[[Case, float], Case]:
    key = _book_key(question)

    def apply(case: Case, x: float) -> Case:
        return replace(case, books={**case.books, key: change(case.books[key], x)})

    return apply


def _equity(question: Question, words: Words) -> Iterator[State]:
    book = question.case.books[_book_key(question)]
    if not math.isfinite(book.equity):
        return
    scale = max(abs(book.equity), abs(book.day_start_equity), 1.0)

    def change(book: Book, equity: float) -> Book:
        # A higher equity is the new peak.
        return replace(book, equity=equity, peak_equity=max(book.peak_equity, equity))

    def rounded(x: float, digits: int) -> float | None:
        return sayable(x, up=True, digits=digits) if x > 0 else None

    yield State(
        "state",
        apply=_with_book(question, change),
        text=lambda x: f"an equity of at least {words.money(x)} of {_book_key(question)} (now {words.money(book.equity)})",
        values=lambda x: {"equity": plain_number(x)},
        start=book.equity,
        end=scale * _FAR,
        rounded=rounded,
    )


def _positions(question: Question, words: Words, names: set[str]) -> Iterator[State]:
    """A smaller position: in the order's symbol, else in the one that weighs most."""
    if question.book is None:
        return
    held = question.book.holdings
    weights = {
        symbol: abs(each.lots) * each.lot_value
        for symbol, each in held.items()
        if each.lots and usable(each.mark)
    }
    chosen = [question.symbol] if question.symbol in weights else []
    if names & {"book.exposure_after", "book.correlated_after", "book.net_exposure_after"}:
        others = sorted(
            (each for each in weights if each != question.symbol), key=weights.__getitem__
        )
        chosen += others[-1:]
    for symbol in chosen:
        holding = held[symbol]
        step = holding.instrument.lot_step
        lots, sign = abs(holding.lots), 1 if holding.lots > 0 else -1

        def change(
            book: Book, x: float, symbol: str = symbol, sign: int = sign, step: Decimal = step
        ) -> Book:
            position = book.positions[symbol]
            smaller = replace(position, size=position.size - sign * math.ceil(x) * step)
            return replace(book, positions={**book.positions, symbol: smaller})

        def rounded(x: float, digits: int, lots: int = lots) -> float | None:
            return min(float(lots), float(math.ceil(sayable(math.ceil(x), up=True, digits=digits))))

        def text(x: float, symbol: str = symbol) -> str:
            instrument = held[symbol].instrument
            size = words.lots(math.ceil(x), instrument)
            lots = held[symbol].lots
            now = f"{'short ' if lots < 0 else ''}{words.lots(abs(lots), instrument)}"
            return f"{size} less of {symbol} in {_book_key(question)} (now {now})"

        def values(x: float, symbol: str = symbol, step: Decimal = step) -> dict[str, str]:
            return {"symbol": symbol, "less": f"{(math.ceil(x) * step).normalize():f}"}

        yield State(
            "state",
            apply=_with_book(question, change),
            text=text,
            values=values,
            end=float(lots),
            rounded=rounded,
        )


def _price(question: Question, words: Words, *, collar: bool) -> Iterator[State]:
    """Another limit price: nearer to the reference for a collar, lower for what the order is worth."""
    ticket = question.ticket
    if not usable(ticket.price) or ticket.type not in ("limit", "market"):
        return
    tick = float(ticket.instrument.tick_size or 0) or ticket.price * 1e-6
    market = ticket.market
    target = tick
    if collar:
        kind = str(question.asked.params.get("reference"))
        target = market.last if kind == "last" else question.asked.read(f"market.{kind}")
        if not usable(target):
            return
    downward = target < ticket.price

    def at(share: float) -> float:
        return ticket.price + (target - ticket.price) * share

    def on_tick(share: float, _: int) -> float | None:
        places = at(share) / tick
        whole = math.floor(places + 1e-9) if downward else math.ceil(places - 1e-9)
        price = whole * tick
        if not usable(price) or target == ticket.price:
            return None
        return (price - ticket.price) / (target - ticket.price)

    def apply(case: Case, share: float) -> Case:
        return replace(case, order=replace(case.order, price=_tidy(at(share))))

    edge = "at most" if downward else "at least"
    yield State(
        "order",
        apply=apply,
        text=lambda share: f"a limit price of {edge} {words.price(_tidy(at(share)))}",
        values=lambda share: {"price": plain_number(_tidy(at(share))).replace(",", "")},
        end=1.0,
        rounded=on_tick,
    )


def _tidy(price: float) -> float:
    """Without the last bits that a number of ticks has left."""
    return float(f"{price:.12g}")


def _wait(question: Question) -> Iterator[State]:
    """Later: earlier orders leave the window one by one."""
    window = float(question.asked.params.get("window", math.nan))
    ages = sorted({past.age for past in question.case.recent_orders if past.age < window})
    if not ages:
        return

    def apply(case: Case, seconds: float) -> Case:
        older = tuple(replace(past, age=past.age + seconds) for past in case.recent_orders)
        return replace(case, recent_orders=older)

    yield State(
        "state",
        apply=apply,
        text=lambda x: f"the same order {plain_number(x)}s later, when earlier ones have left the window",
        values=lambda x: {"later": f"{plain_number(x)}s"},
        end=window - ages[0],
        rounded=lambda x, digits: sayable(x, up=True, digits=digits),
    )


def _cancelled(question: Question, symbol_only: bool) -> Iterator[State]:
    book = question.case.books.get(_book_key(question))
    working = [
        each
        for each in (book.working if book is not None else ())
        if each.symbol == question.symbol or not symbol_only
    ]
    if not working:
        return

    def change(book: Book, count: float) -> Book:
        gone = {id(each) for each in working[: math.ceil(count)]}
        return replace(book, working=[each for each in book.working if id(each) not in gone])

    yield _counted(
        question,
        change,
        len(working),
        f"working orders{f' in {question.symbol}' if symbol_only else ''} fewer",
    )


def _closed(question: Question) -> Iterator[State]:
    book = question.case.books.get(_book_key(question))
    symbols = [] if book is None else [each for each in book.positions if each != question.symbol]
    if not symbols:
        return

    def change(book: Book, count: float) -> Book:
        gone = set(symbols[: math.ceil(count)])
        return replace(
            book,
            positions={
                symbol: Position(Decimal(0), mark=each.mark) if symbol in gone else each
                for symbol, each in book.positions.items()
            },
            working=[each for each in book.working if each.symbol not in gone],
        )

    yield _counted(question, change, len(symbols), "other symbols fewer in the book")


def _counted(
    question: Question, change: Callable[[Book, float], Book], most: int, what: str
) -> State:
    return State(
        "state",
        apply=_with_book(question, change),
        text=lambda x: f"{math.ceil(x)} {what}",
        values=lambda x: {"fewer": str(math.ceil(x))},
        end=float(most),
        rounded=lambda x, _: float(math.ceil(x)),
    )


def _liquidity(question: Question, words: Words, volume: bool) -> Iterator[State]:
    symbol = question.symbol
    name = "volume" if volume else "ask_depth" if question.ticket.side > 0 else "bid_depth"
    now = float(getattr(question.ticket.market, name))
    if not math.isfinite(now):
        return

    def apply(case: Case, x: float) -> Case:
        market = replace(case.market.get(symbol) or Market())
        setattr(market, name, x)
        return replace(case, market={**case.market, symbol: market})

    what = "a recent volume" if volume else f"a size on the {name.partition('_')[0]} side"
    yield State(
        "state",
        apply=apply,
        text=lambda x: f"{what} of at least {words.amount(x, 'quantity')} (now {words.amount(now, 'quantity')})",
        values=lambda x: {name: plain_number(x)},
        start=now,
        end=max(now, 1.0) * _FAR,
        rounded=lambda x, digits: sayable(x, up=True, digits=digits),
    )


def _switch(question: Question) -> State:
    order, switches = question.case.order, question.case.kill_switch
    keys = ["firm", f"account/{order.account}", f"symbol/{order.symbol}"]
    keys += [f"strategy/{order.strategy}", f"venue/{order.venue}"]
    thrown = {key: switches[key] for key in keys if switches.get(key, "active") != "active"}

    def apply(case: Case, _: float) -> Case:
        return replace(case, kill_switch={**case.kill_switch, **dict.fromkeys(thrown, "active")})

    told = ", ".join(f"{key} is {state}" for key, state in thrown.items())
    return State(
        "state",
        apply=apply,
        text=lambda _: f"the kill switch has to be reset by a person who may: {told}",
        values=lambda _: dict.fromkeys(thrown, "active"),
        only=1.0,
    )


def _quality(question: Question, names: set[str], failing: Sequence[Check]) -> Iterator[State]:
    market, symbol = question.ticket.market, question.symbol
    for name, sign in (("market.age", 1.0), ("market.skew", -1.0)):
        if name not in names:
            continue
        limit = min(
            question.asked.value_of(check.limit)
            for check in failing
            if any(isinstance(node, ir.Field) and node.name == name for node in walk(check.measure))
        )

        def apply(case: Case, x: float, sign: float = sign) -> Case:
            changed = replace(case.market.get(symbol) or Market(), age=sign * x)
            return replace(case, market={**case.market, symbol: changed})

        what = "no older than" if sign > 0 else "ahead of the order by at most"
        yield State(
            "state",
            apply=apply,
            text=lambda x, what=what: f"market data of {symbol} that is {what} {plain_number(x)}s",  # type: ignore[misc]  # bound now, for each
            values=lambda x, name=name: {name: f"{plain_number(x)}s"},  # type: ignore[misc]  # bound now, for each
            only=limit,
        )
    if "market.completeness" in names:
        required = tuple(question.asked.params.get("required") or ())
        lacking = [each for each in required if not usable(getattr(market, each))]
        what = f"{', '.join(lacking)} of {symbol}" if lacking else "a feed that says it is complete"
        yield State("need", need=f"market data with {what}")
    if "market.crossed" in names:
        yield State(
            "need", need=f"a quote of {symbol} that is not crossed: the bid at or below the ask"
        )
    if "market.spread" in names:
        yield State("need", need=f"a narrower spread in {symbol}")


def _tick(question: Question, words: Words) -> Iterator[State]:
    ticket = question.ticket
    tick = ticket.instrument.tick_size
    if tick is None or not usable(ticket.price) or question.asked.read("order.on_tick"):
        return
    whole = math.floor(Decimal(repr(ticket.price)) / tick)
    for places in (whole, whole + 1):
        price = float(places * tick)
        if usable(price):
            yield State(
                "order",
                apply=lambda case, x: replace(case, order=replace(case.order, price=x)),
                text=lambda x: f"a limit price of {words.price(x)}, which is on the tick",
                values=lambda x: {"price": plain_number(x).replace(",", "")},
                only=price,
            )
