"""The dashboard: pages for people, made on the server."""

from litestar import Router

from ringfence.service.dashboard.assets import asset
from ringfence.service.dashboard.errors import PageErrors
from ringfence.service.dashboard.overview import overview

__all__ = ["PageErrors", "dashboard_router"]


def dashboard_router() -> Router:
    """All pages, and what they load."""
    return Router("/", route_handlers=[asset, overview], include_in_schema=False)
