"""What would be decided, without deciding it: one order in full, or very many at once."""

from typing import Any

import msgspec
from litestar import Response
from litestar.params import JSONBody

from ringfence.language.orders import OrderRequest
from ringfence.runtime.garbage import no_collection
from ringfence.runtime.order_columns import OrderColumns
from ringfence.service.access.rights import Right, check_account
from ringfence.service.api.batches import ARROW, ArrowBatch, Unread
from ringfence.service.api.numbers import text_of, text_or_none
from ringfence.service.api.order_bodies import DecisionBody, decision_told
from ringfence.service.api.preview_bodies import (
    COLUMN_NAMES,
    PreviewBody,
    PreviewOrders,
    PreviewsBody,
    columns_of,
)
from ringfence.service.api.routes import Asking, desk_of, route

__all__ = ["preview", "preview_batch"]

JSON = "application/json"
BATCH_BYTES = 64 << 20
_TAG = "orders"
_KEYS = tuple(b'"%b"' % name.encode("ascii") for name in ("orders", *COLUMN_NAMES))
_encode = msgspec.json.Encoder().encode


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
    dto=ArrowBatch,
    return_dto=None,
    request_max_body_size=BATCH_BYTES,
)
def preview_batch(data: JSONBody[Unread[PreviewOrders]], request: Asking) -> Response[PreviewsBody]:
    """What would be decided of each order, were it the only one: none sees what another would reserve.

    Nothing is reserved, and nothing is recorded. The body may be JSON with a list or, quicker to read, with
    columns; one order a line (`application/x-ndjson`); or an Arrow IPC stream (`application/vnd.apache.arrow.stream`)
    with columns of the same names: names as text or dictionaries, sizes and prices as text, decimals, whole numbers or
    float64. The answer has columns, in Arrow where the `Accept` header asks for that, or names nothing and
    the orders came so.
    """
    is_arrow = data.media == ARROW
    guard = desk_of(request).guard
    # Many small objects, and no cycles among them.
    with no_collection():
        orders = _read_arrow(data) if is_arrow else columns_of(data.read(_KEYS).orders)
        for account in orders.account.values:
            check_account(request.user, account)
        found = guard.preview_columns(orders)
        media = [ARROW, JSON] if is_arrow else [JSON, ARROW]
        if request.accept.best_match(media, JSON) == ARROW:
            return _answer(arrow_orders().write_previews(found, guard.policy_set), ARROW)
        columns = {name: column.rows() for name, column in found._asdict().items()}
        return _answer(_encode({"policy_set": guard.policy_set, **columns}), JSON)


def _read_arrow(data: Unread[PreviewOrders]) -> OrderColumns:
    found: OrderColumns = data.read_with(arrow_orders().read_orders)
    return found


def _answer(body: Any, media: str) -> Response[PreviewsBody]:
    return Response(body, media_type=media)


def arrow_orders() -> Any:
    """The module that knows Arrow, which is not small."""
    from ringfence.service.api import arrow_orders as module

    return module


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
