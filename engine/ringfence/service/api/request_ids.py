"""Every request has a name, `X-Request-ID`: the caller's own, or one that is made here."""

import re

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ringfence.runtime.ports import SYSTEM_RANDOM, Random

__all__ = ["request_ids"]

_FIT = re.compile(rb"[A-Za-z0-9._:\-]{1,100}")
_NAME = b"x-request-id"


def request_ids(app: ASGIApp, random: Random = SYSTEM_RANDOM) -> ASGIApp:
    """Wrap an application: the name stands in `scope["state"]["request_id"]`, and in each answer.

    A name that is no short word of letters, digits and `._:-` is not taken over: it ends up in logs.
    """

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _NAME), b"")
        name = given.decode("ascii") if _FIT.fullmatch(given) else random.token(8)
        scope["state"]["request_id"] = name

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableScopeHeaders(message)["x-request-id"] = name
            await send(message)

        await app(scope, receive, answer)

    return named
