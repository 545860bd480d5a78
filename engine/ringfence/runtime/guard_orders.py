"""Orders of a guard by the names that they are sent under, for who sends, cancels and follows them."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from ringfence.runtime.guard_books import Remembered
from ringfence.runtime.guard_core import GuardCore

__all__ = ["GuardOrders", "SentOrder"]

_Name = tuple[str, Remembered | None]


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An approved order that has not ended at the guard, whether or not it was ever sent.

    Attributes:
        order_id: `GuardDecision.id`, which is the approval's id as well.
        client_order_id: The name at the exchange; empty where the order has none, or where it is forgotten.
        size: Approved, in units of the base.
        filled: Of it, as the guard was told.
        reduce_only: Whether the order was asked for as one that only reduces risk.
        approved_ns, expires_ns: When it was approved, and until when it may be sent; ns since 1970, UTC.
    """

    order_id: str
    client_order_id: str
    account: str
    strategy: str
    venue: str
    symbol: str
    side: str
    size: Decimal
    filled: Decimal
    reduce_only: bool
    approved_ns: int
    expires_ns: int

    @property
    def rest(self) -> Decimal:
        """Size that is still unfilled."""
        return self.size - self.filled


class GuardOrders(GuardCore):
    """What `CentralRiskGuard` tells of its orders."""

    def sent_orders(self, venue: str = "", account: str = "") -> tuple[SentOrder, ...]:
        """Orders that were approved and have not ended, the oldest first.

        Args:
            venue, account: Only theirs; empty for all.
        """
        with self._lock:
            return tuple(
                order
                for order in self._sent()
                if venue in ("", order.venue) and account in ("", order.account)
            )

    def order_id(self, client_order_id: str) -> str:
        """The id of the order that was approved under a client order id; empty where there is none."""
        with self._lock:
            answer = self._books.answers.get(client_order_id)
            return answer.decision_id if answer is not None and answer.lots else ""

    def _sent(self) -> Iterator[SentOrder]:
        ledger = self._books.ledger
        working = ledger.orders.working
        known = self._names_of(working.keys())
        for order_id, order in working.items():
            client_order_id, answer = known.get(order_id, ("", None))
            step = ledger.arrays.lot_step(order.symbol)
            yield SentOrder(
                order_id,
                client_order_id,
                order.account,
                order.strategy,
                answer.content[2] if answer is not None else "",
                order.symbol,
                order.side,
                order.lots * step,
                order.filled * step,
                bool(answer.content[8]) if answer is not None else False,
                answer.at_ns if answer is not None else 0,
                answer.expires_ns if answer is not None else 0,
            )

    def _names_of(self, order_ids: AbstractSet[str]) -> dict[str, _Name]:
        """The answers that orders were approved with; new ones are looked for among the latest answers."""
        found: dict[str, _Name] = self.__dict__.setdefault("_sent_as", {})
        for gone in found.keys() - order_ids:
            del found[gone]
        missing = set(order_ids - found.keys())
        if missing:
            for client_order_id, answer in reversed(self._books.answers.items()):
                if answer.decision_id in missing:
                    found[answer.decision_id] = (client_order_id, answer)
                    missing.discard(answer.decision_id)
                    if not missing:
                        break
            # Noted as well, or every call would look through all answers for them.
            found.update((order_id, ("", None)) for order_id in missing)
        return found
