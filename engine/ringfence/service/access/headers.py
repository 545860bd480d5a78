"""What every answer of the main port says to browsers, unless its route says it otherwise."""

from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["CONTENT_SECURITY_POLICY", "always", "hardening"]

CONTENT_SECURITY_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
_ALWAYS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # What somebody may see is not kept for whoever sits there next.
    (b"cache-control", b"no-store"),
)
# Two years, as browsers' lists ask for.
_TLS_ONLY = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")


def always(scheme: str, *, behind_proxy: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The headers.

    With TLS browsers are told to come by TLS alone from now on.

    Args:
        scheme: Of the request, as a trusted proxy tells it.
        behind_proxy: Whether the settings say that a proxy speaks TLS. Where a browser comes past it all the same, it
            pays no heed to the header without TLS (RFC 6797, section 8.1).
    """
    return (*_ALWAYS, _TLS_ONLY) if behind_proxy or scheme == "https" else _ALWAYS


def hardening(*, behind_proxy: bool) -> Callable[[Any, Any], Awaitable[None]]:
    """What adds the headers to an answer that begins: a hook of Litestar's `before_send`.

    Args:
        behind_proxy: As for `always`.
    """

    async def harden(message: Any, scope: Any) -> None:
        if message["type"] != "http.response.start":
            return
        headers = message["headers"]
        known = {name.lower() for name, _ in headers}
        said = always(scope.get("scheme", ""), behind_proxy=behind_proxy)
        message["headers"] = [*headers, *(each for each in said if each[0] not in known)]

    return harden
