"""Puts into the audit log who was turned away at a route."""

from typing import Any

from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import Scope

from ringfence.service.access.rights import PasswordDue, Principal

__all__ = ["record_denial"]

_DENIED, _TOO_OFTEN, _NOBODY = 403, 429, 401


async def record_denial(error: Exception, scope: Scope) -> None:
    """Record a refusal (a hook of Litestar's `after_exception`): who, from where, which route, and why."""
    if not isinstance(error, HTTPException) or error.status_code not in (
        _DENIED,
        _TOO_OFTEN,
        _NOBODY,
    ):
        return
    # Who has to change their password is led there, and lacks no right.
    if isinstance(error, PasswordDue):
        return
    if scope["type"] != ScopeType.HTTP or scope["path"] == "/login":
        return
    user, client = scope.get("user"), scope.get("client")
    known = isinstance(user, Principal)
    if not known and error.status_code == _NOBODY and _shows_nothing(scope):
        # A browser that has yet to log in, or whose session ran out, is no attempt.
        return
    told: dict[str, Any] = {
        "address": "" if client is None else client[0],
        "method": scope.get("method", ""),
        # As it is declared: what stands in its place may be anything.
        "route": scope.get("path_template", ""),
        "status": error.status_code,
        "reason": error.detail if known else "",
    }
    by = user.name if isinstance(user, Principal) else ""
    scope["litestar_app"].state.desk.access.records.refused("denied", by, told)


def _shows_nothing(scope: Scope) -> bool:
    return not any(name == b"authorization" for name, _ in scope["headers"])
