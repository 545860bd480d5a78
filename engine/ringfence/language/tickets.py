"""The order once read: whole lots, prices as numbers; or why it cannot be judged at all.

What never skips: instrument, side, type, size, price.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ringfence.language.fields import ORDER_TYPES
from ringfence.language.instruments import convert
from ringfence.language.linking import MANDATORY, Bound, LinkedSet
from ringfence.language.orders import (
    Case,
    Instrument,
    Market,
    WorkingOrder,
    to_decimal,
    whole_lots,
)

__all__ = [
    "REDUCE_ONLY_UNTRUE",
    "Refusal",
    "Ticket",
    "mark_of",
    "not_covered",
    "read_ticket",
    "usable",
    "valuation_price",
    "working_price",
]

NAN = float("nan")


def usable(price: float) -> bool:
    """A price that can value something: finite and above zero."""
    return math.isfinite(price) and price > 0


def mark_of(market: Market | None) -> float:
    """The mark; without one the middle of an uncrossed bid and ask, then the last trade."""
    if market is None:
        return NAN
    if usable(market.mark):
        return market.mark
    if usable(market.bid) and usable(market.ask) and market.bid <= market.ask:
        return (market.bid + market.ask) / 2
    return market.last if usable(market.last) else NAN


def working_price(orders: Iterable[WorkingOrder], symbol: str) -> float:
    """What working orders of a symbol are valued at where nothing is held of it and it has no mark.

    The highest price among them. A position takes no price from them: who sends an order chooses its price, and
    one far from the market would make the position look small.
    """
    prices = [each.price for each in orders if each.symbol == symbol and usable(each.price)]
    return max(prices, default=NAN)


@dataclass(slots=True)
class Ticket:
    """The order once read: side +1 or -1, whole lots, prices as floats (NaN where absent)."""

    side: int
    lots: int
    type: str
    price: float
    valuation_price: float
    reduce_only: bool
    instrument: Instrument
    market: Market


def valuation_price(side: int, order_type: str, price: float, market: Market) -> float:
    """Buys max(limit, ask), sells max(limit, bid); without bid and ask the mark; stops: trigger.

    Own choice of this project: it errs towards rejecting, and is never a constant.
    """
    if order_type in ("stop", "stop_limit") and usable(price):
        return price
    quote = market.ask if side > 0 else market.bid
    if not usable(quote):
        quote = mark_of(market)
    found = [each for each in (price, quote) if usable(each)]
    return max(found) if found else NAN


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order is refused before, or whatever, its gates say."""

    code: str
    message: str


REDUCE_ONLY_UNTRUE = Refusal(
    "REDUCE_ONLY_UNTRUE",
    "the order carries the reduce-only flag, but would not only reduce the position",
)


def not_covered(bounds: Sequence[Bound], check_mandatory: bool) -> Refusal | None:
    """Why the gates that bind an order are not enough, or None where they are."""
    if not bounds:
        return Refusal("NO_POLICY", "no policy covers this order")
    if not check_mandatory:
        return None
    enforced = {bound.gate.rule.name for bound in bounds if bound.gate.mode == "enforce"}
    lacking = [name for name in MANDATORY if name not in enforced]
    if lacking:
        return Refusal(
            "MANDATORY_GATE_MISSING", f"no enforced gate `{lacking[0]}` covers this order"
        )
    return None


def read_ticket(case: Case, linked: LinkedSet) -> tuple[Ticket | None, Refusal | None]:
    """Read the order; without a ticket the gates cannot be asked."""
    order = case.order
    instrument = case.instruments.get(order.symbol)
    if instrument is None:
        return None, Refusal("UNKNOWN_INSTRUMENT", f"`{order.symbol}` is no known instrument")
    if order.side not in ("buy", "sell"):
        return None, Refusal("INVALID_SIDE", f"side `{order.side}` is neither buy nor sell")
    if order.type not in ORDER_TYPES:
        return None, Refusal("INVALID_TYPE", f"order type `{order.type}` is not supported")
    size = to_decimal(order.size)
    if size is None or size <= 0:
        return None, Refusal("INVALID_SIZE", f"size `{order.size}` is not a number above zero")
    lots = whole_lots(size, instrument.lot_step)
    if lots is None:
        return None, Refusal(
            "SIZE_OFF_STEP",
            f"size {size} is no multiple of the lot step {instrument.lot_step}",
        )
    rate = convert({**linked.desk.fx, **case.fx}, instrument.quote, linked.currency)
    if rate is None:
        return None, Refusal(
            "NO_FX_RATE", f"no FX rate between {instrument.quote} and {linked.currency}"
        )
    instrument = replace(instrument, fx=rate)
    market = case.market.get(order.symbol) or Market()
    side = 1 if order.side == "buy" else -1
    price = _price(order.price)
    value = valuation_price(side, order.type, price, market)
    ticket = Ticket(
        side, lots, order.type, price, value, bool(order.reduce_only), instrument, market
    )
    return ticket, _price_refusal(order.price, order.type, price, value)


def _price_refusal(given: Any, order_type: str, price: float, value: float) -> Refusal | None:
    wanted = given is not None or order_type != "market"
    if wanted and not (math.isfinite(price) and price > 0):
        return Refusal("INVALID_PRICE", f"price `{given}` is not a number above zero")
    if not (math.isfinite(value) and value > 0):
        return Refusal("NO_PRICE", "there is no price to value the order at")
    return None


def _price(given: Any) -> float:
    if isinstance(given, float):
        return given
    number = to_decimal(given)
    return float(number) if number is not None else float("nan")
