"""Base against head: which orders change, by which gate, and what is at stake."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence.replay.codes import NameTable
from ringfence.replay.compiled import compiled
from ringfence.replay.decided import DECISIONS, DecidedBatch, GateColumn
from ringfence.replay.moments import finite, iso

__all__ = ["EXAMPLES", "Changes"]

_KINDS = ("newly_rejected", "newly_reduced", "newly_approved", "resized")
_PARTS = ("strategy", "symbol")

#: The most changed orders that are listed: those that move the most notional, earlier ones first.
EXAMPLES = 500


@dataclass(slots=True)
class _Side:
    columns: tuple[GateColumn, ...]
    orders: npt.NDArray[Any]
    money: npt.NDArray[Any]


class Changes:
    """Compares both sides' decisions of the same orders, batch after batch.

    Sums are taken in row order: the same bit for bit however the rows were cut into batches.

    Args:
        mode: `propagated` or `frozen`, the same on both sides.
        base, head: Their gate columns.
        symbols: How many symbols there are.
    """

    def __init__(
        self, mode: str, base: Sequence[GateColumn], head: Sequence[GateColumn], symbols: int
    ) -> None:
        self.mode = mode
        self._base, self._head = (
            _Side(tuple(each), np.zeros(len(each) + 1, np.int64), np.zeros(len(each) + 1))
            for each in (base, head)
        )
        self.counts = np.zeros(5, np.int64)
        self._money = np.zeros(2)
        self._traded = np.zeros((symbols, 2))
        self._parts = {name: np.zeros((0, len(_KINDS)), np.int64) for name in _PARTS}
        self._rows = np.zeros(0, np.int64)
        self._moved = np.zeros(0)
        self._kept: list[dict[str, Any]] = []

    def add(self, base: DecidedBatch, head: DecidedBatch) -> None:
        """Compare one batch; nothing of it is kept by reference."""
        count = len(head)
        if count > len(self._rows):
            self._rows, self._moved = np.zeros(count, np.int64), np.zeros(count)
        most = int(head.orders.symbol.max()) + 1 if count else 0
        if most > len(self._traded):
            self._traded = np.concatenate([self._traded, np.zeros((most - len(self._traded), 2))])
        orders = head.orders
        found = compiled("tally").count_changes(
            base.decision, head.decision, base.size, head.size, orders.size, orders.price,
            orders.side, orders.symbol, head.notional, base.gate, head.gate, self.counts, self._money,
            self._traded, self._base.orders, self._base.money, self._head.orders,
            self._head.money, self._rows, self._moved,
        )  # fmt: skip
        if found:
            self._count_parts(base, head, self._rows[:found])
            self._keep(base, head, self._rows[:found], self._moved[:found])

    def _count_parts(self, base: DecidedBatch, head: DecidedBatch, rows: npt.NDArray[Any]) -> None:
        before, after = base.decision[rows], head.decision[rows]
        # As they are counted in all: rejected, reduced, approved, and resized where the decision stays.
        kind = np.where(before == after, 3, 2 - after)
        for name in _PARTS:
            codes = getattr(head.orders, name)[rows].astype(np.int64)
            size = max(int(codes.max()) + 1, len(self._parts[name]))
            counted = np.bincount(codes * len(_KINDS) + kind, minlength=size * len(_KINDS))
            counted = counted.reshape(size, len(_KINDS))
            counted[: len(self._parts[name])] += self._parts[name]
            self._parts[name] = counted

    def _keep(
        self,
        base: DecidedBatch,
        head: DecidedBatch,
        rows: npt.NDArray[Any],
        moved: npt.NDArray[Any],
    ) -> None:
        if len(self._kept) == EXAMPLES:
            least = self._kept[-1]["_moved"]
            # Later orders of equal notional do not push out earlier ones.
            above = moved > least
            rows, moved = rows[above], moved[above]
        if len(rows) > EXAMPLES:
            best = np.sort(np.lexsort((rows, -moved))[:EXAMPLES])
            rows, moved = rows[best], moved[best]
        for row, worth in zip(rows.tolist(), moved.tolist(), strict=True):
            self._kept.append(self._example(base, head, row, worth))
        self._kept.sort(key=lambda each: (-each["_moved"], each["_at"]))
        del self._kept[EXAMPLES:]

    def _example(
        self, base: DecidedBatch, head: DecidedBatch, row: int, moved: float
    ) -> dict[str, Any]:
        orders = head.orders
        # The stricter side's gate is the one that did it.
        ours = head.size[row] <= base.size[row] and head.gate[row] >= 0
        side, columns = (head, self._head.columns) if ours else (base, self._base.columns)
        gate = int(side.gate[row])
        column = columns[gate] if gate >= 0 else None
        return {
            "_moved": moved,
            "_at": orders.start + row,
            "ts": iso(int(orders.ts[row])),
            "order_id": str(orders.order_id[row].as_py()),
            "account": int(orders.account[row]),
            "strategy": int(orders.strategy[row]),
            "symbol": int(orders.symbol[row]),
            "side": "buy" if orders.side[row] > 0 else "sell",
            "size": finite(orders.size[row]),
            "price": finite(orders.price[row]),
            "base": _outcome(base, row),
            "head": _outcome(head, row),
            "gate": column.name if column else None,
            "measure": finite(side.measure[gate, row]) if column else None,
            "limit": finite(side.limit[gate, row]) if column else None,
            "unit": column.unit if column else None,
            "notional": moved if head.notional[row] == head.notional[row] else None,
        }

    def result(
        self,
        *,
        currency: str,
        last_marks: npt.NDArray[np.float64],
        money_per_price: npt.NDArray[np.float64],
        accounts: NameTable,
        strategies: NameTable,
        symbols: NameTable,
    ) -> dict[str, Any]:
        """The comparison, as `changes` of the summary's schema has it.

        The P&L at stake is what the difference in size would have made or lost from each order's
        price (its valuation price where it has none) to the symbol's last mark; None where a symbol that
        changed has no mark.

        Args:
            currency: Of the head's policy set.
            last_marks, money_per_price: Of the head's engine, by symbol.
            accounts, strategies, symbols: Tables of names.
        """
        total = int(self.counts[:4].sum())
        examples = sorted(self._kept, key=lambda each: each["_at"])
        return {
            "mode": self.mode,
            "orders": total,
            "newly_rejected": int(self.counts[0]),
            "newly_reduced": int(self.counts[1]),
            "newly_approved": int(self.counts[2]),
            "resized": int(self.counts[3]),
            "notional_at_stake": finite(self._money[0]),
            "pnl_at_stake": self._pnl(last_marks, money_per_price),
            "currency": currency,
            "by_gate": self._by_gate(),
            "by_strategy": self._by_part("strategy", strategies),
            "by_symbol": self._by_part("symbol", symbols),
            "examples": [_named(each, accounts, strategies, symbols) for each in examples],
            "truncated": total - len(examples),
        }

    def _pnl(
        self, last_marks: npt.NDArray[np.float64], money_per_price: npt.NDArray[np.float64]
    ) -> float | None:
        worth = 0.0
        for symbol, (size, paid) in enumerate(self._traded.tolist()):
            if size or paid:
                if symbol >= len(last_marks):
                    return None
                value = size * float(last_marks[symbol]) if size else 0.0
                worth += (value - paid) * float(money_per_price[symbol])
        return finite(worth - float(self._money[1]))

    def _by_gate(self) -> list[dict[str, Any]]:
        found: dict[str, list[float]] = {}
        for side in (self._head, self._base):
            for place, column in enumerate(side.columns):
                if side.orders[place]:
                    row = found.setdefault(column.name, [0, 0.0])
                    row[0] += int(side.orders[place])
                    row[1] += float(side.money[place])
        ranked = sorted(found.items(), key=lambda each: (-each[1][0], each[0]))
        return [
            {"gate": name, "orders": int(orders), "notional": finite(money)}
            for name, (orders, money) in ranked
        ]

    def _by_part(self, part: str, names: NameTable) -> list[dict[str, Any]]:
        counted = self._parts[part]
        found = [
            {"name": names[code], "orders": int(counted[code].sum())}
            | dict(zip(_KINDS, counted[code].tolist(), strict=True))
            for code in np.flatnonzero(counted.any(axis=1)).tolist()
        ]
        return sorted(found, key=lambda each: (-each["orders"], each["name"]))


def _outcome(batch: DecidedBatch, row: int) -> dict[str, Any]:
    return {"decision": DECISIONS[batch.decision[row]], "size": finite(batch.size[row])}


def _named(
    example: dict[str, Any], accounts: NameTable, strategies: NameTable, symbols: NameTable
) -> dict[str, Any]:
    shown = {key: value for key, value in example.items() if not key.startswith("_")}
    shown["account"] = accounts[example["account"]]
    shown["strategy"] = strategies[example["strategy"]] or None
    shown["symbol"] = symbols[example["symbol"]]
    return shown
