"""Decisions: as they are made, searched, and one explained with its arithmetic."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage

from ringfence.errors import AuditError, InputError
from ringfence.runtime.audit_codec import decode
from ringfence.service.access.authentication import still_in
from ringfence.service.access.rights import Principal, Right, Role, needs
from ringfence.service.archive import Archive, DecisionRow, Filter, row_of
from ringfence.service.dashboard.explained import Arithmetic, arithmetic_of
from ringfence.service.dashboard.live import WATCHES, again, longest_s, message, stream
from ringfence.service.dashboard.recorded import Recorded, recorded
from ringfence.service.dashboard.rendering import frame_of, page, part
from ringfence.service.dashboard.sight import sees_account
from ringfence.service.dashboard.wanted import Wanted, read_wanted
from ringfence.service.dashboard.words import number
from ringfence.service.desk import Desk
from ringfence.service.events import Event, EventHub, TooManyError

__all__ = ["ROUTES"]

_PATH = "/decisions"
_ON_PAGE = 40
# Rows that go over a stream at a time, and in the list that it feeds.
_AT_ONCE, _MOST_ROWS = 25, 40
_EVERY_S = 0.5
_BEAT_S = 2.0

Asking = Request[Principal, Any, Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """Decisions of a page.

    Attributes:
        rows: The newest first.
        after: Address of the page with older ones; empty where there is none.
        first: Address of the page with the newest ones; empty on that page.
        fault, fix: Why nothing can be listed.
    """

    rows: tuple[DecisionRow, ...] = ()
    after: str = ""
    first: str = ""
    fault: str = ""
    fix: str = ""


@get(_PATH, guards=[needs(Right.LOOK)], sync_to_thread=True)
def decisions(request: Asking) -> Response[str]:
    """The newest decisions, or those that are searched."""
    desk, given = _desk_of(request), dict(request.query_params)
    before = given.pop("before", "")
    known = _hub_of(request).last
    try:
        wanted = read_wanted(given)
        listed = _listed(request, wanted, before)
    except InputError as error:
        wanted, listed = Wanted(given), Listed(fault=error.message, fix=error.fix)
    declared = desk.guard.linked.desk
    is_live = not before and wanted.until_ns is None and not listed.fault
    return page(
        request,
        "decisions.html",
        wanted=wanted,
        listed=listed,
        # What is decided between this page and its stream is told by the stream.
        live=f"/live/decisions?{urlencode({**wanted.given, 'after': known})}" if is_live else "",
        accounts=[each for each in _accounts(desk) if sees_account(request.user, each)],
        strategies=sorted(declared.strategies),
        symbols=sorted(declared.instruments),
        codes=sorted({rule.code for rule in desk.guard.linked.rules}),
        units=Units(desk),
    )


@get("/live/decisions", guards=[needs(Right.LOOK)], opt=WATCHES)
async def live_decisions(request: Asking) -> ServerSentEvent:
    """Decisions that are searched, as they are made."""
    given = dict(request.query_params)
    after = given.pop("after", "")
    try:
        wanted = read_wanted(given)
        known = _number(after, "this is no record") if after else None
    except InputError as error:
        raise HTTPException(error.message, status_code=400) from None
    return stream(_rows(request, wanted, known))


@get(f"{_PATH}/{{decision:str}}", guards=[needs(Right.LOOK)], sync_to_thread=True)
def decision(request: Asking, decision: FromPath[str]) -> Response[str]:
    """One decision, as it was recorded."""
    found = _found(request, decision)
    return page(request, "decision.html", found=found, units=Units(_desk_of(request)))


@get(f"{_PATH}/{{decision:str}}/arithmetic", guards=[needs(Right.LOOK)], sync_to_thread=True)
def arithmetic(request: Asking, decision: FromPath[str]) -> Response[str]:
    """How it comes about, derived anew from its record: a part of its page, or a page for who has no script."""
    found = _found(request, decision)
    told: Arithmetic | None = None
    fault, fix = "", ""
    try:
        told = arithmetic_of(found, may_open=lambda level: _may_open(request.user, level))
    except InputError as error:
        fault, fix = error.message, error.fix
    if "hx-request" in request.headers:
        text = part(
            "decision_gates.html",
            frame=frame_of(request),
            found=found,
            told=told,
            fault=fault,
            fix=fix,
        )
        return Response(text, media_type="text/html", headers={"cache-control": "no-store"})
    return page(request, "decision_gates_page.html", found=found, told=told, fault=fault, fix=fix)


ROUTES = (decisions, live_decisions, decision, arithmetic)


class Units:
    """Sizes and prices of symbols: their digits, and what they are counted in."""

    def __init__(self, desk: Desk) -> None:
        self._known = desk.guard.linked.desk.instruments

    @staticmethod
    def digits(text: str | None) -> str:
        """A number that was asked or decided, as people write it; the text itself where it is none."""
        if not text:
            return "–"
        try:
            found = Decimal(text)
        except InvalidOperation:
            return text
        return number(found) if found.is_finite() and -20 < found.adjusted() < 20 else text

    def size(self, symbol: str) -> str:
        """Of a size."""
        return self._known[symbol].base if symbol in self._known else symbol.partition("/")[0]

    def price(self, symbol: str) -> str:
        """Of a price."""
        return self._known[symbol].quote if symbol in self._known else symbol.partition("/")[2]


def _listed(request: Asking, wanted: Wanted, before: str) -> Listed:
    number = _number(before, "this is no page of the list") if before else None
    archive: Archive = request.app.state.archive
    seen = _filter(request.user, wanted)
    found = archive.page(seen, number, _ON_PAGE)
    search = urlencode(wanted.given)
    after = ""
    if found.before is not None:
        after = f"{_PATH}?{urlencode({**wanted.given, 'before': found.before})}"
    first = f"{_PATH}{'?' if search else ''}{search}" if before else ""
    return Listed(tuple(found.rows), after, first)


def _number(text: str, fault: str) -> int:
    """Number of a record.

    Raises:
        InputError: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InputError(fault, "go to the first page")
    return int(text)


def _filter(user: Principal, wanted: Wanted) -> Filter:
    return wanted.filter(user.accounts if user.role is Role.TRADER else None)


async def _rows(
    request: Asking, wanted: Wanted, after: int | None
) -> AsyncIterator[ServerSentEventMessage]:
    desk, hub = _desk_of(request), _hub_of(request)
    seen, units, frame = _filter(request.user, wanted), Units(desk), frame_of(request)
    holds = still_in(request)
    loop = asyncio.get_running_loop()
    end = loop.time() + longest_s(desk)
    try:
        subscription = hub.subscribe(decisions=True, after=after)
    except TooManyError:
        # The browser asks again in a while.
        return
    try:
        yield message("beat", {})
        while desk.phase != "stopping" and not subscription.ended and loop.time() < end:
            has_news = await subscription.wait(_BEAT_S)
            if not holds():
                break
            if not has_news:
                yield message("beat", {})
                continue
            if subscription.dropped:
                # It comes back at once, with the newest.
                break
            # What comes meanwhile goes out together.
            await asyncio.sleep(_EVERY_S)
            events = list(subscription.waiting)
            subscription.waiting.clear()
            about = await asyncio.to_thread(_fresh, events, seen, units, frame)
            last = {"last": events[-1].sequence} if events else {}
            yield message("rows", {**about, **last}) if about["count"] else message("beat", last)
    finally:
        hub.leave(subscription)
    yield again()


def _fresh(events: list[Event], seen: Filter, units: Units, frame: Any) -> Mapping[str, Any]:
    """The rows of what is new and wanted, the newest first; where there are many, the newest of them."""
    rows = [row_of(each.sequence, each.content) for each in events]
    fit = [each for each in rows if seen.fits(each)]
    shown = fit[-_AT_ONCE:][::-1]
    html = part("decision_rows.html", rows=shown, units=units, frame=frame) if shown else ""
    return {
        "into": "decision-rows",
        "html": html,
        "most": _MOST_ROWS,
        "count": len(fit),
        "skipped": len(fit) - len(shown),
    }


def _found(request: Asking, name: str) -> Recorded:
    archive: Archive = request.app.state.archive
    try:
        stored = archive.find(name)
        row = None if stored is None else row_of(stored.sequence, stored.content)
        if stored is None or row is None or not sees_account(request.user, row.account):
            raise NotFoundException("no decision of this name is kept")
        about = archive.policy_set(row.policy_set)
    except AuditError as error:
        said = f"{error.message}; {error.fix}" if error.fix else error.message
        raise HTTPException(said, status_code=503) from None
    return recorded(_desk_of(request), row, decode(stored.content), about)


def _may_open(user: Principal, level: str) -> bool:
    """Whether the positions behind a gate are shown: those of the firm are not a trader's to see."""
    return user.role is not Role.TRADER or level == "account"


def _accounts(desk: Desk) -> list[str]:
    books = desk.guard.books
    return sorted(each.removeprefix("account/") for each in books if each.startswith("account/"))


def _desk_of(request: Asking) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _hub_of(request: Asking) -> EventHub:
    hub: EventHub = request.app.state.hub
    return hub
