"""Logging in and out with a browser."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from litestar import Request, Response, get, post
from litestar.exceptions import (
    HTTPException,
    ServiceUnavailableException,
    TooManyRequestsException,
)

from ringfence.errors import StateError
from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.service.access.authentication import address_of
from ringfence.service.access.cookies import FORM, SESSION, cookie, cookie_value, session_cookie
from ringfence.service.access.csrf import FIELD, given_text, is_same
from ringfence.service.access.opened import Access
from ringfence.service.access.rights import Principal, Right, needs
from ringfence.service.access.users import User
from ringfence.service.dashboard.rendering import page

__all__ = [
    "LONGEST_PASSWORD",
    "in_turn",
    "log_in",
    "log_out",
    "login_page",
    "safe_path",
    "text_in",
]

LONGEST_PASSWORD = 1_024
_FORM_AGE_S = 3_600
_LONGEST_NAME, _LONGEST_PATH = 256, 2_048
# Each check takes 64 MiB.
_AT_ONCE, _MOST_WAITING = 2, 20
T = TypeVar("T")
_TEXT = re.compile(r"[0-9a-f]{64}")
_WRONG = "This name and password do not fit together."
_STALE = (
    "This form had run out, or your browser keeps no cookie of this page: "
    "use https, or a browser on the machine itself. Try again."
)


def safe_path(path: str) -> str:
    """The page to go to after a login: one of this service's own, whatever was asked for."""
    printable = path.isascii() and path.isprintable() and " " not in path
    if not printable or len(path) > _LONGEST_PATH or "\\" in path:
        return "/"
    if not path.startswith("/") or path.startswith("//"):
        return "/"
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or parts.path in ("/login", "/logout"):
        return "/"
    return path


@get("/login", opt={"open": True}, include_in_schema=False, sync_to_thread=False)
def login_page(request: Request[Any, Any, Any]) -> Response[str]:
    """The form."""
    return _form(request, safe_path(request.query_params.get("next", "/")))


@post("/login", opt={"open": True}, include_in_schema=False)
async def log_in(request: Request[Any, Any, Any]) -> Response[Any]:
    """Begin a session, whatever the browser had before, and go to the page that was wanted.

    Names are recorded where they are known, and passwords never: people type one into the field of the other.
    """
    access: Access = request.app.state.desk.access
    form = await request.form()
    name, password, wanted = (text_in(form, each) for each in ("name", "password", "next"))
    where, address = safe_path(wanted), address_of(request)
    sent = cookie_value(request, FORM)
    if not sent or not is_same(await given_text(request), sent):
        return _form(request, where, said=_STALE, status=403)
    if not 0 < len(name) <= _LONGEST_NAME or not 0 < len(password) <= LONGEST_PASSWORD:
        return _form(request, where, said=_WRONG, status=403)
    name = name.strip().lower()
    user = access.users.find(name)
    by = "" if user is None else user.name
    try:
        access.logins.count(name, address)
        found = await in_turn(request, access.users.check, name, password)
    except TooManyRequestsException as error:
        access.records.refused("locked-out", by, {"address": address})
        return _too_often(request, where, error)
    if found is None:
        locked = access.logins.is_locked(name, address)
        told = {"address": address, "known": user is not None, "locks_out": locked}
        access.records.refused("login-failed", by, told)
        return _form(request, where, said=_WRONG, status=403)
    access.logins.succeeded(name, address)
    return await _welcome(request, access, found, where)


@post(
    "/logout",
    guards=[needs(Right.LOOK, with_first_password=True)],
    include_in_schema=False,
    sync_to_thread=True,
)
def log_out(request: Request[Principal, Any, Any]) -> Response[None]:
    """End the session."""
    access: Access = request.app.state.desk.access
    if text := cookie_value(request, SESSION):
        access.sessions.end(text)
        access.records.came("logout", request.user.name, {"address": address_of(request)})
    answer = _to("/login")
    answer.set_cookie(cookie(request, SESSION, "", age_s=0))
    return answer


async def in_turn(request: Request[Any, Any, Any], check: Callable[..., T], *given: Any) -> T:
    """Run what hashes passwords in a thread: few at once, and not many that wait.

    Raises:
        TooManyRequestsException: many wait already.
        ServiceUnavailableException: who may come in cannot be read.
    """
    state = request.app.state
    if "login_limiter" not in state:
        state.login_limiter = CapacityLimiter(_AT_ONCE)
    limiter: CapacityLimiter = state.login_limiter
    if limiter.statistics().tasks_waiting >= _MOST_WAITING:
        raise TooManyRequestsException("many log in just now; wait", headers={"retry-after": "5"})
    try:
        return await to_thread.run_sync(check, *given, limiter=limiter)
    except StateError as error:
        raise ServiceUnavailableException("who may come in cannot be read") from error


async def _welcome(
    request: Request[Any, Any, Any], access: Access, user: User, where: str
) -> Response[None]:
    before = cookie_value(request, SESSION)
    if before:
        await to_thread.run_sync(access.sessions.end, before)
    text = await to_thread.run_sync(access.sessions.begin, user)
    access.records.came("login", user.name, {"address": address_of(request), "role": user.role})
    answer = _to(where)
    answer.set_cookie(session_cookie(request, text))
    answer.set_cookie(cookie(request, FORM, "", age_s=0))
    return answer


def _too_often(request: Request[Any, Any, Any], where: str, error: HTTPException) -> Response[str]:
    headers = error.headers or {}
    said = f"Too many tries. Try again in {headers.get('retry-after', '60')} seconds."
    return _form(request, where, said=said, status=429, headers=headers)


def _form(
    request: Request[Any, Any, Any],
    where: str,
    *,
    said: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    # The one that the browser holds stays good, so that two tabs do not shut one another out.
    sent = cookie_value(request, FORM)
    text = sent if _TEXT.fullmatch(sent) else SYSTEM_RANDOM.token(32)
    about = {"csrf": (FIELD, text), "next": where, "said": said}
    answer = page(request, "login.html", status=status, headers=headers, **about)
    answer.set_cookie(cookie(request, FORM, text, age_s=_FORM_AGE_S))
    return answer


def _to(where: str) -> Response[None]:
    return Response(None, status_code=303, headers={"location": where})


def text_in(form: Mapping[str, Any], name: str) -> str:
    """What stands in a field of a form; empty where it holds no text."""
    value = form.get(name)
    return value if isinstance(value, str) else ""
