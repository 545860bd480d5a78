"""Orders that a ledger knows: those that work, and the latest of those that ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ringfence.errors import LedgerError
from ringfence.runtime.latest_rows import LatestRows

__all__ = ["REMEMBERED", "KnownOrder", "KnownOrders"]

#: So many ended orders are known, for fills that come late or twice. Guards that share books must agree on it: each
#: refuses a fill of an order that is forgotten, and takes one of an order that is not.
REMEMBERED = 100_000
# An order as plain data: its id; its account, strategy, symbol and side, each as its place among the names; lots; what is
# filled; its reports, or 0 where there are none.
_Row = tuple[str, int, int, int, int, int, int, Any]


@dataclass(slots=True)
class KnownOrder:
    """An approved order; `reports` holds the price and fee told for each size filled until then.

    Most orders end without a fill: none has a dictionary before it needs one.
    """

    order_id: str
    account: str
    strategy: str
    symbol: str
    side: str
    lots: int
    filled: int = 0
    reports: dict[Decimal, tuple[float, float]] | None = None

    @property
    def rest(self) -> int:
        """Lots that are still unfilled."""
        rest = self.lots - self.filled
        return rest if rest > 0 else 0

    @property
    def content(self) -> tuple[str, str, str, str, int]:
        """What two tellings of one order agree in."""
        return self.account, self.strategy, self.symbol, self.side, self.lots

    def reported(self, size: Decimal) -> tuple[float, float] | None:
        """The price and fee that were told for a size filled until then; None where none were."""
        return None if self.reports is None else self.reports.get(size)

    def report(self, size: Decimal, told: tuple[float, float]) -> None:
        """Note the price and fee that were told for a size filled until then."""
        if self.reports is None:
            self.reports = {}
        self.reports[size] = told


class KnownOrders:
    """Orders by their names; of ended ones the latest `remembered`.

    An ended order is kept as a row of plain data that a snapshot takes as it is: what is remembered of a hundred
    thousand orders is small, and so is what a snapshot of them needs besides.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.working: dict[str, KnownOrder] = {}
        self._remembered = remembered
        self._ended = LatestRows[_Row](remembered)
        # Of accounts, strategies, symbols and sides. As few as the books have; none goes.
        self._codes: dict[str, int] = {}
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self.working) + len(self._ended)

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
            raise LedgerError(
                f"`{order.order_id}` stands for another order", fix="give a new order a new name"
            )
        return True

    def add(self, order: KnownOrder) -> None:
        """Take in an order that works from now on."""
        self.working[order.order_id] = order

    def dump(self) -> dict[str, list[Any]]:
        """All of them as plain data, the oldest of each sort first."""
        working = [self._row(each) for each in self.working.values()]
        return {
            "names": list(self._names),
            "working": working,
            "ended": list(self._ended.rows()),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Know the orders of what `dump` gave, and no others."""
        self._names = list(state["names"])
        self._codes = {name: code for code, name in enumerate(self._names)}
        self.working = {row[0]: self._order(row) for row in state["working"]}
        ended: Iterable[_Row] = map(tuple, state["ended"])
        self._ended = LatestRows(self._remembered, ((row[0], row) for row in ended))

    def find(self, order_id: str) -> KnownOrder:
        """The order of a name; of one that ended a copy, see `keep`.

        Raises:
            LedgerError: it was never there, or ended too long ago.
        """
        order = self.working.get(order_id)
        if order is not None:
            return order
        row = self._ended.get(order_id)
        if row is None:
            raise LedgerError(
                f"no order `{order_id}` is known", fix="book a fill of it with `fill_direct`"
            )
        return self._order(row)

    def keep(self, order: KnownOrder) -> None:
        """Keep what was noted of an order that had ended, and was found here."""
        self._ended.change(order.order_id, self._row(order))

    def end(self, order: KnownOrder) -> None:
        """The order works no more."""
        del self.working[order.order_id]
        self._ended.add(order.order_id, self._row(order))

    def _row(self, order: KnownOrder) -> _Row:
        code, reports = self._code, order.reports
        return (
            order.order_id,
            code(order.account),
            code(order.strategy),
            code(order.symbol),
            code(order.side),
            order.lots,
            order.filled,
            [[str(size), *told] for size, told in reports.items()] if reports else 0,
        )

    def _code(self, name: str) -> int:
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self._names)
            self._names.append(name)
        return code

    def _order(self, row: Iterable[Any]) -> KnownOrder:
        order_id, account, strategy, symbol, side, lots, filled, told = row
        names = self._names
        reports = {Decimal(size): (price, fee) for size, price, fee in told} if told else None
        return KnownOrder(
            order_id,
            names[account],
            names[strategy],
            names[symbol],
            names[side],
            lots,
            filled,
            reports,
        )
