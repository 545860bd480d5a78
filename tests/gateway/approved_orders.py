"""An order, its approval, and an exchange that remembers what reached it."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ringfence.language.orders import OrderRequest
from ringfence.runtime.approvals import Approval, Signer
from ringfence.runtime.exchanges import (
    ExchangeFill,
    ExchangeOrder,
    OpenOrder,
    OrderAck,
    OrderState,
)

KEY = b"0123456789abcdefghijklmnopqrstuv"
NOW_NS = 1_767_614_400_000_000_000
SECOND = 1_000_000_000

FIELDS: dict[str, Any] = {
    "approval_id": "a-1",
    "account": "main",
    "strategy": "trend",
    "venue": "desk-venue",
    "symbol": "BTC/USD",
    "side": "buy",
    "type": "limit",
    "size": Decimal("0.4"),
    "price": Decimal("50000"),
    "reduce_only": False,
    "client_order_id": "c-1",
    "policy_set": "f" * 64,
    "issued_ns": NOW_NS,
    "expires_ns": NOW_NS + 5 * SECOND,
}


def approval(key: bytes = KEY, **changed: Any) -> Approval:
    return Signer(key).sign(**{**FIELDS, **changed})


def order(**changed: Any) -> OrderRequest:
    names = [
        "account",
        "strategy",
        "venue",
        "symbol",
        "side",
        "type",
        "size",
        "price",
        "reduce_only",
        "client_order_id",
    ]
    return OrderRequest(**{**{name: FIELDS[name] for name in names}, **changed})


@dataclass
class RecordingExchange:
    """Takes every order, and says what it got."""

    venue: str = "desk-venue"
    accounts: frozenset[str] = frozenset({"main"})
    got: list[ExchangeOrder] = field(default_factory=list)
    batches: list[tuple[ExchangeFill, ...]] = field(default_factory=list)
    asked_after: list[str] = field(default_factory=list)

    def submit(self, order: ExchangeOrder) -> OrderAck:
        self.got.append(order)
        return OrderAck(order.client_order_id, "x-1", OrderState.WORKING, order.size)

    def find(self, account: str, client_order_id: str) -> OrderAck:
        return OrderAck(client_order_id, account, OrderState.FILLED, Decimal(1))

    def cancel(self, account: str, client_order_id: str) -> bool:
        return (account, client_order_id) == ("main", "c-1")

    def open_orders(self, account: str) -> tuple[OpenOrder, ...]:
        assert account == "main"
        return ()

    def fills_after(self, account: str, cursor: str) -> tuple[ExchangeFill, ...]:
        assert account == "main"
        self.asked_after.append(cursor)
        return self.batches.pop(0) if self.batches else ()


@dataclass
class RefusalList:
    """An audit log that keeps its records in a list."""

    records: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def append(self, kind: str, body: Any) -> int:
        self.records.append((kind, dict(body)))
        return len(self.records)
