"""What waits for a second person, decided from a page: the same two forms wherever proposals are shown."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from ringfence.service.access.four_eyes import Conflict, FourEyes
from ringfence.service.access.rights import Principal, Right, needs

__all__ = ["back_to", "proposal_forms"]

Asking = Request[Principal, Any, Any]


def back_to(path: str, done: str) -> Redirect:
    """The page itself, which then says what was done."""
    return Redirect(f"{path}?{urlencode({'done': done})}", status_code=303)


def proposal_forms(path: str) -> tuple[HTTPRouteHandler, HTTPRouteHandler]:
    """The handlers that confirm and withdraw, for the page at `path`."""

    @post(
        f"{path}/proposals/{{name:str}}/confirm", guards=[needs(Right.MANAGE)], sync_to_thread=True
    )
    def confirm(request: Asking, name: FromPath[str]) -> Response[Any]:
        """Does what another person proposed."""
        outcome = _four_eyes(request).confirm(request.user, name)
        if outcome is not None and not outcome.ok:
            raise Conflict(outcome.message)
        return back_to(path, "confirmed")

    @post(
        f"{path}/proposals/{{name:str}}/withdraw", guards=[needs(Right.MANAGE)], sync_to_thread=True
    )
    def withdraw(request: Asking, name: FromPath[str]) -> Response[Any]:
        """Takes a proposal away."""
        _four_eyes(request).withdraw(request.user, name)
        return back_to(path, "withdrawn")

    return confirm, withdraw


def _four_eyes(request: Asking) -> FourEyes:
    found: FourEyes = request.app.state.desk.access.four_eyes
    return found
