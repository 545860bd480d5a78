"""A case as a scene of the solver in which everything is pinned, for holding the two against each other."""

import math
from fractions import Fraction
from typing import Any

import z3

from ringfence.backends.reference.books import BookState as Reference
from ringfence.backends.reference.books import build_book
from ringfence.backends.smt.inputs import Size
from ringfence.backends.smt.scene import LEVELS, Capital, Held, Past, Scene
from ringfence.backends.smt.state import Holding, State
from ringfence.backends.smt.terms import FALSE, TRUE, Term, constant, real, truth
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import KILL_STATES, Case, to_decimal
from ringfence.language.tickets import Ticket

NAN = math.nan


def pinned_state(linked: LinkedSet, case: Case, ticket: Ticket) -> State:
    """The one state of a case."""
    books = {level: _book(linked, case, level) for level in LEVELS}
    symbol = case.order.symbol
    scene = Scene(
        symbol=symbol,
        instrument=ticket.instrument,
        market=ticket.market,
        order_type=ticket.type,
        price=ticket.price,
        marks={level: _own_mark(books[level], symbol) for level in LEVELS},
        others={level: _others(books[level], case) for level in LEVELS},
        capital={level: _capital(books[level]) for level in LEVELS},
        past=tuple(_past(case, ticket)),
    )
    state = State(scene)
    state.buy, state.reduce_only = truth(ticket.side > 0), truth(ticket.reduce_only)
    state.lots = {size: z3.IntVal(ticket.lots) for size in Size}
    state.kill = z3.IntVal(_kill_state(case))
    state.age = constant(ticket.market.age)
    if ticket.market.age == math.inf:
        # Older than any limit, and younger than none.
        state.age = Term(TRUE, real(10**320))
    state.completeness = constant(ticket.market.completeness)
    state.bid_depth = _positive(ticket.market.bid_depth)
    state.ask_depth = _positive(ticket.market.ask_depth)
    state.volume = _positive(ticket.market.volume)
    state.past = [z3.IntVal(1) for _ in scene.past]
    for level, book in books.items():
        _pin_book(state, level, book, symbol)
    return state


def value_of(term: Term) -> float | Fraction:
    """The value of a term without variables; NaN where it is unknown."""
    if not z3.is_true(z3.simplify(term.known)):
        return NAN
    value = z3.simplify(term.value)
    if z3.is_bool(value):
        return 1.0 if z3.is_true(value) else 0.0
    return value.as_fraction()


def _book(linked: LinkedSet, case: Case, level: str) -> Reference | None:
    name = getattr(case.order, level, "")
    book = case.books.get("firm" if level == "firm" else f"{level}/{name}")
    return build_book(book, case, linked) if book is not None else None


def _own_mark(book: Reference | None, symbol: str) -> float:
    return book.holdings[symbol].mark if book and symbol in book.holdings else NAN


def _others(book: Reference | None, case: Case) -> tuple[Held, ...]:
    others = []
    for symbol, held in (book.holdings if book else {}).items():
        if symbol != case.order.symbol:
            low, high = sorted((symbol, case.order.symbol))
            rho, count = case.correlations.get((low, high), (1.0, 0.0))
            unit = held.instrument.lot_multiplier
            others.append(Held(symbol, unit, held.mark, rho, count))
    return tuple(others)


def _capital(book: Reference | None) -> Capital:
    if book is None:
        return Capital((NAN,), (NAN,), (NAN,))
    own = book.book
    return Capital((own.day_start_equity,), (own.day_start_balance,), (own.peak_equity,))


def _past(case: Case, ticket: Ticket) -> list[Past]:
    order = case.order
    return [
        Past(
            past.age,
            past.account == order.account,
            past.strategy == order.strategy,
            (past.account, past.symbol, past.side) == (order.account, order.symbol, order.side)
            and to_decimal(past.size) == to_decimal(order.size)
            and (past.price == ticket.price or past.price != past.price)
            and past.message == "order",
            past.symbol == order.symbol,
            past.message == "cancel",
        )
        for past in case.recent_orders
    ]


def _kill_state(case: Case) -> int:
    order = case.order
    keys = ["firm", f"account/{order.account}", f"symbol/{order.symbol}"]
    keys += [f"strategy/{order.strategy}"] if order.strategy else []
    keys += [f"venue/{order.venue}"] if order.venue else []
    return max(KILL_STATES.index(case.kill_switch.get(key, "active")) for key in keys)


def _positive(value: float) -> Term:
    return constant(value if value >= 0 else NAN)


def _pin_book(state: State, level: str, book: Reference | None, symbol: str) -> None:
    pinned = state.books[level]
    pinned.fillers = z3.IntVal(0)
    pinned.exists = truth(book is not None)
    own = book.holdings.get(symbol) if book else None
    pinned.own = _holding(own)
    pinned.others = [
        (each, _holding(book.holdings[each.symbol] if book else None)) for each, _ in pinned.others
    ]
    if book is None:
        pinned.equity = pinned.deposits = Term(FALSE, real(0))
        return
    pinned.equity, pinned.deposits = constant(book.book.equity), constant(book.book.deposits)
    for each, _ in pinned.others:
        age = book.holdings[each.symbol].age
        state.ages[each.symbol] = Term(TRUE, real(10**320)) if age == math.inf else constant(age)


def _holding(held: Any) -> Holding:
    if held is None:
        return Holding(*(z3.IntVal(0) for _ in range(5)))
    numbers = (held.lots, held.buys, held.sells, held.orders, 0)
    return Holding(*(z3.IntVal(each) for each in numbers))
