"""Somebody changes their own password: on a page, or over the API.

The one they have is asked for, and counted as a try to log in: whoever finds an open session can neither keep it nor guess
faster. All their sessions end, and the one that asked goes on under a new name.
"""

from typing import Annotated, Any

import msgspec
from anyio import to_thread
from litestar import Request, Response, Router, get, post
from litestar.exceptions import PermissionDeniedException, TooManyRequestsException
from litestar.params import JSONBody

from ringfence.errors import AuditError, InputError
from ringfence.service.access.authentication import address_of
from ringfence.service.access.cookies import session_cookie
from ringfence.service.access.csrf import LoggedIn
from ringfence.service.access.login import LONGEST_PASSWORD, in_turn, safe_path, text_in
from ringfence.service.access.opened import Access
from ringfence.service.access.passwords import FEWEST_LETTERS
from ringfence.service.access.rights import Principal, Right, needs
from ringfence.service.access.users import User
from ringfence.service.api.bodies import ExactJson
from ringfence.service.api.routes import route
from ringfence.service.dashboard.proposals import back_to
from ringfence.service.dashboard.rendering import page

__all__ = ["change_password", "password_page", "password_router"]

_PATH = "/password"
_WRONG = "this is not the password that you have"
_Request = Request[Principal, Any, Any]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_PASSWORD)]
_open = needs(Right.LOOK, with_first_password=True)


class PasswordChange(msgspec.Struct, forbid_unknown_fields=True):
    """The password that one has, and the one to have from now on."""

    current: _Text
    password: _Text


@get(_PATH, guards=[_open], include_in_schema=False, sync_to_thread=False)
def password_page(request: _Request) -> Response[str]:
    """The form."""
    asked = request.query_params
    return _form(request, safe_path(asked.get("next", "/")), done=asked.get("done") == "changed")


@post(_PATH, guards=[_open], include_in_schema=False)
async def change_password(request: _Request) -> Response[Any]:
    """Take the form; whoever had to change it goes on to the page that they wanted."""
    form = await request.form()
    current, password, again = (text_in(form, each) for each in ("current", "password", "again"))
    where, was_due = safe_path(text_in(form, "next")), _is_due(request)
    if password != again:
        return _form(request, where, said="the two new passwords are not the same", status=422)
    try:
        user = await _changed(request, current, password)
    except PermissionDeniedException as error:
        return _form(request, where, said=error.detail, status=403)
    except AuditError:
        raise
    except InputError as error:
        return _form(request, where, said=f"{error.message}: {error.fix}", status=422)
    except TooManyRequestsException as error:
        headers = error.headers or {}
        said = f"too many tries; try again in {headers.get('retry-after', '60')} seconds"
        return _form(request, where, said=said, status=429, headers=headers)
    if was_due:
        answer = Response(None, status_code=303, headers={"location": where})
    else:
        answer = back_to(_PATH, "changed")
    return await _going_on(request, user, answer)


@route(
    "post",
    "/",
    Right.LOOK,
    summary="Change your own password",
    tag="access",
    status=204,
    once=False,
    with_first_password=True,
)
async def change_own_password(data: JSONBody[PasswordChange], request: _Request) -> Response[None]:
    """Change the password of whoever asks. The current one is asked for, and each try counts as one to log in. Every
    session of theirs ends; that of this request goes on, with another cookie.
    """
    user = await _changed(request, data.current, data.password)
    return await _going_on(request, user, Response(None, status_code=204))


def password_router() -> Router:
    """The API's part."""
    return Router(
        "/v1/password", route_handlers=[change_own_password], dto=ExactJson, return_dto=None
    )


async def _changed(request: _Request, current: str, password: str) -> User:
    """Change it.

    Raises:
        PermissionDeniedException: the current one is wrong, or there is none to change.
        TooManyRequestsException: there were too many tries.
        InputError: the new one will not do.
    """
    if request.user.machine:
        raise PermissionDeniedException("an API key has no password")
    access: Access = request.app.state.desk.access
    name, address = request.user.name, address_of(request)
    try:
        access.logins.count(name, address)
    except TooManyRequestsException:
        access.records.refused("locked-out", name, {"address": address})
        raise

    def record(_: User) -> None:
        access.records.changed("password-changed", name, {"user": name, "address": address})

    user = await in_turn(request, access.users.change_own, name, current, password, record)
    if user is None:
        locked = access.logins.is_locked(name, address)
        told = {"address": address, "locks_out": locked}
        access.records.refused("password-refused", name, told)
        raise PermissionDeniedException(_WRONG)
    access.logins.succeeded(name, address)
    return user


async def _going_on(request: _Request, user: User, answer: Response[Any]) -> Response[Any]:
    access: Access = request.app.state.desk.access
    await to_thread.run_sync(access.sessions.end_all, user.name)
    if isinstance(request.auth, LoggedIn):
        text = await to_thread.run_sync(access.sessions.begin, user)
        answer.set_cookie(session_cookie(request, text))
    return answer


def _is_due(request: _Request) -> bool:
    return isinstance(request.auth, LoggedIn) and request.auth.must_change


def _form(
    request: _Request,
    where: str,
    *,
    said: str = "",
    done: bool = False,
    status: int = 200,
    headers: Any = None,
) -> Response[str]:
    return page(
        request,
        "password.html",
        status=status,
        headers=headers,
        name=request.user.name,
        due=_is_due(request),
        next=where,
        said=said[:1].upper() + said[1:],
        done=done,
        fewest=FEWEST_LETTERS,
    )
