"""Finds out who asks; a request of nobody goes no further, but to the routes that say they are open."""

import time
from collections.abc import Callable
from typing import Any

from anyio import to_thread
from litestar.connection import ASGIConnection
from litestar.exceptions import (
    ClientException,
    NotAuthorizedException,
    ServiceUnavailableException,
    TooManyRequestsException,
)
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from ringfence.errors import StateError
from ringfence.service.access.cookies import SESSION, cookie_value
from ringfence.service.access.csrf import LoggedIn
from ringfence.service.access.opened import Access
from ringfence.service.access.rights import Principal

__all__ = ["Authentication", "address_of", "known_at_once", "still_in"]

_KEY = "rfk_"
_LONGEST = 8_192
_LOOK_SECONDS = 1.0


def address_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Where a request comes from; behind a proxy that the settings trust, what that says."""
    client = connection.scope.get("client")
    return "" if client is None else client[0]


class Authentication(AbstractAuthenticationMiddleware):
    """Sets `request.user`, a `Principal`, and `request.auth`: `token`, `key`, or `LoggedIn` of a session.

    A route with `opt={"open": True}` is not asked. One with `opt={"watches": True}` is asked for by an open page of itself,
    which uses no session by that.
    """

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """Look at the token, the API key or the session.

        Where there is a token or a key, no cookie is looked at.

        Raises:
            NotAuthorizedException: there is nothing that holds.
            TooManyRequestsException: there were too many requests.
            ClientException: two of them are given, and who knows which one somebody else has read.
        """
        access: Access = connection.app.state.desk.access
        given = [value for name, value in connection.scope["headers"] if name == b"authorization"]
        if len(given) > 1:
            raise ClientException("`Authorization` is given more than once")
        try:
            found: tuple[Principal, str | LoggedIn] | None
            if given:
                found = await _shown(access, given[0].decode("latin-1"))
            else:
                found = _logged_in(access, connection)
            if access.takes_upkeep():
                await to_thread.run_sync(access.keep_up)
        except StateError as error:
            raise ServiceUnavailableException(
                "who may come in cannot be read", headers={"retry-after": "5"}
            ) from error
        if found is None:
            access.requests.refused(address_of(connection))
            raise NotAuthorizedException(
                "no token, API key or session that holds", headers={"www-authenticate": "Bearer"}
            )
        user, auth = found
        access.requests.made(user.name)
        return AuthenticationResult(user=user, auth=auth)


async def _shown(access: Access, header: str) -> tuple[Principal, str] | None:
    token = _bearer(header)
    if token.startswith(_KEY):
        user = access.api_keys.read(token)
        return None if user is None else (user, "key")
    user = access.tokens.read(token)
    if access.tokens.wants_keys(token, user):
        await to_thread.run_sync(access.tokens.fetch_keys)
        user = access.tokens.read(token)
    return None if user is None else (user, "token")


def known_at_once(access: Access, header: str) -> Principal | None:
    """Whom a header `Authorization` stands for, and one more request of theirs; None where it takes longer to tell.

    `Authentication` can tell then, and says what is wrong.
    """
    token = _bearer(header)
    try:
        if token.startswith(_KEY):
            user = access.api_keys.read(token)
        else:
            user = access.tokens.read(token)
            if access.tokens.wants_keys(token, user):
                return None
        if user is not None:
            access.requests.made(user.name)
        return user
    except (StateError, TooManyRequestsException):
        return None


def still_in(
    connection: ASGIConnection[Any, Any, Any, Any],
    monotonic: Callable[[], float] = time.monotonic,
) -> Callable[[], bool]:
    """Says whether whoever asked may still come in, as the one that they were: for answers that go on for long.

    It looks once a second, and is no further request of theirs: a page that is left open does not keep its session.
    """
    access: Access = connection.app.state.desk.access
    user: Principal = connection.user
    header = connection.headers.get("authorization")
    text = "" if header is not None else cookie_value(connection, SESSION)
    looked, found = monotonic(), True

    def now() -> Principal | None:
        if header is None:
            session = access.sessions.find(text, uses=False) if text else None
            return None if session is None else session[0]
        token = _bearer(header)
        return access.api_keys.read(token) if token.startswith(_KEY) else access.tokens.read(token)

    def holds() -> bool:
        nonlocal looked, found
        if found and monotonic() - looked >= _LOOK_SECONDS:
            looked = monotonic()
            try:
                found = now() == user
            except StateError:
                found = False
        return found

    return holds


def _bearer(header: str) -> str:
    """The token of a header; empty where it holds none."""
    scheme, _, token = header.partition(" ")
    return token if scheme.lower() == "bearer" and len(token) <= _LONGEST else ""


def _logged_in(
    access: Access, connection: ASGIConnection[Any, Any, Any, Any]
) -> tuple[Principal, LoggedIn] | None:
    text = cookie_value(connection, SESSION)
    uses = not connection.route_handler.opt.get("watches", False)
    return access.sessions.find(text, uses=uses) if text else None
