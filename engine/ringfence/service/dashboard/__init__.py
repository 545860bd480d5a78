"""The dashboard: pages for people, made on the server."""

from litestar import Router

from ringfence.service.dashboard import decisions, dry_runs, kill_switch, limits, policies
from ringfence.service.dashboard.assets import asset
from ringfence.service.dashboard.errors import PageErrors
from ringfence.service.dashboard.overview import live_overview, overview
from ringfence.service.dashboard.pulse import Pulse

__all__ = ["PageErrors", "Pulse", "dashboard_router"]


def dashboard_router() -> Router:
    """All pages, and what they load."""
    return Router(
        "/",
        route_handlers=[
            asset,
            overview,
            live_overview,
            *decisions.ROUTES,
            *kill_switch.ROUTES,
            *limits.ROUTES,
            *policies.ROUTES,
            *dry_runs.ROUTES,
        ],
        include_in_schema=False,
    )
