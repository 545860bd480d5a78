"""Server-sent events: decisions, and everything else that happens, as it happens."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter
from litestar.response import Stream

from ringfence.runtime.audit_codec import plain
from ringfence.service.access.authentication import still_in
from ringfence.service.access.rights import Right
from ringfence.service.api.decisions import row_told
from ringfence.service.api.problems import Fault, Problem
from ringfence.service.api.routes import Asking, route, seen_accounts
from ringfence.service.api.told import moment
from ringfence.service.archive import row_of
from ringfence.service.events import Event, EventHub, Subscription, TooManyError

__all__ = ["STATE_KINDS", "decision_events", "state_events"]

_TAG = "events"
_MEDIA = "text/event-stream"
# A line goes over an idle stream so often, so that nobody in between takes it for dead.
HEARTBEAT_S = 15.0
# Then the client connects anew, and goes on where it was.
_LONGEST_S = 3_600.0
_AT_A_TIME = 100
#: Kinds of records that the stream of the state tells of, and the account that each is about.
STATE_KINDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "switch": lambda body: _of_target(body["switch"][0]),
    "reconcile": lambda body: str(body.get("account")),
    "policy-swap": lambda _: "",
    "reload-failed": lambda _: "",
    "policy-unpinned": lambda _: "",
}
# Kinds that tell of accounts in ways that are not looked into: for those who see all.
_FOR_ALL_EYES = frozenset(
    {"fill", "direct", "end", "money", "cancel-failed", "approval_refused", "foreign-fill"}
    | {"fill-refused", "orphaned_reservations", "request"}
)
_SPEC = {
    200: ResponseSpec(
        str,
        generate_examples=False,
        description="A stream of events; `id` is the number of the record in the audit log.",
        media_type=_MEDIA,
    )
}
LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        pattern=r"^[0-9]{1,18}$",
        description="The last event that is known: those after it are told first.",
    ),
]


@route(
    "get",
    "/events/decisions",
    Right.LOOK,
    summary="Decisions as they are made",
    tag=_TAG,
    more=_SPEC,
)
async def decision_events(request: Asking, last_event_id: LastEventId = None) -> Stream:
    """Each decision in short, as `GET /v1/decisions` tells it; a trader hears of its accounts.

    A stream ends where whoever listens may no longer come in, or is another one by now: connect anew.
    An idle stream says `: alive` now and then. `missed` says that decisions before this one are no longer at
    hand; `dropped` ends a stream whose client does not keep up.
    """
    seen = seen_accounts(request.user)

    def told(event: Event) -> bytes | None:
        row = row_of(event.sequence, event.content)
        if seen is not None and row.account not in seen:
            return None
        return msgspec.json.encode(row_told(row))

    return _stream(request, last_event_id, told, decisions=True)


@route(
    "get",
    "/events/state",
    Right.LOOK,
    summary="Everything else as it happens",
    tag=_TAG,
    more=_SPEC,
)
async def state_events(request: Asking, last_event_id: LastEventId = None) -> Stream:
    """Switches, policy sets, fills, ends of orders, money, reconciliations: each with its kind as the event's name,
    its time and what was recorded. A trader hears of switches and reconciliations that concern it, and of policies.
    """
    seen = seen_accounts(request.user)

    def told(event: Event) -> bytes | None:
        is_of_state = event.kind in STATE_KINDS
        if not is_of_state and (event.kind not in _FOR_ALL_EYES or seen is not None):
            return None
        body = event.body
        if is_of_state and seen is not None:
            account = STATE_KINDS[event.kind](body)
            if account and account not in seen:
                return None
        return msgspec.json.encode(
            {
                "sequence": event.sequence,
                "kind": event.kind,
                "at_ns": event.ts_ns,
                "at": moment(event.ts_ns),
                "body": plain(body),
            }
        )

    return _stream(request, last_event_id, told, decisions=False)


def _stream(
    request: Asking,
    last_event_id: str | None,
    told: Callable[[Event], bytes | None],
    *,
    decisions: bool,
) -> Stream:
    hub: EventHub = request.app.state.hub
    after = None if last_event_id is None else int(last_event_id)
    if after is not None and after > hub.last:
        words = f"record {after} is not written yet; the last one is {hub.last}"
        raise Problem(
            "invalid-parameter",
            f"Last-Event-ID: {words}",
            errors=[Fault(words, parameter="Last-Event-ID")],
        )
    try:
        subscription = hub.subscribe(decisions=decisions, after=after)
    except TooManyError:
        raise Problem(
            "too-many-requests", "so many others listen already", headers={"retry-after": "30"}
        ) from None
    return Stream(
        _events(hub, subscription, told, still_in(request)),
        media_type=_MEDIA,
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _events(
    hub: EventHub,
    subscription: Subscription,
    told: Callable[[Event], bytes | None],
    holds: Callable[[], bool] = lambda: True,
) -> AsyncIterator[bytes]:
    until = time.monotonic() + _LONGEST_S
    try:
        # At once, so that the client knows it is heard.
        yield b": listening\n\n"
        if subscription.missed:
            yield b"event: missed\ndata: {}\n\n"
        while time.monotonic() < until:
            has_news = await subscription.wait(HEARTBEAT_S)
            if not holds():
                return
            if not has_news:
                yield b": alive\n\n"
                continue
            if subscription.dropped:
                yield b"event: dropped\ndata: {}\n\n"
                return
            if subscription.ended and not subscription.waiting:
                return
            some = b""
            for _ in range(min(_AT_A_TIME, len(subscription.waiting))):
                event = subscription.waiting.popleft()
                data = told(event)
                if data is not None:
                    some += b"id: %d\nevent: %s\ndata: %s\n\n" % (
                        event.sequence,
                        event.kind.encode("ascii"),
                        data,
                    )
            if some:
                yield some
    finally:
        hub.leave(subscription)


def _of_target(target: str) -> str:
    return target.removeprefix("account/") if target.startswith("account/") else ""
