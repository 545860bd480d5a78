"""Errors as pages, for whoever looks with a browser; whoever asks the API gets the API's own answers."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Request, Response
from litestar.config.app import AppConfig
from litestar.exceptions import HTTPException
from litestar.plugins import InitPlugin

from ringfence.service.access.rights import PasswordDue, Principal
from ringfence.service.dashboard.rendering import page

__all__ = ["PageErrors", "login_address"]

_Handler = Callable[[Request[Any, Any, Any], Any], Response[Any]]

_TITLES = {
    400: "This cannot be done so",
    403: "You may not do this",
    404: "There is no such page",
    405: "This cannot be done here",
    409: "Something else happened meanwhile",
    413: "That is too much at once",
    429: "Too many tries",
    503: "The service cannot do this now",
}
_UNEXPECTED = "Something went wrong"


class PageErrors(InitPlugin):
    """Answers a browser with a page, whatever other handler there is; must come after the plugins that set those."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Wrap every handler of errors, and catch what has none."""
        handlers: dict[Any, Any] = dict(app_config.exception_handlers)
        handlers.setdefault(HTTPException, None)
        handlers.setdefault(Exception, None)
        app_config.exception_handlers = {
            kind: _for_people(handler) for kind, handler in handlers.items()
        }
        return app_config


def login_address(back_to: str) -> str:
    """Where to log in, and come back to a page of this service from."""
    return f"/login?next={quote(back_to, safe='')}"


def _for_people(otherwise: _Handler | None) -> _Handler:
    def handle(request: Request[Any, Any, Any], error: Any) -> Response[Any]:
        if _wants_page(request):
            return _page_of(request, error)
        if otherwise is not None:
            return otherwise(request, error)
        return _in_short(error)

    return handle


def _wants_page(request: Request[Any, Any, Any]) -> bool:
    path = request.scope["path"]
    if path.startswith(("/v1/", "/schema")):
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def _page_of(request: Request[Any, Any, Any], error: Any) -> Response[Any]:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 401:
        where = login_address(_asked(request))
        if "hx-request" in request.headers:
            return Response("", status_code=401, headers={"hx-redirect": where})
        return Response("", status_code=303, headers={"location": where})
    if isinstance(error, PasswordDue):
        where = f"/password?{urlencode({'next': _asked(request)})}"
        if "hx-request" in request.headers:
            return Response("", status_code=403, headers={"hx-redirect": where})
        return Response("", status_code=303, headers={"location": where})
    # What went wrong inside is nobody's business outside.
    said = error.detail if isinstance(error, HTTPException) and status < 500 else ""
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    user = request.scope.get("user")
    return page(
        request,
        "error.html",
        status=status,
        headers=headers,
        code=status,
        heading=_TITLES.get(status, _UNEXPECTED),
        said="" if said == _phrase(status) else said,
        role=str(user.role) if isinstance(user, Principal) else "",
    )


def _asked(request: Request[Any, Any, Any]) -> str:
    """The page that was asked for; the first one where something was sent."""
    if request.method != "GET":
        return "/"
    path, query = request.scope["path"], request.url.query
    return f"{path}?{query}" if query else path


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _in_short(error: Any) -> Response[Any]:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    body = {"status": status, "detail": _phrase(status)}
    return Response(
        body, status_code=status, headers=headers, media_type="application/problem+json"
    )
