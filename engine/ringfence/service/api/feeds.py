"""What became of orders, prices and money, as whoever knows it tells the guard."""

from typing import Annotated, Literal

import msgspec
from litestar.params import JSONBody

from ringfence.errors import InputError
from ringfence.service.access.rights import Right, check_account
from ringfence.service.api.batches import Batch, Unread
from ringfence.service.api.numbers import NO_NUMBER, MaybeNumber, Number, text_of, text_or_none
from ringfence.service.api.order_bodies import MarketBody, Name, market_of, placed
from ringfence.service.api.problems import Problem
from ringfence.service.api.routes import Asking, desk_of, may_see, route
from ringfence.service.api.told import number
from ringfence.service.desk import Desk

__all__ = [
    "tell_balance",
    "tell_cancel",
    "tell_direct_fill",
    "tell_expiry",
    "tell_fill",
    "tell_marks",
]

_TAG = "feeds"
_MOST_MARKS = 1_000
OrderId = Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="Of the decision.")]


class FillBody(msgspec.Struct, forbid_unknown_fields=True):
    """A fill. `cumulative_size` is what is filled in all by now, in units of the base; `price` and `fee` are of what
    is new, in the quote currency."""

    order_id: OrderId
    cumulative_size: Number
    price: Number
    fee: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)


class FilledBody(msgspec.Struct):
    """What was new; 0 for a report that was counted before."""

    order_id: str
    new_size: str


class DirectFillBody(msgspec.Struct, forbid_unknown_fields=True):
    """A fill of no order of this guard: an opening position, a trade made elsewhere."""

    account: Name
    symbol: Name
    side: Literal["buy", "sell"]
    size: Number
    price: Number
    fee: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    strategy: Name = ""


class EndBody(msgspec.Struct, forbid_unknown_fields=True):
    """An order that ended."""

    order_id: OrderId


class EndedBody(msgspec.Struct):
    """Whether the order's reservation was released just now; false where it had ended before."""

    order_id: str
    released: bool


class MarkBody(msgspec.Struct, forbid_unknown_fields=True):
    """Market data of one symbol."""

    symbol: Name
    market: MarketBody


class MarksBody(msgspec.Struct, forbid_unknown_fields=True):
    """Market data of several symbols."""

    marks: Annotated[list[MarkBody], msgspec.Meta(min_length=1, max_length=_MOST_MARKS)]


class BalanceBody(msgspec.Struct, forbid_unknown_fields=True):
    """Money of a book, in the policy set's currency: its first, or what was moved in or out."""

    book: Annotated[Name, msgspec.Meta(description="`firm`, `account/NAME` or `strategy/NAME`.")]
    kind: Literal["opening", "deposit", "withdrawal"]
    amount: Number


class TakenBody(msgspec.Struct):
    """How much was taken over."""

    taken: int


@route("post", "/fills", Right.TRADE, summary="Tell a fill", tag=_TAG, errors=(404,))
def tell_fill(data: JSONBody[FillBody], request: Asking) -> FilledBody:
    """Book a fill of an approved order, once for each size filled until then: reports may come twice.

    Orders that this service sends are followed by itself, and their fills are not taken from a trader.
    """
    desk = desk_of(request)
    _check_order(request, desk, data.order_id)
    new = desk.guard.on_fill(
        data.order_id,
        text_of(data.cumulative_size, "/cumulative_size"),
        float(text_of(data.price, "/price")),
        float(text_or_none(data.fee, "/fee") or 0),
    )
    return FilledBody(data.order_id, number(new))


@route("post", "/fills/direct", Right.MANAGE, summary="Tell a fill of no order", tag=_TAG)
def tell_direct_fill(data: JSONBody[DirectFillBody], request: Asking) -> TakenBody:
    """Book a fill that was not approved here. Told twice it counts twice: give an `Idempotency-Key`."""
    desk_of(request).guard.on_direct_fill(
        data.account,
        data.strategy,
        data.symbol,
        data.side,
        text_of(data.size, "/size"),
        float(text_of(data.price, "/price")),
        float(text_or_none(data.fee, "/fee") or 0),
    )
    return TakenBody(1)


@route("post", "/cancels", Right.TRADE, summary="Tell that an order ended", tag=_TAG, errors=(404,))
def tell_cancel(data: JSONBody[EndBody], request: Asking) -> EndedBody:
    """Release what an order still reserves: it was cancelled, which counts as a message where rates are limited."""
    desk = desk_of(request)
    _check_order(request, desk, data.order_id)
    return EndedBody(data.order_id, desk.guard.on_cancel(data.order_id))


@route(
    "post", "/expiries", Right.TRADE, summary="Tell that an order expired", tag=_TAG, errors=(404,)
)
def tell_expiry(data: JSONBody[EndBody], request: Asking) -> EndedBody:
    """Release what an order still reserves: it ended by itself, or was never sent."""
    desk = desk_of(request)
    _check_order(request, desk, data.order_id)
    return EndedBody(data.order_id, desk.guard.on_expire(data.order_id))


@route(
    "post",
    "/marks",
    Right.TELL_PRICES,
    summary="Tell prices",
    tag=_TAG,
    once=False,
    dto=Batch,
    return_dto=None,
)
def tell_marks(data: JSONBody[Unread[MarksBody]], request: Asking) -> TakenBody:
    """Take over market data, and value every book that holds the symbols; data older than what is there is left
    out. The body may be JSON, or one mark a line (`application/x-ndjson`).

    Traders may where the setting `access.traders_tell_prices` lets them: whoever tells prices moves limits.

    All marks are read before the first is taken over; where one is refused, those before it were taken over.
    """
    desk = desk_of(request)
    read = []
    for each in data.read().marks:
        try:
            read.append((each.symbol, market_of(each.market)))
        except Problem as problem:
            raise placed(problem, f"/marks/{len(read)}") from None
    for k, (symbol, market) in enumerate(read):
        if market is None:
            continue
        try:
            desk.guard.on_mark(symbol, market)
        except InputError as error:
            raise type(error)(f"/marks/{k}: {error.message}", error.fix) from None
    return TakenBody(len(read))


@route("post", "/balances", Right.MANAGE, summary="Tell money", tag=_TAG)
def tell_balance(data: JSONBody[BalanceBody], request: Asking) -> TakenBody:
    """Give a book its first money, or move money in or out; no gain, no loss. The firm's book follows its accounts.

    Told twice it counts twice: give an `Idempotency-Key`.
    """
    desk_of(request).guard.on_balance(data.book, data.kind, text_of(data.amount, "/amount"))
    return TakenBody(1)


def _check_order(request: Asking, desk: Desk, order_id: str) -> None:
    """See that whoever tells of an order may, and that nobody is nearer to it."""
    account = desk.guard.account_of(order_id)
    if not account or not may_see(request.user, account):
        raise Problem("not-found", "no order of this id is known")
    check_account(request.user, account)
    # Told that its order ended, the guard would count on headroom that the order still uses.
    if desk.guard.venue_of(order_id) in desk.gateways and not request.user.may(Right.MANAGE):
        raise Problem(
            "conflict",
            "the order's venue tells of it itself",
            fix=f"cancel it: DELETE /v1/orders/{order_id}",
        )
