"""Fields of market data opened up."""

# ruff: noqa: ARG001  (one table of tellers: each takes the question, the parameters and the words)

import math
from collections.abc import Mapping
from typing import Any

from ringfence.backends.explain.amounts import Words, plain_number
from ringfence.backends.explain.asked import Question
from ringfence.backends.explain.order_fields import Teller, Told
from ringfence.language.differences import share_of
from ringfence.language.tickets import usable

__all__ = ["MARKET_FIELDS"]


def _completeness(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    market, required = question.ticket.market, tuple(params.get("required") or ())
    lacking = [each for each in required if not usable(getattr(market, each))]
    there = len(required) - len(lacking)
    steps = [f"{there} of {', '.join(required)} are there and above zero"]
    if lacking:
        steps.append(f"missing: {', '.join(lacking)}")
    share = there / len(required) if required else math.nan
    if math.isfinite(market.completeness):
        share = min(share, market.completeness)
        steps.append(f"the feed itself says {words.amount(market.completeness, 'ratio')}")
    return Told(
        "required fields that are present and sane, never above what the feed says",
        steps,
        total=share,
    )


def _mid(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    bid, ask = question.ticket.market.bid, question.ticket.market.ask
    mid = (bid + ask) / 2 if usable(bid) and usable(ask) else math.nan
    step = f"({words.price(bid)} + {words.price(ask)}) / 2 = {words.price(mid)}"
    return Told("(bid + ask) / 2", [step], total=mid)


def _spread(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    bid, ask = question.ticket.market.bid, question.ticket.market.ask
    mid = (bid + ask) / 2 if usable(bid) and usable(ask) else math.nan
    total = share_of(ask - bid, mid) if usable(mid) else math.nan
    share = words.amount(total, "ratio")
    step = f"({words.price(ask)} - {words.price(bid)}) / {words.price(mid)} = {share}"
    return Told("(ask - bid) / mid", [step], total=total)


def _crossed(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    bid, ask = question.ticket.market.bid, question.ticket.market.ask
    above = usable(bid) and usable(ask) and bid > ask
    told = (
        f"bid {words.price(bid)}, ask {words.price(ask)}: {'crossed' if above else 'not crossed'}"
    )
    return Told("the bid lies above the ask", [told], total=float(above))


def _mark(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    market = question.ticket.market
    if usable(market.mark):
        said = "a mark is given"
    elif usable(market.bid) and usable(market.ask) and market.bid <= market.ask:
        said = f"no mark is given: ({words.price(market.bid)} + {words.price(market.ask)}) / 2"
    else:
        said = "no mark and no sound quote is given: the last trade"
    return Told("the mark; without one the middle of bid and ask, then the last trade", [said])


def _age(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    age = question.ticket.market.age
    if age != age:
        return Told("how old the market data is", ["there is no market data"])
    when = f"{plain_number(abs(age))}s {'ahead of' if age < 0 else 'before'} the order"
    return Told("how old the market data is; ahead of time counts as skew", [f"it is of {when}"])


MARKET_FIELDS: dict[str, Teller] = {
    "market.completeness": _completeness,
    "market.mid": _mid,
    "market.mark": _mark,
    "market.spread": _spread,
    "market.crossed": _crossed,
    "market.age": _age,
    "market.skew": _age,
}
