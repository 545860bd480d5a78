"""Have an order decided."""

from decimal import Decimal
from typing import Any, Literal

import msgspec
from litestar import Request, post
from litestar.params import JSONBody

from ringfence.language.orders import OrderRequest
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.service.access.rights import Principal, Right, check_account, needs
from ringfence.service.desk import Desk

__all__ = ["DecisionBody", "OrderBody", "evaluate"]


class MarketBody(msgspec.Struct, forbid_unknown_fields=True):
    """Market data that the order is decided on."""

    timestamp: int
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    bid_depth: Decimal | None = None
    ask_depth: Decimal | None = None
    volume: Decimal | None = None


class OrderBody(msgspec.Struct, forbid_unknown_fields=True):
    """An order; numbers as text or as JSON numbers, read digit by digit."""

    account: str
    symbol: str
    side: Literal["buy", "sell"]
    size: Decimal
    price: Decimal | None = None
    type: str = "limit"
    strategy: str = ""
    venue: str = ""
    client_order_id: str = ""
    reduce_only: bool = False
    market: MarketBody | None = None


class DecisionBody(msgspec.Struct):
    """What was decided."""

    id: str
    decision: str
    reason: str
    code: str
    size: Decimal
    policy_set: str
    decided_ns: int
    repeated: bool


@post("/evaluate", status_code=200, guards=[needs(Right.TRADE)], sync_to_thread=False)
def evaluate(data: JSONBody[OrderBody], request: Request[Principal, Any, Any]) -> DecisionBody:
    """Decide an order, and reserve what is approved."""
    check_account(request.user, data.account)
    desk: Desk = request.app.state.desk
    return told(desk.guard.evaluate_order(order_of(data), market_of(data.market)))


def order_of(data: OrderBody) -> OrderRequest:
    """The order as the guard takes it."""
    return OrderRequest(
        data.account,
        data.symbol,
        data.side,
        data.size,
        data.price,
        type=data.type,
        strategy=data.strategy,
        venue=data.venue,
        client_order_id=data.client_order_id,
        reduce_only=data.reduce_only,
    )


def market_of(data: MarketBody | None) -> MarketData | None:
    """Market data as the guard takes it."""
    if data is None:
        return None

    def number(value: Decimal | None) -> float | None:
        return None if value is None else float(value)

    return MarketData(
        number(data.bid),
        number(data.ask),
        number(data.last),
        data.timestamp,
        number(data.bid_depth),
        number(data.ask_depth),
        number(data.volume),
    )


def told(answer: GuardDecision) -> DecisionBody:
    """A decision as the API tells it."""
    return DecisionBody(
        answer.id,
        answer.decision.value,
        answer.reason,
        answer.code,
        answer.size,
        answer.policy_set,
        answer.decided_ns,
        answer.repeated,
    )
