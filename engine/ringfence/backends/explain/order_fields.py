"""Fields of the order opened up: what it is valued at, what it is worth, what came before it."""

# ruff: noqa: ARG001  (one table of tellers: each takes the question, the parameters and the words)

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ringfence.backends.explain.amounts import Words, plain_number
from ringfence.backends.explain.asked import Question
from ringfence.backends.explain.explained import Part
from ringfence.language.differences import share_of
from ringfence.language.orders import KILL_STATES, PastOrder, to_decimal
from ringfence.language.tickets import Ticket, mark_of, usable

__all__ = ["ORDER_FIELDS", "Told", "closing_words", "valuation_words"]


@dataclass(slots=True)
class Told:
    """A field's formula, its arithmetic, its parts, and what comes of it where it is not their sum."""

    formula: str
    steps: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    is_sum: bool = False
    total: float | None = None


Teller = Callable[[Question, Mapping[str, Any], Words], Told]


def valuation_words(question: Question, words: Words) -> str:
    """How the valuation price comes about, in one line."""
    ticket = question.ticket
    price, market = ticket.price, ticket.market
    if ticket.type in ("stop", "stop_limit") and usable(price):
        return f"a stop is valued at its trigger price, {words.price(price)}"
    name, quote = ("ask", market.ask) if ticket.side > 0 else ("bid", market.bid)
    if not usable(quote):
        name, quote = f"mark (there is no {name})", mark_of(market)
    found = [
        f"{what} {words.price(each)}"
        for what, each in (("limit", price), (name, quote))
        if usable(each)
    ]
    if not found:
        return "there is neither a limit price nor a quote nor a mark"
    value = words.price(ticket.valuation_price)
    return f"max({', '.join(found)}) = {value}" if len(found) > 1 else f"{found[0]}"


def closing_words(question: Question, words: Words) -> list[str]:
    """Why the order only reduces risk, or does not."""
    ticket, held = question.ticket, question.holding
    instrument, level = ticket.instrument, question.level
    size = words.lots(question.lots, instrument)
    if held is None or not held.lots:
        return [f"the {level}'s book holds no {question.symbol}: the order opens"]
    position = f"the {level}'s book is {'long' if held.lots > 0 else 'short'} {words.lots(abs(held.lots), instrument)}"
    verb = "buys" if ticket.side > 0 else "sells"
    if held.lots * ticket.side > 0:
        return [f"{position}, and the order {verb}: it adds"]
    works = held.buys if ticket.side > 0 else held.sells
    room = max(0, abs(held.lots) - works)
    working = f", of which {words.lots(works, instrument)} is already being closed" if works else ""
    fits = question.lots <= room
    told = f"{position}{working}: {words.lots(room, instrument)} can be closed, the order {verb} {size}"
    return [told + (": it only reduces" if fits else ": it does not only reduce")]


def _valuation(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    side = "buys max(limit, ask)" if question.ticket.side > 0 else "sells max(limit, bid)"
    return Told(
        f"{side}; without it the mark; stops at their trigger",
        [valuation_words(question, words)],
        total=_valued(question.ticket),
    )


def _valued(ticket: Ticket) -> float:
    market = ticket.market
    if ticket.type in ("stop", "stop_limit") and usable(ticket.price):
        return ticket.price
    quote = market.ask if ticket.side > 0 else market.bid
    prices = (ticket.price, quote if usable(quote) else mark_of(market))
    return max(filter(usable, prices), default=math.nan)


def _notional(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    ticket = question.ticket
    price = ticket.valuation_price
    value = question.lots * (price * ticket.instrument.lot_multiplier)
    part = Part("this order", words.valued(question.lots, price, ticket.instrument), value)
    steps = [f"valuation price: {valuation_words(question, words)}"]
    return Told("size x valuation price x multiplier x FX", steps, [part], is_sum=True)


def _reducing(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    return Told("the only possible result is a smaller position", closing_words(question, words))


def _full_close(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    return Told("the order closes the whole position", closing_words(question, words))


def _deviation(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    ticket, kind = question.ticket, str(params.get("reference"))
    price = ticket.price if usable(ticket.price) else ticket.valuation_price
    window = float(params.get("window", math.nan))
    seen = [(0.0, _reference(ticket.market, kind))]
    seen += [
        (quote.age, _reference(quote, kind))
        for quote in ticket.market.history
        if quote.age <= window and usable(_reference(quote, kind))
    ]
    formula = f"|price - {kind}| / {kind}"
    if not usable(seen[0][1]) or not usable(price):
        return Told(formula, [f"there is no {kind}"])
    age, farthest = max(seen, key=lambda each: abs(price - each[1]) / each[1])
    total = share_of(abs(price - farthest), farthest)
    share = words.amount(total, "ratio")
    step = f"|{words.price(price)} - {words.price(farthest)}| / {words.price(farthest)} = {share}"
    if len(seen) == 1:
        return Told(formula, [step], total=total)
    ago = f"{plain_number(age)}s ago" if age else "now"
    return Told(
        formula + ", from the farthest seen in the window",
        [f"of {len(seen)} seen within {plain_number(window)}s the farthest is that of {ago}", step],
        total=total,
    )


def _reference(quote: Any, kind: str) -> float:
    if kind == "last":
        return float(quote.last)
    if kind == "mid":
        sound = usable(quote.bid) and usable(quote.ask)
        return (quote.bid + quote.ask) / 2 if sound else math.nan
    return mark_of(quote)


def _orders(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    return _left(question, params, of_symbol=False, cancels=False)


def _messages(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    return _left(question, params, of_symbol=False, cancels=params.get("counts") == "messages")


def _symbol_messages(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    return _left(question, params, of_symbol=True, cancels=params.get("counts") == "messages")


def _left(question: Question, params: Mapping[str, Any], *, of_symbol: bool, cancels: bool) -> Told:
    """What left for the book within the window, orders and cancels each by themselves."""
    level, order = question.level, question.case.order

    def found(message: str) -> int:
        return _within(
            question,
            params,
            lambda past: past.message == message
            and (level == "firm" or getattr(past, level) == getattr(order, level))
            and (not of_symbol or past.symbol == order.symbol),
        )

    window = plain_number(float(params.get("window", math.nan)))
    where = f"within {window}s of the {level}" + (f" in {order.symbol}" if of_symbol else "")
    orders = found("order")
    told = f"{orders} order{'s' * (orders != 1)}" if cancels else f"{orders}"
    parts = [Part("earlier", f"{told} {where}", float(orders))]
    if cancels:
        count = found("cancel")
        parts.append(Part("cancels", f"{count} cancel{'s' * (count != 1)}", float(count)))
    parts.append(Part("this order", "this one", 1.0))
    what = "orders and cancels" if cancels else "orders"
    return Told(f"{what} that left within the window, this order included", [], parts, is_sum=True)


def _duplicates(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    order, price = question.case.order, question.ticket.price

    def equal(past: PastOrder) -> bool:
        same = past.message == "order" and (past.account, past.symbol, past.side) == (
            order.account,
            order.symbol,
            order.side,
        )
        sized = to_decimal(past.size) == to_decimal(order.size)
        return same and sized and (past.price == price or past.price != past.price)

    found = _within(question, params, equal)
    window = plain_number(float(params.get("window", math.nan)))
    parts = [Part("equal orders", f"{found} equal within {window}s", float(found))]
    return Told(
        "orders of the same account, side, symbol, size and price within the window",
        [],
        parts,
        is_sum=True,
    )


def _within(
    question: Question, params: Mapping[str, Any], counts: Callable[[PastOrder], bool]
) -> int:
    window = float(params.get("window", math.nan))
    return sum(past.age < window and counts(past) for past in question.case.recent_orders)


def _permitted(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    symbol = question.symbol
    lists = {name: tuple(params.get(name) or ()) for name in ("allow", "deny")}
    hits = {
        name: [each for each in globs if fnmatchcase(symbol, each)] for name, globs in lists.items()
    }
    steps = [
        (
            f"{symbol} matches `{hits[name][0]}` of `{name}`"
            if hits[name]
            else f"{symbol} matches nothing of `{name}`: {', '.join(lists[name]) or 'it is empty'}"
        )
        for name in ("allow", "deny")
    ]
    return Told(
        "the symbol matches `allow` and does not match `deny`",
        steps,
        total=float(bool(hits["allow"]) and not hits["deny"]),
    )


def _kill_state(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    order, switches = question.case.order, question.case.kill_switch
    keys = ["firm", f"account/{order.account}", f"symbol/{order.symbol}"]
    keys += [f"strategy/{order.strategy}"] if order.strategy else []
    keys += [f"venue/{order.venue}"] if order.venue else []
    states = {key: switches.get(key, "active") for key in keys}
    worst = max(states.values(), key=KILL_STATES.index)
    thrown = ", ".join(f"{key} {state}" for key, state in states.items() if state != "active")
    told = thrown or f"{', '.join(keys)}: all active"
    return Told(
        "the strictest of active 0, reducing 1, halted 2",
        [f"{told}: {worst}"],
        total=float(KILL_STATES.index(worst)),
    )


ORDER_FIELDS: dict[str, Teller] = {
    "order.valuation_price": _valuation,
    "order.notional": _notional,
    "order.risk_reducing": _reducing,
    "order.full_close": _full_close,
    "order.permitted": _permitted,
    "order.price_deviation": _deviation,
    "order.rate": _orders,
    "order.messages": _messages,
    "order.symbol_messages": _symbol_messages,
    "order.duplicates": _duplicates,
    "control.kill_state": _kill_state,
}
