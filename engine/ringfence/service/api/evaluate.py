"""Have orders decided: one, or many in their order."""

import asyncio
from functools import partial
from typing import Annotated

import msgspec
from litestar.params import JSONBody, QueryParameter

from ringfence.language.orders import OrderRequest
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.service.access.rights import Right, check_account
from ringfence.service.api.answers import check_key
from ringfence.service.api.batches import Batch, Unread
from ringfence.service.api.order_bodies import (
    DecisionBody,
    OrderBody,
    client_order_id_of,
    decision_told,
    market_of,
    order_of,
    placed,
)
from ringfence.service.api.problems import Problem
from ringfence.service.api.routes import Asking, check_prices, desk_of, request_name, route
from ringfence.service.desk import Desk

__all__ = [
    "BatchBody",
    "DecisionsBody",
    "check_repeat",
    "evaluate",
    "evaluate_batch",
    "named_by_key",
]

MOST_ORDERS = 10_000
BATCH_BYTES = 16 << 20
_TAG = "orders"
WithGates = Annotated[bool, QueryParameter(description="Tell what every gate found, too.")]


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """Orders, decided one after the other."""

    orders: Annotated[list[OrderBody], msgspec.Meta(min_length=1, max_length=MOST_ORDERS)]


class DecisionsBody(msgspec.Struct):
    """Decisions, in the order of the orders."""

    decisions: list[DecisionBody]


@route(
    "post",
    "/evaluate",
    Right.TRADE,
    summary="Decide an order",
    tag=_TAG,
    once=False,
)
async def evaluate(
    data: JSONBody[OrderBody], request: Asking, gates: WithGates = False
) -> DecisionBody:
    """Decide an order, and reserve what is approved.

    What cannot be judged is a REJECT with its code. The reservation counts until the order's end is told
    (`/v1/fills`, `/v1/cancels`, `/v1/expiries`). `market` is for those who may tell prices. An `Idempotency-Key` stands for the `client_order_id` where
    the order has none: the same order under it is decided once, for a day, restarts included.
    """
    check_account(request.user, data.account)
    if data.market is not None:
        check_prices(request)
    desk = desk_of(request)
    order = order_of(data, named_by_key(request))
    market = market_of(data.market)
    decide = partial(
        desk.guard.evaluate_order, order, market, signs=False, request_id=request_name(request)
    )
    # Where the guard waits, others are answered meanwhile.
    answer = decide() if desk.decides_at_once else await asyncio.to_thread(decide)
    check_repeat(answer, data, order)
    return decision_told(answer, order.client_order_id, with_gates=gates)


@route(
    "post",
    "/evaluate/batch",
    Right.TRADE,
    summary="Decide many orders in their order",
    tag=_TAG,
    once=False,
    dto=Batch,
    return_dto=None,
    request_max_body_size=BATCH_BYTES,
)
def evaluate_batch(data: JSONBody[Unread[BatchBody]], request: Asking) -> DecisionsBody:
    """Decide orders one after the other; each sees what those before it reserved.

    Every order of the batch is read before the first is decided. Orders of others may be decided in between. The
    body may be JSON, or one order a line (`application/x-ndjson`).
    """
    orders = data.read().orders
    for account in {each.account for each in orders}:
        check_account(request.user, account)
    for k, each in enumerate(orders):
        if each.market is not None:
            check_prices(request, f"/orders/{k}/market")
            break
    return DecisionsBody(decided(desk_of(request), orders, request_name(request)))


def decided(desk: Desk, orders: list[OrderBody], request_id: str) -> list[DecisionBody]:
    """Orders of one request decided one after the other."""
    asked: list[tuple[OrderRequest, MarketData | None]] = []
    for each in orders:
        try:
            asked.append((order_of(each), market_of(each.market)))
        except Problem as problem:
            raise placed(problem, f"/orders/{len(asked)}") from None
    answers = desk.guard.evaluate_orders(asked, signs=False, request_id=request_id)
    return [
        decision_told(answer, order.client_order_id)
        for answer, (order, _) in zip(answers, asked, strict=True)
    ]


def named_by_key(request: Asking) -> str:
    """The client order id that the request's `Idempotency-Key` stands for; empty without one.

    Raises:
        Problem: the key is none.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return ""
    check_key(key)
    return client_order_id_of(key, request.user.name)


def check_repeat(answer: GuardDecision, data: OrderBody, order: OrderRequest) -> None:
    """See that an `Idempotency-Key` was not used for another order.

    Raises:
        Problem: it was.
    """
    if answer.code == "DUPLICATE_ORDER" and order.client_order_id and not data.client_order_id:
        raise Problem("idempotency-mismatch", "the earlier request had another order")
