"""Everything of the API that an application holds: routes, what they share, and how errors are answered."""

from typing import Any

from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.plugins import InitPlugin
from litestar.routes import HTTPRoute

from ringfence.service.api import api_router
from ringfence.service.api.answers import Answers
from ringfence.service.api.description import openapi_config
from ringfence.service.api.problems import answer_problem
from ringfence.service.api.request_ids import request_ids
from ringfence.service.archive import open_archive
from ringfence.service.desk import Desk
from ringfence.service.events import EventHub
from ringfence.service.jobs import Jobs

__all__ = ["ApiParts", "name_methods"]


def name_methods(app: Litestar) -> None:
    """Let OPTIONS name all methods of a path: the framework names those of the handler that came first."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if "OPTIONS" in handler.http_methods:
                    handler._fn = route.create_options_handler(route.path)._fn


class ApiParts(InitPlugin):
    """Adds the API of a desk to an application.

    Its `state` then holds the `hub` that tells what happens, the `archive` of decisions, `answers` by
    `Idempotency-Key`, and `jobs`.
    """

    def __init__(self, desk: Desk) -> None:
        self.hub = EventHub(desk.data / "audit", desk.log, desk.stopping)
        desk.guard.listen(self.hub.news)
        self.archive = open_archive(desk, self.hub)
        # Of all workers together: what is sent again may reach another one.
        self.answers = Answers(desk.settings.data / "requests" / "answers.sqlite", desk.clock)
        self.jobs = Jobs(desk.data / "jobs", desk.clock, keep=desk.settings.jobs.keep)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add it."""
        app_config.route_handlers.append(api_router())
        parts = {name: getattr(self, name) for name in ("hub", "archive", "answers", "jobs")}
        app_config.state = State({**app_config.state.dict(), **parts})
        app_config.middleware.insert(0, request_ids)
        handlers: dict[Any, Any] = dict.fromkeys((HTTPException, Exception), answer_problem)
        app_config.exception_handlers = {**app_config.exception_handlers, **handlers}
        app_config.openapi_config = openapi_config()
        app_config.on_startup.append(self.hub.start)
        app_config.on_shutdown += [self.hub.close, self.jobs.close, self.answers.close]
        return app_config
