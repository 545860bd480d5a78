"""The usual request for a decision, answered without the framework, which takes longer than the decision.

Whatever is out of the ordinary goes on to the whole application as it came: whoever has to be looked up, another media
type, a body with a fault, an account of somebody else, too many requests. So every refusal, and what it says, comes from there,
and an answer from here is the one that it would give; a test holds the two side by side.
"""

from typing import Any

import msgspec
from anyio import to_thread

from ringfence.service.access.authentication import known_at_once
from ringfence.service.access.headers import harden
from ringfence.service.access.rights import Principal, Right, Role
from ringfence.service.api.evaluate import OrderBody, market_of, order_of, told
from ringfence.service.desk import Desk

__all__ = ["QuickEvaluate"]

_PATH = "/v1/evaluate"
_JSON = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")
# An order has some 300 bytes.
_MOST_BYTES = 8_192
_HEADERS = frozenset(
    (b"authorization", b"content-type", b"x-request-id", b"idempotency-key", b"cookie")
)


class QuickEvaluate:
    """Stands before an application, and answers what it can."""

    def __init__(self, desk: Desk, app: Any) -> None:
        self._desk, self._app = desk, app
        self._decode = msgspec.json.Decoder(OrderBody).decode
        self._encode = msgspec.json.Encoder().encode

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As an ASGI application."""
        user = self._asking(scope)
        if self._desk.access.is_upkeep_due():
            await to_thread.run_sync(self._desk.access.keep_up)
        if user is None:
            await self._app(scope, receive, send)
            return
        message = await receive()
        body = b"" if message.get("more_body") else message.get("body", b"")
        answer = self._answer(user, body) if 0 < len(body) <= _MOST_BYTES else None
        if answer is None:
            await self._app(scope, _again(message, receive), send)
            return
        scope["path_template"] = _PATH
        start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(answer)),
            ],
        }
        await harden(start, scope)
        await send(start)
        await send({"type": "http.response.body", "body": answer})

    def _asking(self, scope: Any) -> Principal | None:
        """Who asks; None where the whole application has to look at the request."""
        if scope["type"] != "http" or scope["path"] != _PATH or scope["method"] != "POST":
            return None
        if scope["query_string"]:
            return None
        found = [each for each in scope["headers"] if each[0] in _HEADERS]
        named = dict(found)
        shown, media = named.get(b"authorization", b""), named.get(b"content-type")
        if len(found) > len(named) or media not in _JSON or b"idempotency-key" in named:
            return None
        user = known_at_once(self._desk.access, shown.decode("latin-1"))
        return user if user is not None and user.may(Right.TRADE) else None

    def _answer(self, user: Principal, body: bytes) -> bytes | None:
        try:
            order = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if user.role is Role.TRADER and order.account not in user.accounts:
            return None
        decided = self._desk.guard.evaluate_order(order_of(order), market_of(order.market))
        return self._encode(told(decided))


def _again(message: Any, receive: Any) -> Any:
    """The messages of a request, from the one on that was taken."""
    taken = [message]

    async def received() -> Any:
        return taken.pop() if taken else await receive()

    return received
