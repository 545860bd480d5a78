"""Orders and quotes of the paper exchange, and what an exchange checks when an order arrives."""

from dataclasses import dataclass
from decimal import Decimal

from ringfence.language.instruments import Instrument, to_decimal
from ringfence.runtime.exchanges import ExchangeOrder, OrderAck, OrderState, cut_to_step

__all__ = ["PaperOrder", "Quote", "above_zero", "fault_of", "known_depth", "reached"]

_TYPES = ("limit", "market", "stop")


@dataclass(slots=True)
class Quote:
    """What can be bought and sold at which price; fills take from its depth until the next quote."""

    bid: Decimal | None
    ask: Decimal | None
    bid_depth: Decimal | None
    ask_depth: Decimal | None
    moment_ns: int

    def take(self, buys: bool, size: Decimal) -> None:
        """Less is left of the ask, where someone buys, or of the bid."""
        if buys and self.ask_depth is not None:
            self.ask_depth -= size
        elif not buys and self.bid_depth is not None:
            self.bid_depth -= size


@dataclass(slots=True)
class PaperOrder:
    """An order that arrived; `met` is the last quote that it could have traded with."""

    sent: ExchangeOrder
    exchange_order_id: str
    instrument: Instrument
    active_ns: int
    state: OrderState = OrderState.WORKING
    reason: str = ""
    filled: Decimal = Decimal(0)
    triggered: bool = False
    rested: bool = False
    met: Quote | None = None

    @property
    def rest(self) -> Decimal:
        """Size that is still unfilled."""
        return self.sent.size - self.filled

    def ack(self) -> OrderAck:
        """What the exchange says of it."""
        sent = Decimal(0) if self.state is OrderState.REJECTED else self.sent.size
        return OrderAck(
            self.sent.client_order_id,
            self.exchange_order_id,
            self.state,
            sent,
            self.filled,
            self.reason,
        )


def reached(order: PaperOrder, price: Decimal, buys: bool) -> bool:
    """Whether the order trades at this price; a stop becomes a market order once it was touched."""
    limit = order.sent.price
    if order.sent.type == "market" or order.triggered or limit is None:
        return True
    if order.sent.type == "stop":
        order.triggered = price >= limit if buys else price <= limit
        return order.triggered
    return price <= limit if buys else price >= limit


def fault_of(order: ExchangeOrder, instrument: Instrument) -> str:
    """What an exchange would refuse the order for; empty for nothing."""
    if order.side not in ("buy", "sell") or order.type not in _TYPES:
        return f"`{order.side}` `{order.type}` is no order of this exchange"
    if (order.price is None) != (order.type == "market"):
        return "a market order has no price, and every other order has one"
    if order.size <= 0 or (instrument.min_size is not None and order.size < instrument.min_size):
        return "below the minimum size"
    if instrument.max_size is not None and order.size > instrument.max_size:
        return "above the maximum size"
    tick = instrument.tick_size
    if order.price is not None and tick and cut_to_step(order.price, tick) != order.price:
        return "the price is no multiple of the tick"
    return ""


def above_zero(value: float) -> Decimal | None:
    """A price as a decimal; None where it is none."""
    number = to_decimal(value)
    return number if number is not None and number > 0 else None


def known_depth(value: float) -> Decimal | None:
    """A depth as a decimal; None where it is not known."""
    number = to_decimal(value)
    return None if number is None else max(number, Decimal(0))
