"""The HTTP API, `/v1`."""

from litestar import Router

from ringfence.service.api.evaluate import evaluate

__all__ = ["api_router"]


def api_router() -> Router:
    """All routes of the API."""
    return Router("/v1", route_handlers=[evaluate])
