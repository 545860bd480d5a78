"""What a decision is made from: the order, instruments, market data, books and controls.

Sizes are exact decimals and become whole lots; prices are float64. A `Case` is everything one
decision depends on, so that every backend can be asked the same question.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ringfence.language.instruments import Instrument, to_decimal

__all__ = [
    "COUNTABLE",
    "KILL_STATES",
    "MESSAGE_KINDS",
    "Book",
    "Case",
    "Instrument",
    "Market",
    "OrderRequest",
    "PastOrder",
    "Position",
    "WorkingOrder",
    "held_lots",
    "step_digits",
    "to_decimal",
    "whole_lots",
]

NAN = float("nan")
KILL_STATES = ("active", "reducing", "halted")
MESSAGE_KINDS = ("order", "cancel")
# Beyond this float64 no longer holds every whole number.
COUNTABLE = 2**53
# Stands for a position of more lots than float64 can count: beyond any limit, and never a crash.
UNCOUNTABLE = 10**40


def step_digits(step: Decimal) -> tuple[int, int]:
    """A step as (m, k) with step = m x 10**-k, both whole and k >= 0."""
    number = step.normalize()
    places = max(0, -int(number.as_tuple().exponent))
    return int(number.scaleb(places)), places


def whole_lots(size: Decimal, lot_step: Decimal) -> int | None:
    """`size` in lots; None where it is no whole number of them, or has more digits than float64."""
    # Compared as a product, and without rounding: a quotient or an `abs` of hostile text (1e999999999) overflows.
    if size.copy_abs() > Decimal(COUNTABLE).scaleb(-step_digits(lot_step)[1]):
        return None
    lots = int((size / lot_step).to_integral_value())
    return lots if lots * lot_step == size else None


def held_lots(size: Decimal, lot_step: Decimal) -> int:
    """Whole lots of what is held or works; a fraction of a lot counts as one more, away from zero."""
    number = to_decimal(size) or Decimal(0)
    exact = whole_lots(number, lot_step)
    if exact is not None:
        return exact
    uncountable = number.copy_abs() > COUNTABLE * lot_step
    away = UNCOUNTABLE if uncountable else math.ceil(number.copy_abs() / lot_step)
    return away if number > 0 else -away


@dataclass(slots=True)
class OrderRequest:
    """An order as asked.

    Attributes:
        side: `buy` or `sell`.
        type: `limit`, `market`, `stop` or `stop_limit`.
        size: In units of the base; text, Decimal, int or float.
        price: Limit price (the trigger price of a stop); None for a market order.
        timestamp: Nanoseconds since 1970 UTC, or None for 'now'.
    """

    account: str
    symbol: str
    side: str
    size: Any
    price: Any = None
    type: str = "limit"
    strategy: str = ""
    venue: str = ""
    reduce_only: bool = False
    client_order_id: str = ""
    timestamp: int | None = None


@dataclass(slots=True)
class Market:
    """Market data of one symbol; NaN where a field is missing. `age` in seconds, negative ahead.

    `history` holds the prices that were seen earlier, each with its own age, in any order.
    """

    bid: float = NAN
    ask: float = NAN
    last: float = NAN
    mark: float = NAN
    age: float = NAN
    completeness: float = NAN
    bid_depth: float = NAN
    ask_depth: float = NAN
    volume: float = NAN
    history: tuple["Market", ...] = ()


@dataclass(slots=True)
class Position:
    """A position: signed size, average entry price and mark (NaN: from market data)."""

    size: Decimal
    entry_price: float = NAN
    mark: float = NAN


@dataclass(slots=True)
class WorkingOrder:
    """An approved order with `size` still unfilled."""

    order_id: str
    symbol: str
    side: str
    size: Decimal
    price: float = NAN


@dataclass(slots=True)
class PastOrder:
    """A message that left earlier, for rates and duplicates; `age` in seconds before the order.

    `message` is one of `MESSAGE_KINDS`. A cancel has the fields of the order that it ended.
    """

    account: str
    symbol: str
    side: str
    size: Decimal
    price: float
    age: float
    strategy: str = ""
    venue: str = ""
    message: str = "order"


@dataclass(slots=True)
class Book:
    """State of one level's book, money in the policy set's currency; NaN where unknown.

    `deposits` are net deposits since the day's reset. `peak_equity` is the equity at which the
    present units would stand at the peak NAV, so that deposits move no drawdown.
    """

    equity: float = NAN
    day_start_equity: float = NAN
    day_start_balance: float = NAN
    peak_equity: float = NAN
    deposits: float = 0.0
    positions: dict[str, Position] = field(default_factory=dict)
    working: list[WorkingOrder] = field(default_factory=list)


@dataclass(slots=True)
class Case:
    """One question for a policy set.

    `books` are keyed `firm`, `account/NAME`, `strategy/NAME`; `kill_switch` by those and
    `venue/NAME`, `symbol/NAME`; `correlations` by the pair of symbols in sorted order, with the
    number of observations behind each.
    """

    order: OrderRequest
    clock_ns: int
    instruments: Mapping[str, Instrument]
    market: Mapping[str, Market]
    books: Mapping[str, Book]
    kill_switch: Mapping[str, str] = field(default_factory=dict)
    correlations: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    recent_orders: tuple[PastOrder, ...] = ()
    fx: Mapping[tuple[str, str], float] = field(default_factory=dict)
