"""What all routes of the API have in common: who may, what can go wrong, what the description says."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any

from litestar import Request, delete, get, patch, post, put
from litestar.openapi.datastructures import ResponseSpec

from ringfence.errors import AuditError
from ringfence.service.access.rights import Principal, Right, Role, may_tell_prices, needs
from ringfence.service.api.problems import MEDIA_TYPE, Problem, ProblemBody
from ringfence.service.desk import Desk

__all__ = [
    "ONCE",
    "Asking",
    "check_prices",
    "desk_of",
    "may_see",
    "request_name",
    "route",
    "seen_accounts",
    "sees_all",
]

Asking = Request[Principal, Any, Any]
#: In a route's `opt`: a request with an `Idempotency-Key` takes effect once.
ONCE = "once"
_METHODS: Mapping[str, Callable[..., Any]] = {
    "get": get,
    "post": post,
    "put": put,
    "patch": patch,
    "delete": delete,
}
_WORDS = {
    400: "The body is no JSON, or a parameter cannot be used.",
    401: "Nobody is known to be asking.",
    403: "The one who asks may not do this.",
    404: "There is no such thing, or it is not for the one who asks.",
    409: "It does not go with how things are.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "The body is not what the route takes; each fault names its place.",
    429: "Too many requests.",
    500: "The service failed.",
    502: "The exchange could not be asked.",
    503: "The audit log or the state cannot be written or reached.",
}
_ALWAYS = (400, 401, 403, 429, 500, 503)
_WITH_BODY = (409, 413, 415, 422)


def route(
    method: str,
    path: str,
    right: Right,
    *,
    summary: str,
    tag: str,
    errors: tuple[int, ...] = (),
    status: int = 200,
    threaded: bool = True,
    once: bool | None = None,
    with_first_password: bool = False,
    more: Mapping[int, ResponseSpec] | None = None,
    **others: Any,
) -> Callable[[Callable[..., Any]], Any]:
    """A route's handler.

    Args:
        method: `get`, `post`, `put`, `patch` or `delete`.
        path: Below `/v1`.
        right: What whoever asks needs.
        summary: A line for the description; the handler's docstring is the rest.
        tag: Where the description lists it.
        errors: Statuses that it may answer beside those of every route.
        status: When all is well.
        threaded: Whether the handler runs in a thread of its own; for one that is neither quick nor `async`.
        once: Whether an `Idempotency-Key` is heeded; where not said, every `post` does.
        with_first_password: Whether those get in, too, who have yet to change a password that somebody else set.
        more: Further answers.
    """
    has_body = method in ("post", "put", "patch")
    statuses = {*_ALWAYS, *errors, *(_WITH_BODY if has_body else ())}
    responses = {
        each: ResponseSpec(
            ProblemBody,
            generate_examples=False,
            description=_WORDS[each],
            media_type=MEDIA_TYPE,
        )
        for each in sorted(statuses)
    }
    manages = method != "get" and right is Right.MANAGE
    is_once = method == "post" if once is None else once

    def made(handler: Callable[..., Any]) -> Any:
        options = {"threaded": {"sync_to_thread": True}, "inline": {"sync_to_thread": False}}
        kind = options["threaded" if threaded else "inline"]
        return _METHODS[method](
            path,
            status_code=status,
            guards=[needs(right, with_first_password=with_first_password)],
            summary=summary,
            tags=[tag],
            operation_id=handler.__name__,
            responses={**responses, **(more or {})},
            opt={ONCE: is_once},
            **({} if _is_async(handler) else kind),
            **others,
        )(_wrapped(handler, recorded=manages, once=is_once))

    return made


def desk_of(request: Asking) -> Desk:
    """The desk that a request is for."""
    desk: Desk = request.app.state.desk
    return desk


def request_name(request: Asking) -> str:
    """What a request is called in its answer, in logs and in records."""
    name: str = request.scope["state"]["request_id"]
    return name


def check_prices(request: Asking, at: str = "/market") -> None:
    """Let only those give market data with an order who may tell it.

    Args:
        request: Who asks.
        at: Where the market data stands in the body, a JSON pointer.

    Raises:
        Problem: a trader asks, and the settings let no trader.
    """
    if not may_tell_prices(request.user, desk_of(request).settings.access):
        raise Problem(
            "forbidden",
            f"{at}: the role {request.user.role} may not tell prices here",
            fix="leave `market` out: the guard decides on what `/v1/marks` told last",
        )


def seen_accounts(user: Principal) -> frozenset[str] | None:
    """The accounts that somebody sees; None for all."""
    return user.accounts if user.role is Role.TRADER else None


def may_see(user: Principal, account: str) -> bool:
    """Whether an account is for somebody's eyes."""
    seen = seen_accounts(user)
    return seen is None or account in seen


def sees_all(user: Principal) -> None:
    """Let only those go on who see every account.

    Raises:
        Problem: a trader asks.
    """
    if seen_accounts(user) is not None:
        raise Problem("forbidden", "this tells of every account, and a trader sees its own alone")


def _wrapped(handler: Callable[..., Any], *, recorded: bool, once: bool) -> Callable[..., Any]:
    if recorded and not _is_async(handler):
        handler = _recorded(handler)
    return _once(handler) if once else handler


def _recorded(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler whose requests are in the audit log by their names, beside the record of what they did."""

    @wraps(handler)
    def answered(*given: Any, **named: Any) -> Any:
        found = handler(*given, **named)
        request: Asking = named["request"]
        body = {
            "request": request_name(request),
            "by": request.user.name,
            "method": request.method,
            "path": request.scope["path"],
        }
        # It took effect, and that has its own record.
        with suppress(AuditError):
            desk_of(request).log.append("request", body)
        return found

    return answered


def _once(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler that answers a request with a known `Idempotency-Key` as it did the first time."""

    @wraps(handler)
    def answered(*given: Any, **named: Any) -> Any:
        request: Asking = named["request"]
        key = request.headers.get("idempotency-key")
        if key is None:
            return handler(*given, **named)
        return request.app.state.answers.answer(key, request, lambda: handler(*given, **named))

    return answered


def _is_async(handler: Callable[..., Any]) -> bool:
    from inspect import iscoroutinefunction

    return iscoroutinefunction(handler)
