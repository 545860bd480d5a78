"""The description of the API and the list of its problems, made without a desk: for files and pages."""

from typing import Any

from litestar import Litestar

from ringfence.service.access.routes import access_routes
from ringfence.service.api import api_router
from ringfence.service.api.description import StructReferences, description_of, openapi_config

__all__ = ["published_description"]


def published_description() -> dict[str, Any]:
    """The description that the service publishes, `schemas/openapi.v1.json`."""
    return description_of(
        Litestar(
            [api_router(), *access_routes()],
            openapi_config=openapi_config(),
            plugins=[StructReferences()],
        )
    )
