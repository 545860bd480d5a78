"""Orders at venues: send one, see those that work, cancel one."""

from typing import Annotated

import msgspec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ringfence.errors import ApprovalError
from ringfence.gateway import Gateway
from ringfence.language.orders import OrderRequest
from ringfence.runtime.exchanges import OrderAck
from ringfence.runtime.guard_core import WorkingOrder
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.service.access.rights import Right, check_account
from ringfence.service.api.evaluate import check_repeat, named_by_key
from ringfence.service.api.order_bodies import (
    DecisionBody,
    OrderBody,
    client_order_id_of,
    decision_told,
    market_of,
    order_of,
)
from ringfence.service.api.problems import Fault, Problem
from ringfence.service.api.routes import (
    Asking,
    check_prices,
    desk_of,
    may_see,
    request_name,
    route,
    seen_accounts,
)
from ringfence.service.api.told import moment, number
from ringfence.service.desk import Desk

__all__ = ["OrdersBody", "SubmittedBody", "cancel_order", "submit_order", "working_orders"]

_TAG = "orders"
_CURSOR = r"^[!-~]{1,200}$"
_SENT_BEFORE = "REPLAYED"
Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="How many at most.")]


class SentBody(msgspec.Struct):
    """What the venue said. Where `state` is `unknown` the order may have arrived: never send it anew."""

    state: str
    exchange_order_id: str
    filled: str
    reason: str


class SubmittedBody(msgspec.Struct):
    """A decision, and what became of the order at its venue; null where it was not sent."""

    decision: DecisionBody
    order: SentBody | None


class WorkingBody(msgspec.Struct):
    """An approved order that has not ended; `size` is what is unfilled, in units of the base."""

    id: str
    client_order_id: str
    venue: str
    account: str
    strategy: str
    symbol: str
    side: str
    size: str
    filled: str
    approved_ns: int | None
    approved_at: str | None


class OrdersBody(msgspec.Struct):
    """Orders, those of one run of the guard as they were approved; `next` is the cursor of the next page, null on the
    last."""

    orders: list[WorkingBody]
    next: str | None


class CancelledBody(msgspec.Struct):
    """Whether the order was cancelled just now; false where it had ended, or is not known there."""

    id: str
    cancelled: bool


@route(
    "post",
    "/orders",
    Right.TRADE,
    summary="Decide an order and send it",
    tag=_TAG,
    errors=(502,),
    once=False,
)
def submit_order(data: JSONBody[OrderBody], request: Asking) -> SubmittedBody:
    """Decide an order, and send what is approved to its venue.

    An `Idempotency-Key` stands for the `client_order_id` where the order has none. The same order under the same
    name is sent once: asked again, the answer is the decision of then, and what became of the order.
    """
    check_account(request.user, data.account)
    if data.market is not None:
        check_prices(request)
    desk = desk_of(request)
    gateway = desk.gateways.get(data.venue)
    if gateway is None:
        known = ", ".join(f"`{each}`" for each in sorted(desk.gateways))
        fault = Fault(f"`{data.venue}` is no venue of this service", pointer="/venue")
        raise Problem(
            "conflict", f"/venue: {fault.detail}", fix=f"name one of {known}", errors=[fault]
        )
    # An exchange knows the order by its name alone.
    name = named_by_key(request) or client_order_id_of(SYSTEM_RANDOM.token(), "")
    order = order_of(data, name)
    answer = desk.guard.evaluate_order(
        order, market_of(data.market), request_id=request_name(request)
    )
    check_repeat(answer, data, order)
    sent = None if answer.approval is None else _sent(gateway, answer, order)
    return SubmittedBody(
        decision_told(answer, order.client_order_id),
        (
            None
            if sent is None
            else SentBody(
                sent.state.value, sent.exchange_order_id, number(sent.filled), sent.reason
            )
        ),
    )


def _sent(gateway: Gateway, answer: GuardDecision, order: OrderRequest) -> OrderAck:
    order.size = answer.size
    order.price = None if answer.approval.price is None else answer.approval.price
    try:
        return gateway.submit(answer.approval, order, again=True)
    except ApprovalError as refusal:
        # It was sent by a request of the same name, perhaps of this very moment, or can never be: what became of it is
        # the answer.
        if refusal.code != _SENT_BEFORE and not (answer.repeated and refusal.code == "EXPIRED"):
            raise
        return gateway.find(order.account, order.client_order_id)


@route("get", "/orders", Right.LOOK, summary="Orders that work", tag=_TAG)
def working_orders(
    request: Asking,
    account: FromQuery[str | None] = None,
    symbol: FromQuery[str | None] = None,
    cursor: Annotated[
        str | None, QueryParameter(pattern=_CURSOR, description="`next` of the page before.")
    ] = None,
    limit: Limit = 100,
) -> OrdersBody:
    """Approved orders that have not ended, as the guard counts them."""
    seen = seen_accounts(request.user)
    found = [
        each
        for each in desk_of(request).guard.working_orders(account=account)
        if (seen is None or each.account in seen) and symbol in (None, each.symbol)
    ]
    found.sort(key=lambda each: _place(each.order_id))
    if cursor is not None:
        behind = _place(cursor)
        found = [each for each in found if _place(each.order_id) > behind]
    page = found[:limit]
    is_last = len(page) == len(found)
    return OrdersBody([_working(each) for each in page], None if is_last else page[-1].order_id)


@route(
    "delete",
    "/orders/{order_id:str}",
    Right.TRADE,
    summary="Cancel an order",
    tag=_TAG,
    errors=(404, 409, 502),
)
def cancel_order(order_id: FromPath[str], request: Asking) -> CancelledBody:
    """Cancel an order at its venue. Its reservation is released once the venue has said that it ended."""
    desk = desk_of(request)
    order = _order_called(desk, order_id)
    if order is None or not may_see(request.user, order.account):
        raise Problem("not-found", "no order of this id works")
    gateway = desk.gateways.get(order.venue)
    if gateway is None or not order.client_order_id:
        raise Problem(
            "conflict",
            "the order was not sent by this service",
            fix="cancel it where it was sent, and tell its end: POST /v1/cancels",
        )
    return CancelledBody(order_id, gateway.cancel(order.account, order.client_order_id))


def _place(order_id: str) -> tuple[str, int, str]:
    """Where an order stands in the list: by the guard's run and its number in it, whatever else has ended."""
    run, _, number_ = order_id.rpartition("-")
    return run, int(number_) if number_.isascii() and number_.isdigit() else 0, order_id


def _order_called(desk: Desk, order_id: str) -> WorkingOrder | None:
    account = desk.guard.account_of(order_id)
    orders = desk.guard.working_orders(account=account) if account else ()
    return next((each for each in orders if each.order_id == order_id), None)


def _working(order: WorkingOrder) -> WorkingBody:
    known = order.approved_ns or None
    return WorkingBody(
        order.order_id,
        order.client_order_id,
        order.venue,
        order.account,
        order.strategy,
        order.symbol,
        order.side,
        number(order.size),
        number(order.filled),
        known,
        None if known is None else moment(known),
    )
