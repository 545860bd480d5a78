"""Pages out of templates: everything is escaped, nothing stands inline, and a page says what may be loaded with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from litestar.connection import ASGIConnection

from ringfence import __version__
from ringfence.service.access.csrf import LoggedIn, field_of
from ringfence.service.access.rights import Principal, Right
from ringfence.service.dashboard import words
from ringfence.service.dashboard.assets import assets
from ringfence.service.dashboard.sight import sees_target
from ringfence.service.desk import Desk

__all__ = ["HEADERS", "Frame", "environment", "frame_of", "page", "part"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
#: What every page is sent with.
HEADERS = {
    "content-security-policy": _POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# What htmx must not do under that policy.
_HTMX = json.dumps(
    {
        "allowEval": False,
        "allowScriptTags": False,
        "includeIndicatorStyles": False,
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        "selfRequestsOnly": True,
    }
)
#: Address, name, picture of each page; one that is not served is not shown.
_PAGES = (
    ("/", "Overview", "overview"),
    ("/limits", "Limits", "limits"),
    ("/decisions", "Decisions", "decisions"),
    ("/policies", "Policies", "policies"),
    ("/dry-runs", "Dry runs", "dry-runs"),
    ("/kill-switch", "Kill switch", "kill-switch"),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page shows around its own part.

    Attributes:
        user: Who looks; None before the login, and as long as nothing is open to them.
        path: The page's address, as the routes know it.
        workers: Processes that answer; with several of them each tells some things of itself alone.
        root: What stands before each address of this service: the path of a proxy; empty without one.
        pages: Address, name and picture of each page that is served.
        csrf: Name and value of the field that every form carries; empty where the session needs none.
        firm_state: State of the firm's kill switch; empty before the login.
        switched: How many other switches are not active.
    """

    user: Principal | None
    path: str
    pages: tuple[tuple[str, str, str], ...]
    csrf: tuple[str, str]
    environment: str
    firm_state: str
    switched: int
    workers: int = 1
    root: str = ""
    version: str = __version__
    htmx: str = _HTMX

    def is_here(self, address: str) -> bool:
        """Whether the page at an address, or one below it, is shown."""
        return self.path == address or (address != "/" and self.path.startswith(address + "/"))

    def may(self, right: str) -> bool:
        """Whether who looks has a right: `look`, `trade`, `manage`, `administer`."""
        return self.user is not None and self.user.may(Right(right))


@cache
def environment() -> Environment:
    """The templates; a name that is not there is an error, in every template."""
    made = Environment(
        loader=PackageLoader("ringfence.service.dashboard", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in words.__all__:
        made.filters[name] = getattr(words, name)
    made.globals["asset"] = assets().address
    return made


def page(
    request: ASGIConnection[Any, Any, Any, Any],
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **about: Any,
) -> Response[str]:
    """A page.

    Args:
        request: Whose page it is.
        template: Its name.
        status: The answer's.
        headers: Besides those of every page.
        about: What the template shows.
    """
    text = environment().get_template(template).render(frame=frame_of(request), **about)
    return Response(
        text,
        status_code=status,
        media_type="text/html",
        headers={**HEADERS, **(headers or {})},
    )


def part(template: str, **about: Any) -> str:
    """A piece of a page, to be put in the place of an older one."""
    return environment().get_template(template).render(**about)


def frame_of(request: ASGIConnection[Any, Any, Any, Any]) -> Frame:
    """What every page shows around its own part."""
    desk: Desk = request.app.state.desk
    # A page of an error may come before anybody is known.
    found = request.scope.get("user")
    user = found if isinstance(found, Principal) else None
    auth = request.scope.get("auth")
    # Who has to change their password sees what they saw before the login.
    if isinstance(auth, LoggedIn) and auth.must_change:
        user = None
    switched = 0
    if user is not None:
        switched = sum(
            each.target != "firm" and each.state != "active" and sees_target(user, each.target)
            for each in desk.guard.kill_switches
        )
    served = {route.path for route in request.app.routes}
    return Frame(
        user,
        request.scope["path"],
        tuple(each for each in _PAGES if each[0] in served),
        field_of(request),
        desk.settings.environment,
        desk.guard.kill_switch("firm") if user is not None else "",
        switched,
        desk.settings.server.workers,
        request.scope.get("root_path", ""),
    )
