"""What every answer of the main port says to browsers, unless its route says it otherwise."""

from typing import Any

__all__ = ["CONTENT_SECURITY_POLICY", "always", "harden"]

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


def always(scheme: str) -> tuple[tuple[bytes, bytes], ...]:
    """The headers.

    With TLS, here or at a proxy that is trusted, browsers are told to come by TLS alone from now on.

    Args:
        scheme: Of the request.
    """
    return (*_ALWAYS, _TLS_ONLY) if scheme == "https" else _ALWAYS


async def harden(message: Any, scope: Any) -> None:
    """Add the headers to an answer that begins (a hook of Litestar's `before_send`)."""
    if message["type"] != "http.response.start":
        return
    headers = message["headers"]
    known = {name.lower() for name, _ in headers}
    added = [each for each in always(scope.get("scheme", "")) if each[0] not in known]
    message["headers"] = [*headers, *added]
