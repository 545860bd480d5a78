"""The usual request for a decision, answered without the framework, which takes longer than the decision.

Whatever is out of the ordinary goes on to the whole application as it came: a session, an `Idempotency-Key`, another media
type, a body with a fault, an account of somebody else, too many requests. So every refusal, and what it says, comes from
there, and an answer from here is the one that it would give; a test holds the two side by side.
"""

from typing import Any

import msgspec
from anyio import to_thread

from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.service.access.authentication import known_at_once
from ringfence.service.access.headers import harden
from ringfence.service.access.rights import Principal, Right, Role, may_tell_prices
from ringfence.service.api.bodies import read_json
from ringfence.service.api.order_bodies import OrderBody, decision_told, market_of, order_of
from ringfence.service.api.problems import Problem
from ringfence.service.api.request_ids import request_id_of
from ringfence.service.desk import Desk

__all__ = ["QuickEvaluate"]

_PATH = "/v1/evaluate"
_MEDIA = (
    b"application/json",
    b"application/json; charset=utf-8",
    b"application/json;charset=utf-8",
)
# An order has some 300 bytes.
_MOST_BYTES = 8_192
_HEADERS = frozenset(
    (b"authorization", b"content-type", b"x-request-id", b"idempotency-key", b"content-encoding")
)
_ORDER = msgspec.json.Decoder(OrderBody)
_told = msgspec.json.Encoder().encode


class QuickEvaluate:
    """Stands before an application, and answers what it can."""

    def __init__(self, desk: Desk, app: Any) -> None:
        self._desk, self._app = desk, app
        # Where a decision waits for the disk, others must be answered meanwhile.
        durable = desk.settings.audit.durability, desk.settings.state.durability
        self._is_quick = durable == ("process", "process")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As an ASGI application."""
        headers = self._headers(scope) if self._is_quick else None
        user = None if headers is None else self._user(headers)
        if headers is None or user is None:
            await self._app(scope, receive, send)
            return
        if self._desk.access.is_upkeep_due():
            await to_thread.run_sync(self._desk.access.keep_up)
        message = await receive()
        body = b"" if message.get("more_body") else message.get("body", b"")
        answer = self._answer(user, body) if len(body) <= _MOST_BYTES else None
        if answer is None:
            await self._app(scope, _again(message, receive), send)
            return
        scope["path_template"] = _PATH
        name = request_id_of(headers.get(b"x-request-id", b""), SYSTEM_RANDOM)
        start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(answer)),
                (b"x-request-id", name.encode("ascii")),
            ],
        }
        await harden(start, scope)
        await send(start)
        await send({"type": "http.response.body", "body": answer})

    def _headers(self, scope: Any) -> dict[bytes, bytes] | None:
        """The headers that matter; None where the request is not the usual one."""
        if scope["path"] != _PATH or scope["method"] != "POST" or scope["query_string"]:
            return None
        found = [each for each in scope["headers"] if each[0] in _HEADERS]
        named = dict(found)
        if len(found) > len(named) or named.get(b"content-type") not in _MEDIA:
            return None
        is_plain = b"idempotency-key" not in named and b"content-encoding" not in named
        return named if is_plain else None

    def _user(self, headers: dict[bytes, bytes]) -> Principal | None:
        shown = headers.get(b"authorization")
        if shown is None:
            return None
        user = known_at_once(self._desk.access, shown.decode("latin-1"))
        return user if user is not None and user.may(Right.TRADE) else None

    def _answer(self, user: Principal, body: bytes) -> bytes | None:
        """The decision; None where there is something to say about the body or the account."""
        try:
            data = read_json(body, _ORDER)
            if user.role is Role.TRADER and data.account not in user.accounts:
                return None
            if data.market is not None and not may_tell_prices(user, self._desk.settings.access):
                return None
            order, market = order_of(data), market_of(data.market)
        except Problem:
            return None
        return _told(
            decision_told(self._desk.guard.evaluate_order(order, market), order.client_order_id)
        )


def _again(message: Any, receive: Any) -> Any:
    """The messages of a request, from the one on that was taken."""
    taken = [message]

    async def received() -> Any:
        return taken.pop() if taken else await receive()

    return received
