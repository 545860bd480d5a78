"""What a logged-in person's browser sends without their knowing is not done.

A browser adds the session's cookie to whatever any page has it send. So each form of a session carries a text that no
other page can know; it is made from the session's own, and good for that session alone. Requests that show a token or an
API key need none: no browser adds those by itself.
"""

from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException

__all__ = ["FIELD", "HEADER", "LoggedIn", "check_form", "field_of", "given_text", "is_same"]

FIELD = "csrf_token"
HEADER = "x-csrf-token"
_READS = ("GET", "HEAD", "OPTIONS")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a request of somebody logged in came with, as `request.auth`.

    Attributes:
        csrf: What each of their forms carries.
        must_change: Whether their password is one that somebody else knows: nothing is open to them but to change it.
    """

    csrf: str = field(repr=False)
    must_change: bool = False


def field_of(connection: ASGIConnection[Any, Any, Any, Any]) -> tuple[str, str]:
    """Name and value of the field that every form of this session carries; empty where there is no session."""
    found = connection.scope.get("auth")
    return (FIELD, found.csrf) if isinstance(found, LoggedIn) else ("", "")


async def check_form(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Whether a request that changes something was made by a page of this session.

    Raises:
        PermissionDeniedException: the text is missing, or is another session's.
    """
    found = connection.scope.get("auth")
    if not isinstance(found, LoggedIn) or connection.scope.get("method") in _READS:
        return
    if not isinstance(connection, Request) or not is_same(await given_text(connection), found.csrf):
        raise PermissionDeniedException("this form is not one of your session; load the page again")


async def given_text(request: Request[Any, Any, Any]) -> str:
    """What a form carries, in its header or its field."""
    if HEADER in request.headers:
        return request.headers[HEADER]
    if request.content_type[0] not in _FORMS:
        return ""
    values = (await request.form()).getall(FIELD, [])
    return values[0] if len(values) == 1 and isinstance(values[0], str) else ""


def is_same(given: str, wanted: str) -> bool:
    """Whether two texts are the same, which takes as long where they are not."""
    return compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
