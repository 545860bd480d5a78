"""Decisions that were made: pages of them, and one in full."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar.params import FromQuery, PathParameter, QueryParameter

from ringfence.errors import InputError, PolicyError
from ringfence.language.linking import LinkedSet
from ringfence.replay.audit_words import decision_lines
from ringfence.runtime.audit_codec import decode, plain
from ringfence.runtime.audit_decision import gates_in
from ringfence.runtime.policy_files import files_in
from ringfence.runtime.policy_set import PolicySet
from ringfence.service.access.rights import Right
from ringfence.service.api.order_bodies import GateBody
from ringfence.service.api.problems import Fault, Problem
from ringfence.service.api.routes import Asking, desk_of, may_see, route, seen_accounts
from ringfence.service.api.told import moment, money
from ringfence.service.archive import Archive, DecisionRow, Filter, row_of

__all__ = ["RowBody", "decision", "decisions", "moment_of", "row_told"]

_TAG = "decisions"
Name = Annotated[str | None, QueryParameter(max_length=200)]
_MOMENT = (
    r"^([0-9]{1,19}|[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))$"
)
_FRACTION = re.compile(r"[.,]([0-9]+)")
_MOMENT_WORDS = "Nanoseconds since 1970, or RFC 3339 such as `2026-01-31T08:00:00Z`."
Moment = Annotated[
    str | None, QueryParameter(pattern=_MOMENT, max_length=50, description=_MOMENT_WORDS)
]


class RowBody(msgspec.Struct):
    """A decision in short. `asked` and `price` are as they were asked; null where there is none. `request_id` is the
    `X-Request-ID` of the request that brought the order, empty where none did."""

    id: str
    sequence: int
    decided_ns: int
    decided_at: str
    account: str
    strategy: str
    venue: str
    symbol: str
    side: str
    type: str
    asked: str | None
    price: str | None
    client_order_id: str
    decision: str
    code: str
    reason: str
    size: str
    policy_set: str
    repeated: bool
    request_id: str


class PageBody(msgspec.Struct):
    """Decisions, the newest first; `next` is the cursor of the next page, null on the last. A page that looked
    through many records without finding enough is short, and has a `next` all the same."""

    decisions: list[RowBody]
    next: str | None


class RecordBody(msgspec.Struct):
    """A decision in full: what was asked, on what, what every gate found, and the same in words."""

    decision: RowBody
    market: dict[str, Any] | str | None
    gates: list[GateBody]
    explanation: str
    record: dict[str, Any]


@route("get", "/decisions", Right.LOOK, summary="Decisions", tag=_TAG)
def decisions(
    request: Asking,
    account: Name = None,
    symbol: Name = None,
    strategy: Name = None,
    decision: FromQuery[Literal["", "APPROVE", "REDUCE_SIZE", "REJECT"]] = "",
    code: Name = None,
    request_id: Name = None,
    since: Annotated[
        str | None,
        QueryParameter(name="from", pattern=_MOMENT, max_length=50, description=_MOMENT_WORDS),
    ] = None,
    until: Moment = None,
    cursor: Annotated[
        str | None,
        QueryParameter(pattern=r"^[0-9]{1,18}$", description="`next` of the page before."),
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=500, description="How many at most.")] = 100,
) -> PageBody:
    """Decisions that fit all that is asked for, the newest first; a trader sees those of its accounts."""
    wanted = Filter(
        seen_accounts(request.user),
        account,
        symbol,
        strategy,
        decision or None,
        code,
        moment_of(since, "from"),
        moment_of(until, "until"),
        request_id=request_id,
    )
    archive: Archive = request.app.state.archive
    page = archive.page(wanted, None if cursor is None else int(cursor), limit)
    return PageBody(
        [row_told(each) for each in page.rows], None if page.before is None else str(page.before)
    )


@route(
    "get", "/decisions/{decision_id:str}", Right.LOOK, summary="A decision", tag=_TAG, errors=(404,)
)
def decision(
    decision_id: Annotated[str, PathParameter(max_length=200)], request: Asking
) -> RecordBody:
    """One decision with every gate's measure, limit and margin, the place of each limit, and all of it in words."""
    archive: Archive = request.app.state.archive
    found = archive.find(decision_id)
    row = None if found is None else row_of(found.sequence, found.content)
    if found is None or row is None or not may_see(request.user, row.account):
        raise Problem("not-found", "no decision of this id was made")
    body = decode(found.content)
    about = archive.policy_set(row.policy_set)
    guard = desk_of(request).guard
    linked = guard.linked if guard.policy_set == row.policy_set else _linked(about)
    told: dict[str, Any] = plain(body)
    inputs = told.get("inputs")
    return RecordBody(
        row_told(row),
        inputs.get("market") if isinstance(inputs, dict) else None,
        [_gate(each) for each in gates_in(body, about, linked)],
        "\n".join(decision_lines(body, about, linked)),
        told,
    )


def row_told(row: DecisionRow) -> RowBody:
    """A decision in short as the API tells it."""
    return RowBody(
        row.id,
        row.sequence,
        row.decided_ns,
        moment(row.decided_ns),
        row.account,
        row.strategy,
        row.venue,
        row.symbol,
        row.side,
        row.type,
        row.asked,
        row.price,
        row.client_order_id,
        row.decision,
        row.code,
        row.reason,
        row.size,
        row.policy_set,
        row.repeated,
        row.request_id,
    )


def _linked(about: dict[str, Any]) -> LinkedSet | None:
    """The policy set that a record describes; None where it cannot be linked again."""
    try:
        found = PolicySet.from_files(files_in(about)).linked
    except (InputError, PolicyError):
        return None
    return found if found.sha256 == about.get("policy_set") else None


def _gate(found: dict[str, Any]) -> GateBody:
    def text(name: str) -> str:
        return str(found.get(name) or "")

    def amount(name: str) -> str | None:
        value = found.get(name)
        return money(float(value)) if isinstance(value, int | float) else None

    line, headroom = found.get("line"), found.get("headroom")
    return GateBody(
        text("gate"),
        text("rule"),
        text("policy"),
        text("level"),
        text("mode"),
        text("outcome"),
        amount("measure"),
        amount("limit"),
        amount("margin"),
        text("unit"),
        None if headroom is None else str(headroom),
        text("reason"),
        text("file"),
        line if isinstance(line, int) else None,
    )


def moment_of(text: str | None, name: str) -> int | None:
    """A time that was given, in ns since 1970; None where none was.

    Args:
        text: Nanoseconds, or RFC 3339.
        name: Of the parameter.

    Raises:
        Problem: it is neither.
    """
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError("it names no time zone")
        whole = int(found.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError) as error:
        fault = Fault(f"`{text}` is no time: {error}", parameter=name)
        raise Problem(
            "invalid-parameter",
            f"{name}: {fault.detail}",
            fix="write 2026-01-31T08:00:00Z, or nanoseconds since 1970",
            errors=[fault],
        ) from None
    # All nine digits: `datetime` would leave out the last three, and with them what was decided within the microsecond.
    fraction = _FRACTION.search(text)
    return whole * 1_000_000_000 + (0 if fraction is None else int(fraction[1].ljust(9, "0")[:9]))
