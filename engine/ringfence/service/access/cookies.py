"""The cookies of a session and of the login form: out of reach of scripts, of other sites and of plain http."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from ringfence.service.access.addresses import is_loopback

__all__ = ["FORM", "SESSION", "cookie", "cookie_value", "is_plain", "session_cookie"]

SESSION = "ringfence-session"
FORM = "ringfence-login"
_SECOND_NS = 1_000_000_000


def is_plain(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether a browser on this very machine talks to it without TLS: no network lies between."""
    url = connection.url
    return url.scheme == "http" and is_loopback(url.hostname or "")


def cookie(
    connection: ASGIConnection[Any, Any, Any, Any], name: str, value: str, *, age_s: int
) -> Cookie:
    """A cookie for the whole origin, and nothing else.

    Browsers take the prefix `__Host-` as: from this very host, by TLS, for all its paths (RFC 6265bis, section 4.1.3).

    Args:
        age_s: How long the browser keeps it, in seconds; 0 has it removed.
    """
    secure = not is_plain(connection)
    return Cookie(
        key=_called(connection, name, secure),
        value=value,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
        max_age=age_s,
    )


def session_cookie(connection: ASGIConnection[Any, Any, Any, Any], text: str) -> Cookie:
    """The cookie of a session, for as long as one can last."""
    longest_ns: int = connection.app.state.desk.settings.access.session.longest
    return cookie(connection, SESSION, text, age_s=longest_ns // _SECOND_NS)


def cookie_value(connection: ASGIConnection[Any, Any, Any, Any], name: str) -> str:
    """The value of a cookie; empty where it is not there, or there twice: one of them somebody else has set."""
    called = _called(connection, name, secure=not is_plain(connection)) + "="
    given = [
        part
        for header, value in connection.scope["headers"]
        if header == b"cookie"
        for part in value.decode("latin-1").split(";")
    ]
    found = [part.strip()[len(called) :] for part in given if part.strip().startswith(called)]
    return found[0].strip('"') if len(found) == 1 else ""


def _called(connection: ASGIConnection[Any, Any, Any, Any], name: str, secure: bool) -> str:
    # Below a path there may be another service on this host, and browsers send each the cookies of both.
    name += connection.scope.get("root_path", "").replace("/", ".")
    return f"__Host-{name}" if secure else name
