"""What could be otherwise beside the books: the order's price and time, market data, kill switches."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from ringfence.backends.explain import Question
from ringfence.backends.explain.amounts import Words, plain_number
from ringfence.language import ir
from ringfence.language.orders import Case, Market
from ringfence.language.rules import Check, walk
from ringfence.language.tickets import usable
from ringfence.review.explaining.what_if import WhatIf
from ringfence.review.sayable import sayable

__all__ = [
    "another_price",
    "better_data",
    "later",
    "more_liquidity",
    "on_the_tick",
    "switches_reset",
]

#: A size or volume of so many times what is there is no help to anybody.
_FAR = 1e6


def another_price(question: Question, words: Words, *, collar: bool) -> Iterator[WhatIf]:
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
    yield WhatIf(
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


def later(question: Question) -> Iterator[WhatIf]:
    """Later: earlier orders leave the window one by one."""
    window = float(question.asked.params.get("window", math.nan))
    ages = sorted({past.age for past in question.case.recent_orders if past.age < window})
    if not ages:
        return

    def apply(case: Case, seconds: float) -> Case:
        older = tuple(replace(past, age=past.age + seconds) for past in case.recent_orders)
        return replace(case, recent_orders=older)

    yield WhatIf(
        "state",
        apply=apply,
        text=lambda x: f"the same order {plain_number(x)}s later, when earlier ones have left the window",
        values=lambda x: {"later": f"{plain_number(x)}s"},
        end=window - ages[0],
        rounded=lambda x, digits: sayable(x, up=True, digits=digits),
    )


def more_liquidity(question: Question, words: Words, volume: bool) -> Iterator[WhatIf]:
    """More size on the side that the order would take, or a larger recent volume."""
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
    yield WhatIf(
        "state",
        apply=apply,
        text=lambda x: f"{what} of at least {words.amount(x, 'quantity')} (now {words.amount(now, 'quantity')})",
        values=lambda x: {name: plain_number(x)},
        start=now,
        end=max(now, 1.0) * _FAR,
        rounded=lambda x, digits: sayable(x, up=True, digits=digits),
    )


def switches_reset(question: Question) -> WhatIf:
    """Every thrown switch that touches the order, reset: a need of a person, tried as one change."""
    order, switches = question.case.order, question.case.kill_switch
    keys = ["firm", f"account/{order.account}", f"symbol/{order.symbol}"]
    keys += [f"strategy/{order.strategy}", f"venue/{order.venue}"]
    thrown = {key: switches[key] for key in keys if switches.get(key, "active") != "active"}

    def apply(case: Case, _: float) -> Case:
        return replace(case, kill_switch={**case.kill_switch, **dict.fromkeys(thrown, "active")})

    told = ", ".join(f"{key} is {state}" for key, state in thrown.items())
    if set(thrown.values()) == {"reducing"}:
        told += "; an order that only reduces risk passes as it is"
    return WhatIf(
        "state",
        apply=apply,
        text=lambda _: f"the kill switch has to be reset by a person who may: {told}",
        values=lambda _: dict.fromkeys(thrown, "active"),
        only=1.0,
    )


def better_data(question: Question, names: set[str], failing: Sequence[Check]) -> Iterator[WhatIf]:
    """Market data that is younger, complete, not crossed or with a narrower spread."""
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
        yield WhatIf(
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
        yield WhatIf("need", need=f"market data with {what}")
    if "market.crossed" in names:
        yield WhatIf(
            "need", need=f"a quote of {symbol} that is not crossed: the bid at or below the ask"
        )
    if "market.spread" in names:
        yield WhatIf("need", need=f"a narrower spread in {symbol}")


def on_the_tick(question: Question, words: Words) -> Iterator[WhatIf]:
    """The two prices on the tick beside the order's."""
    ticket = question.ticket
    tick = ticket.instrument.tick_size
    if tick is None or not usable(ticket.price) or question.asked.read("order.on_tick"):
        return
    whole = math.floor(Decimal(repr(ticket.price)) / tick)
    for places in (whole, whole + 1):
        price = float(places * tick)
        if usable(price):
            yield WhatIf(
                "order",
                apply=lambda case, x: replace(case, order=replace(case.order, price=x)),
                text=lambda x: f"a limit price of {words.price(x)}, which is on the tick",
                values=lambda x: {"price": plain_number(x).replace(",", "")},
                only=price,
            )
