"""Every request has a name, `X-Request-ID`: the caller's own, or one that is made here."""

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ringfence.runtime.asked import read_request_id
from ringfence.runtime.ports import SYSTEM_RANDOM, Random

__all__ = ["request_id_of", "request_ids"]

_NAME = b"x-request-id"


def request_id_of(given: bytes, random: Random) -> str:
    """The name of a request.

    Args:
        given: What the caller calls it. One that is no short word of letters, digits and `._:-` is not taken over:
            it ends up in logs and records.
        random: Makes up another one.
    """
    return read_request_id(given.decode("latin-1")) or random.token(8)


def request_ids(app: ASGIApp, random: Random = SYSTEM_RANDOM) -> ASGIApp:
    """Wrap an application: the name stands in `scope["state"]["request_id"]`, and in each answer."""

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _NAME), b"")
        name = request_id_of(given, random)
        scope["state"]["request_id"] = name

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableScopeHeaders(message)["x-request-id"] = name
            await send(message)

        await app(scope, receive, answer)

    return named
