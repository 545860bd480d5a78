"""The overview: how things stand, at one look."""

from typing import Any

from litestar import Request, Response, get

from ringfence.service.access.rights import Principal, Right, needs
from ringfence.service.dashboard.rendering import page

__all__ = ["overview"]


@get("/", guards=[needs(Right.LOOK)], sync_to_thread=True, include_in_schema=False)
def overview(request: Request[Principal, Any, Any]) -> Response[str]:
    """The page."""
    return page(request, "overview.html")
