"""Examples of bodies, for the description of the API."""

from collections.abc import Mapping
from typing import Any

__all__ = ["EXAMPLES"]

_ORDER: dict[str, Any] = {
    "account": "alpha",
    "symbol": "BTC/USDT",
    "side": "buy",
    "size": "0.5",
    "price": "50000",
    "strategy": "taker",
    "venue": "paper",
}
_AT = {"decided_ns": 1_790_000_000_000_000_000, "decided_at": "2026-09-21T14:13:20.000000000Z"}
_SHA = "3f0c8f5e7a1d4b6c9e2f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d"

#: By the name of the type.
EXAMPLES: Mapping[str, list[Any]] = {
    "OrderBody": [{**_ORDER, "client_order_id": "my-order-1"}],
    "PreviewBody": [_ORDER],
    "BatchBody": [{"orders": [_ORDER, {**_ORDER, "side": "sell"}]}],
    "PreviewOrders": [
        {"orders": [_ORDER]},
        {"orders": {**_ORDER, "size": ["0.5", "2"], "price": ["50000", "49990"]}},
    ],
    "PreviewColumns": [{**_ORDER, "size": ["0.5", "2"], "price": ["50000", "49990"]}],
    "PreviewsBody": [
        {
            "policy_set": _SHA,
            "decision": ["REJECT"],
            "size": ["0"],
            "code": ["TOTAL_EXPOSURE"],
            "gate": ["total-exposure"],
        }
    ],
    "DecisionBody": [
        {
            "id": "5b1e8c2a9d3f4e67-1",
            "decision": "APPROVE",
            "code": "",
            "reason": "",
            "size": "0.5",
            "policy_set": _SHA,
            "client_order_id": "my-order-1",
            **_AT,
            "repeated": False,
            "gates": None,
        }
    ],
    "SwitchSetting": [{"state": "reducing", "reason": "the feed is in doubt"}],
}
