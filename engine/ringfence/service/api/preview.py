"""What would be decided, without deciding it: one order in full, or very many at once."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response
from litestar.params import JSONBody

from ringfence.language.orders import OrderRequest
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import Asked, read_known
from ringfence.runtime.garbage import no_collection
from ringfence.service.access.rights import Right, check_account
from ringfence.service.api.batches import Batch, Unread
from ringfence.service.api.numbers import NO_NUMBER, MaybeNumber, Number, text_of, text_or_none
from ringfence.service.api.order_bodies import DecisionBody, Name, decision_told, placed
from ringfence.service.api.problems import Problem
from ringfence.service.api.routes import Asking, desk_of, route

__all__ = ["PreviewBody", "PreviewOrders", "PreviewsBody", "preview", "preview_batch"]

MOST_ORDERS = 200_000
BATCH_BYTES = 64 << 20
_TAG = "orders"
_encode = msgspec.json.Encoder(decimal_format="string").encode


class PreviewBody(msgspec.Struct, forbid_unknown_fields=True):
    """An order to be previewed, on the market data that the guard has."""

    account: Name
    symbol: Name
    side: Literal["buy", "sell"]
    size: Number
    price: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    type: Literal["limit", "market", "stop", "stop_limit"] = "limit"
    strategy: Name = ""
    venue: Name = ""
    reduce_only: bool = False


class PreviewOrders(msgspec.Struct, forbid_unknown_fields=True):
    """Orders to be previewed."""

    orders: Annotated[list[PreviewBody], msgspec.Meta(min_length=1, max_length=MOST_ORDERS)]


class PreviewsBody(msgspec.Struct):
    """What would be decided: three columns of one length, in the order of the orders."""

    policy_set: str
    decision: list[Literal["APPROVE", "REDUCE_SIZE", "REJECT"]]
    size: list[str]
    code: list[str]


@route(
    "post",
    "/preview",
    Right.TRADE,
    summary="Preview an order",
    tag=_TAG,
    threaded=False,
    once=False,
)
def preview(data: JSONBody[PreviewBody], request: Asking) -> DecisionBody:
    """What would be decided of an order now, with every gate's measure, limit and margin.

    Nothing is reserved, and nothing is recorded.
    """
    check_account(request.user, data.account)
    answer = desk_of(request).guard.preview_order(_order(data))
    return decision_told(answer, "", with_gates=True)


@route(
    "post",
    "/preview/batch",
    Right.TRADE,
    summary="Preview many orders",
    tag=_TAG,
    once=False,
    dto=Batch,
    return_dto=None,
    request_max_body_size=BATCH_BYTES,
)
def preview_batch(data: JSONBody[Unread[PreviewOrders]], request: Asking) -> Response[PreviewsBody]:
    """What would be decided of each order, were it the only one: none sees what another would reserve.

    Nothing is reserved, and nothing is recorded. The body may be JSON, or one order a line
    (`application/x-ndjson`). The answer has columns, which are quick to write and to read.
    """
    orders, guard = data.read().orders, desk_of(request).guard
    for account in {each.account for each in orders}:
        check_account(request.user, account)
    # Many small objects, and no cycles among them.
    with no_collection():
        decisions, sizes, codes = zip(*guard.preview_orders(_orders(orders)), strict=True)
        body: Any = _encode(
            {"policy_set": guard.policy_set, "decision": decisions, "size": sizes, "code": codes}
        )
    return Response(body, media_type="application/json")


def _orders(given: list[PreviewBody]) -> list[Asked | Refusal]:
    found: list[Asked | Refusal] = []
    for each in given:
        try:
            size, price = text_of(each.size, "/size"), text_or_none(each.price, "/price")
        except Problem as problem:
            raise placed(problem, f"/orders/{len(found)}") from None
        names = each.account, each.strategy, each.venue, each.symbol
        found.append(
            read_known(names, each.side, each.type, size, price, reduce_only=each.reduce_only)
        )
    return found


def _order(data: PreviewBody) -> OrderRequest:
    return OrderRequest(
        data.account,
        data.symbol,
        data.side,
        text_of(data.size, "/size"),
        text_or_none(data.price, "/price"),
        type=data.type,
        strategy=data.strategy,
        venue=data.venue,
        reduce_only=data.reduce_only,
    )
