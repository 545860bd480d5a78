"""All routes of access: login, users, keys, tokens, proposals."""

from litestar import Router
from litestar.types import ControllerRouterHandler

from ringfence.service.access.admin_routes import admin_routers
from ringfence.service.access.login import log_in, log_out, login_page
from ringfence.service.access.own_password import (
    change_password,
    password_page,
    password_router,
)
from ringfence.service.access.proposal_routes import proposal_router

__all__ = ["access_routes"]


def access_routes() -> list[ControllerRouterHandler]:
    """The handlers and routers, for the application of the main port."""
    routers: list[Router] = [*admin_routers(), proposal_router(), password_router()]
    return [login_page, log_in, log_out, password_page, change_password, *routers]
