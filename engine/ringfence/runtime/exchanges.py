"""What the gateway needs of an exchange, and the values that go to and fro.

Sizes and prices are exact decimals, in units of the base and of the quote currency.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal
from enum import StrEnum
from typing import Protocol

from ringfence.errors import ExchangeError

__all__ = [
    "Exchange",
    "ExchangeFill",
    "ExchangeOrder",
    "OpenOrder",
    "OrderAck",
    "OrderState",
    "Watch",
    "cut_to_step",
]

# Exact for any size and step that the bound below lets through.
_EXACT = Context(prec=200, rounding=ROUND_DOWN)
_MOST = Decimal(10) ** 40


class OrderState(StrEnum):
    """Where an order stands, as the exchange tells it.

    `unknown`: it may have arrived and may not. Its risk counts until `Exchange.find` gives an answer.
    """

    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """An order on its way out; `deadline_ns` (since 1970, UTC) is when it must not be sent any more."""

    account: str
    symbol: str
    side: str
    type: str
    size: Decimal
    price: Decimal | None
    client_order_id: str
    deadline_ns: int


@dataclass(frozen=True, slots=True)
class OrderAck:
    """The exchange's answer; `size` is what was sent, never above what was asked, 0 if nothing was.

    `reason` says why an order was rejected, or why its state is unknown.
    """

    client_order_id: str
    exchange_order_id: str
    state: OrderState
    size: Decimal
    filled: Decimal = Decimal(0)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that works, or waits for its trigger."""

    client_order_id: str
    exchange_order_id: str
    symbol: str
    side: str
    type: str
    size: Decimal
    filled: Decimal
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class ExchangeFill:
    """One execution.

    Attributes:
        fill_id: The exchange's name for it.
        cursor: Where to go on after this fill.
        client_order_id: Our name for the order, or empty where it is not ours.
        cumulative_size: Filled of the order in all, this fill included, as a ledger's `fill` takes it.
        fee: In `fee_currency`; below zero for a rebate.
        timestamp: Nanoseconds since 1970 UTC.
    """

    fill_id: str
    cursor: str
    client_order_id: str
    exchange_order_id: str
    symbol: str
    side: str
    size: Decimal
    cumulative_size: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    timestamp: int


class Watch(Protocol):
    """A connection over which an exchange tells what happens."""

    @property
    def is_up(self) -> bool:
        """Whether everything that happens is told at present."""
        ...

    def close(self) -> None:
        """Be told nothing more."""
        ...


class Exchange(Protocol):
    """One venue, with the credentials of `accounts`. Safe to use from several threads."""

    @property
    def venue(self) -> str:
        """Its name in orders and policies."""
        ...

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts it can act for."""
        ...

    def submit(self, order: ExchangeOrder) -> OrderAck:
        """Send an order at most once, cut down to whole lots and never raised.

        A second order with the client order id of a first one is never a second order at the exchange.
        Gives `UNKNOWN` where it may have arrived; `find` tells later.

        Raises:
            ExchangeError: it was certainly not sent.
        """
        ...

    def find(self, account: str, client_order_id: str) -> OrderAck:
        """Where an order of ours stands; `REJECTED` once it is certain that it never arrived.

        Raises:
            ExchangeError: the exchange cannot be asked.
        """
        ...

    def cancel(self, account: str, client_order_id: str) -> bool:
        """Cancel an order; False where none of that name works.

        Raises:
            ExchangeError: it is not known whether it was cancelled.
        """
        ...

    def open_orders(self, account: str) -> tuple[OpenOrder, ...]:
        """All orders of the account that work.

        Raises:
            ExchangeError: the exchange cannot be asked.
        """
        ...

    def fills_after(self, account: str, cursor: str) -> tuple[ExchangeFill, ...]:
        """Fills after the one whose cursor is given (empty: from the first), oldest first.

        Raises:
            ExchangeError: the exchange cannot be asked.
        """
        ...

    def cursor_at(self, account: str, moment_ns: int) -> str:
        """A cursor that every fill from that moment on (ns since 1970, UTC) comes after.

        Raises:
            ExchangeError: the account is not served.
        """
        ...

    def balances(self, account: str) -> Mapping[str, Decimal]:
        """What the account owns of each currency (`BTC`, `USD`), what its orders hold included.

        Raises:
            ExchangeError: the exchange cannot be asked.
        """
        ...

    def know(self, client_order_ids: Iterable[str]) -> None:
        """Take note of names under which earlier processes sent orders, so that fills and open orders
        carry them and not another form that the exchange keeps."""
        ...

    def watch(self, account: str, tell: Callable[[OrderAck | None], None]) -> Watch | None:
        """Be told of orders as soon as something happens to them; None where there is only asking.

        Args:
            account: Whose orders.
            tell: Called with where an order stands, and with None where something may have been missed
                (also whenever the connection comes up). It may be called from any thread, must be quick,
                and must not raise.
        """
        ...


def cut_to_step(number: Decimal, step: Decimal) -> Decimal:
    """The largest whole multiple of `step` that is not above `number`; exact, never rounded up.

    Raises:
        ExchangeError: `number` is below zero or beyond anything that is traded, or `step` not above zero.
    """
    if not (0 <= number < _MOST and step > 0 and step.adjusted() > -40):
        raise ExchangeError("SIZE", f"{number} cannot be counted in steps of {step}")
    if number < step:
        return Decimal(0)
    return _EXACT.multiply(_EXACT.divide_int(number, step), step)
