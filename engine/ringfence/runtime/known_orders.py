"""Orders that a ledger knows: those that work, and the latest of those that ended."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from ringfence.errors import LedgerError

__all__ = ["KnownOrder", "KnownOrders"]


@dataclass(slots=True)
class KnownOrder:
    """An approved order; `reports` holds the price and fee told for each size filled until then."""

    order_id: str
    account: str
    strategy: str
    symbol: str
    side: str
    lots: int
    filled: int = 0
    reports: dict[Decimal, tuple[float, float]] = field(default_factory=dict)

    @property
    def rest(self) -> int:
        """Lots that are still unfilled."""
        rest = self.lots - self.filled
        return rest if rest > 0 else 0

    @property
    def content(self) -> tuple[str, str, str, str, int]:
        """What two tellings of one order agree in."""
        return self.account, self.strategy, self.symbol, self.side, self.lots


class KnownOrders:
    """Orders by their names; of ended ones the latest `remembered`."""

    def __init__(self, remembered: int) -> None:
        self.working: dict[str, KnownOrder] = {}
        self._ended: OrderedDict[str, KnownOrder] = OrderedDict()
        self._remembered = remembered

    def has(self, order: KnownOrder) -> bool:
        """Whether this very order works already.

        Raises:
            LedgerError: its name stands for another order, or for one that ended.
        """
        if order.order_id in self._ended:
            raise LedgerError(f"`{order.order_id}` has ended", fix="give a new order a new name")
        known = self.working.get(order.order_id)
        if known is None:
            return False
        if known.content != order.content:
            raise LedgerError(f"`{order.order_id}` stands for another order")
        return True

    def add(self, order: KnownOrder) -> None:
        """Take in an order that works from now on."""
        self.working[order.order_id] = order

    def dump(self) -> tuple[list[KnownOrder], list[KnownOrder]]:
        """Orders that work, and those that ended, each the oldest first."""
        return list(self.working.values()), list(self._ended.values())

    def load(self, working: Iterable[KnownOrder], ended: Iterable[KnownOrder]) -> None:
        """Know these orders, and no others."""
        self.working = {order.order_id: order for order in working}
        self._ended = OrderedDict((order.order_id, order) for order in ended)

    def find(self, order_id: str) -> KnownOrder:
        """The order of a name.

        Raises:
            LedgerError: it was never there, or ended too long ago.
        """
        order = self.working.get(order_id) or self._ended.get(order_id)
        if order is None:
            raise LedgerError(
                f"no order `{order_id}` is known", fix="book a fill of it with `fill_direct`"
            )
        return order

    def end(self, order: KnownOrder) -> None:
        """The order works no more."""
        del self.working[order.order_id]
        self._ended[order.order_id] = order
        while len(self._ended) > self._remembered:
            self._ended.popitem(last=False)
