"""Books: what each level holds, and whether it is what its venue says."""

from typing import Annotated

import msgspec
from litestar.params import JSONBody, PathParameter

from ringfence.gateway import Follower, reconcile
from ringfence.runtime.book_view import BookView, PositionView
from ringfence.runtime.reconciliation import Difference, VenueSnapshot
from ringfence.service.access.reasons import checked_reason
from ringfence.service.access.rights import Right
from ringfence.service.api.numbers import (
    NO_NUMBER,
    MaybeNumber,
    Number,
    decimals_of,
    text_or_none,
)
from ringfence.service.api.order_bodies import Name, Reason
from ringfence.service.api.problems import Problem
from ringfence.service.api.routes import Asking, desk_of, route, seen_accounts
from ringfence.service.api.told import money, number
from ringfence.service.desk import Desk

__all__ = ["accept_differences", "book", "books", "reconcile_account"]

_TAG = "books"
_ACCOUNT = "account/"
_LOOKS, _PAUSE_S = 3, 0.2


class BooksBody(msgspec.Struct):
    """Names of books."""

    books: list[str]


class PositionBody(msgspec.Struct):
    """What a book holds of one symbol: sizes in units of the base, prices in the quote currency, money in that of
    the policy set; null where unknown."""

    symbol: str
    size: str
    entry_price: str | None
    mark: str | None
    value: str | None
    unrealised: str | None
    buys: str
    sells: str
    exposure: str | None


class BookBody(msgspec.Struct):
    """A book as it is now: money in the policy set's currency, null where unknown; ratios are pure numbers."""

    name: str
    currency: str
    equity: str | None
    balance: str | None
    cash: str | None
    realised: str | None
    unrealised: str | None
    fees: str | None
    day_start_equity: str | None
    peak_equity: str | None
    deposits: str | None
    drawdown: str | None
    day_loss: str | None
    exposure: str | None
    working_orders: int
    positions: list[PositionBody]


class ReconciliationBody(msgspec.Struct, forbid_unknown_fields=True):
    """An account to be compared with its venue: the exchange is asked where `venue` is given, else what is given
    here counts. Sizes are signed for positions, by symbol; of open orders unfilled, by the decision's id.
    """

    account: Name
    venue: Name = ""
    positions: dict[str, Number] = {}
    open_orders: dict[str, Number] = {}
    cash: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    cash_tolerance: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)


class DifferenceBody(msgspec.Struct):
    """One thing that books and venue do not agree in; null is unknown, or not there."""

    kind: str
    subject: str
    ours: str | None
    theirs: str | None


class DifferencesBody(msgspec.Struct):
    """What differs; while anything does, the account takes only orders that reduce risk."""

    account: str
    differences: list[DifferenceBody]


class AcceptanceBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why an account may trade although it differs from its venue."""

    reason: Reason


class AcceptedBody(msgspec.Struct):
    """The account that trades again."""

    account: str
    by: str


@route("get", "/books", Right.LOOK, summary="All books", tag=_TAG, threaded=False)
def books(request: Asking) -> BooksBody:
    """Names of the books, the firm's first; a trader sees those of its accounts."""
    return BooksBody([each for each in desk_of(request).guard.books if _is_seen(request, each)])


@route("get", "/books/{name:path}", Right.LOOK, summary="A book", tag=_TAG, errors=(404,))
def book(
    name: Annotated[str, PathParameter(description="`firm`, `account/NAME` or `strategy/NAME`.")],
    request: Asking,
) -> BookBody:
    """What a book holds, owes, won and lost."""
    desk, called = desk_of(request), name.strip("/")
    if called not in desk.guard.books or not _is_seen(request, called):
        raise Problem("not-found", "there is no such book", fix="GET /v1/books names them")
    return _told(desk.guard.book(called), desk.guard.linked.currency)


@route(
    "post",
    "/reconciliations",
    Right.MANAGE,
    summary="Compare an account with its venue",
    tag=_TAG,
    errors=(404, 502),
    once=False,
)
def reconcile_account(data: JSONBody[ReconciliationBody], request: Asking) -> DifferencesBody:
    """Compare, and report every difference. While there is one, the account takes only orders that reduce risk:
    until the books were corrected and nothing differs, or a person accepts it."""
    desk = desk_of(request)
    if data.venue:
        found = reconcile(
            _follower(desk, data.venue, data.account),
            desk.guard.linked.desk.instruments,
            looks=_LOOKS,
            pause_s=_PAUSE_S,
            clock=desk.clock,
        )
    else:
        if f"{_ACCOUNT}{data.account}" not in desk.guard.books:
            raise Problem("not-found", f"there is no account `{data.account}`")
        found = desk.guard.reconcile(
            VenueSnapshot(
                data.account,
                decimals_of(data.positions, "/positions"),
                decimals_of(data.open_orders, "/open_orders"),
                text_or_none(data.cash, "/cash"),
                text_or_none(data.cash_tolerance, "/cash_tolerance") or 0,
            )
        )
    return DifferencesBody(data.account, [_difference(each) for each in found])


@route(
    "post",
    "/reconciliations/{account:str}/acceptance",
    Right.MANAGE,
    summary="Let an account trade although it differs",
    tag=_TAG,
)
def accept_differences(
    account: Annotated[str, PathParameter(max_length=200)],
    data: JSONBody[AcceptanceBody],
    request: Asking,
) -> AcceptedBody:
    """Accept what differs, in the name of the one who asks; the books stay as they are."""
    desk_of(request).guard.accept_differences(
        account, by=request.user.name, reason=checked_reason(data.reason)
    )
    return AcceptedBody(account, request.user.name)


def _follower(desk: Desk, venue: str, account: str) -> Follower:
    for each in desk.followers:
        if (each.gateway.venue, each.account) == (venue, account):
            return each
    raise Problem("not-found", f"`{account}` is not followed at `{venue}`")


def _is_seen(request: Asking, name: str) -> bool:
    seen = seen_accounts(request.user)
    return seen is None or (name.startswith(_ACCOUNT) and name.removeprefix(_ACCOUNT) in seen)


def _told(view: BookView, currency: str) -> BookBody:
    return BookBody(
        view.name,
        currency,
        money(view.equity),
        money(view.balance),
        money(view.cash),
        money(view.realised),
        money(view.unrealised),
        money(view.fees),
        money(view.day_start_equity),
        money(view.peak_equity),
        money(view.deposits),
        money(view.drawdown),
        money(view.day_loss),
        money(view.exposure),
        len(view.open_orders),
        [_position(each) for each in view.positions.values()],
    )


def _position(view: PositionView) -> PositionBody:
    return PositionBody(
        view.symbol,
        number(view.size),
        money(view.entry_price),
        money(view.mark),
        money(view.value),
        money(view.unrealised),
        number(view.buys),
        number(view.sells),
        money(view.exposure),
    )


def _difference(found: Difference) -> DifferenceBody:
    ours, theirs = (
        None if each is None or not each.is_finite() else number(each)
        for each in (found.ours, found.theirs)
    )
    return DifferenceBody(found.kind, found.subject, ours, theirs)
