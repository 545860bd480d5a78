"""States that would let a gate pass: what can be other than it is, in which direction, and how it is said.

Each is one number that is moved while all else stays. The search and the confirmation are in `why_not`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from ringfence.backends.explain import Question
from ringfence.backends.explain.amounts import Words, plain_number
from ringfence.language import ir
from ringfence.language.fields import MESSAGES
from ringfence.language.orders import Book, Case, Position
from ringfence.language.rules import Check, walk
from ringfence.language.tickets import usable
from ringfence.review.explaining.states_around import (
    another_price,
    better_data,
    later,
    more_liquidity,
    on_the_tick,
    switches_reset,
)
from ringfence.review.explaining.what_if import WhatIf
from ringfence.review.sayable import sayable

__all__ = ["states_for"]

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


def states_for(question: Question, failing: Sequence[Check]) -> Iterator[WhatIf]:
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
        yield from another_price(question, words, collar="order.price_deviation" in names)
    if names & {"order.duplicates", *MESSAGES}:
        yield from later(question)
    if names & {"book.open_orders_after", "book.open_orders_symbol_after"}:
        yield from _cancelled(question, "book.open_orders_after" not in names)
    if "book.positions_after" in names:
        yield from _closed(question)
    if "market.opposite_depth" in names or "market.volume" in names:
        yield from more_liquidity(question, words, "market.volume" in names)
    if "control.kill_state" in names:
        yield switches_reset(question)
    yield from better_data(question, names, failing)
    if "order.on_tick" in names:
        yield from on_the_tick(question, words)


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


def _equity(question: Question, words: Words) -> Iterator[WhatIf]:
    book = question.case.books[_book_key(question)]
    if not math.isfinite(book.equity):
        return
    scale = max(abs(book.equity), abs(book.day_start_equity), 1.0)

    def change(book: Book, equity: float) -> Book:
        # A higher equity is the new peak.
        return replace(book, equity=equity, peak_equity=max(book.peak_equity, equity))

    def rounded(x: float, digits: int) -> float | None:
        return sayable(x, up=True, digits=digits) if x > 0 else None

    yield WhatIf(
        "state",
        apply=_with_book(question, change),
        text=lambda x: f"an equity of at least {words.money(x)} of {_book_key(question)} (now {words.money(book.equity)})",
        values=lambda x: {"equity": plain_number(x)},
        start=book.equity,
        end=scale * _FAR,
        rounded=rounded,
    )


def _positions(question: Question, words: Words, names: set[str]) -> Iterator[WhatIf]:
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

        yield WhatIf(
            "state",
            apply=_with_book(question, change),
            text=text,
            values=values,
            end=float(lots),
            rounded=rounded,
        )


def _cancelled(question: Question, symbol_only: bool) -> Iterator[WhatIf]:
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


def _closed(question: Question) -> Iterator[WhatIf]:
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
) -> WhatIf:
    return WhatIf(
        "state",
        apply=_with_book(question, change),
        text=lambda x: f"{math.ceil(x)} {what}",
        values=lambda x: {"fewer": str(math.ceil(x))},
        end=float(most),
        rounded=lambda x, _: float(math.ceil(x)),
    )
