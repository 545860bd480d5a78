"""Finds out who asks; a request of nobody goes no further, but to the routes that say they are open."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from ringfence.service.desk import Desk

__all__ = ["Authentication"]


class Authentication(AbstractAuthenticationMiddleware):
    """Sets `request.user`, a `Principal`. A route with `opt={"open": True}` is not asked."""

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """Read the bearer token.

        Raises:
            NotAuthorizedException: there is none that holds.
        """
        desk: Desk = connection.app.state.desk
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        user = desk.tokens.read(token) if scheme.lower() == "bearer" else None
        if user is None:
            raise NotAuthorizedException("no valid token", headers={"www-authenticate": "Bearer"})
        return AuthenticationResult(user=user, auth=scheme)
