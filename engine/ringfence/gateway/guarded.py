"""What following, cancelling and comparing need of a guard, and when an order's end may be told to it."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from ringfence.errors import LedgerError
from ringfence.runtime.exchanges import OrderAck, OrderState
from ringfence.runtime.reconciliation import Difference, VenueSnapshot

if TYPE_CHECKING:
    from ringfence.runtime.book_view import BookView
    from ringfence.runtime.guard_core import WorkingOrder
    from ringfence.runtime.kill_switches import Switch

__all__ = ["ENDED", "LATE_NS", "Guard", "Records", "is_over", "settle"]

#: So long after its approval has run out an order that was not found counts as never sent: the clocks of
#: exchange, gateway and guard may differ by less.
LATE_NS = 10_000_000_000
#: States of an order that has ended.
ENDED = (OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED)


class Records(Protocol):
    """The part of the audit log that takes records."""

    def append(self, kind: str, body: Mapping[str, Any]) -> int:
        """Take in a record and give its sequence number."""
        ...


class Guard(Protocol):
    """The part of `CentralRiskGuard` that is needed here."""

    @property
    def kill_switches(self) -> "tuple[Switch, ...]":
        """Every switch that was ever set."""
        ...

    def working_orders(
        self, *, account: str | None = None, venue: str | None = None
    ) -> "tuple[WorkingOrder, ...]":
        """Orders that were approved and have not ended, of one account or sent to one venue where asked."""
        ...

    def order_of(self, client_order_id: str) -> str:
        """The order that was approved under a client order id; empty where there is none."""
        ...

    def book(self, name: str) -> "BookView":
        """A book as it is now."""
        ...

    def on_fill(self, order_id: str, cumulative_size: Any, price: Any, fee: Any = 0) -> Decimal:
        """Book a fill, once for each size filled until then."""
        ...

    def on_cancel(self, order_id: str) -> bool:
        """Release what an order still reserves."""
        ...

    def on_expire(self, order_id: str) -> bool:
        """As `on_cancel`, for an order that ended by itself: no message left."""
        ...

    @property
    def unreconciled(self) -> frozenset[str]:
        """Accounts that may only reduce their risk, for they differ from their venue."""
        ...

    def reconcile(
        self, snapshot: VenueSnapshot, *, among: Collection[tuple[str, str]] | None = None
    ) -> tuple[Difference, ...]:
        """Compare an account with its venue; only differences of `among` count, where it is given."""
        ...


def is_over(order: "WorkingOrder", answer: OrderAck, now_ns: int) -> bool:
    """Whether an answer says that the order has ended and can never come to life again.

    An order that the exchange has never seen may still be on its way, from any process that has its approval.
    """
    if answer.state is OrderState.REJECTED and not answer.exchange_order_id:
        return now_ns >= order.expires_ns + LATE_NS
    return answer.state in ENDED


def settle(guard: Guard, order: "WorkingOrder", answer: OrderAck) -> bool:
    """Tell the guard of an order's end, once it knows all of the order's fills; False until then.

    Args:
        answer: Of an order that is over.

    Raises:
        StateError, AuditError: as `CentralRiskGuard.on_cancel`.
    """
    if answer.filled > order.filled:
        return False
    end = guard.on_cancel if answer.state is OrderState.CANCELLED else guard.on_expire
    try:
        end(order.order_id)
    except LedgerError:
        # It ended so long ago that the guard has forgotten it.
        return True
    return True
