"""The application of the main port: API and dashboard."""

from litestar import Litestar
from litestar.datastructures import State
from litestar.middleware import DefineMiddleware

from ringfence.service.access.authentication import Authentication
from ringfence.service.access.denials import record_denial
from ringfence.service.access.headers import hardening
from ringfence.service.access.routes import access_routes
from ringfence.service.api.description import StructReferences
from ringfence.service.api.parts import ApiParts, name_methods
from ringfence.service.dashboard import PageErrors, Pulse, dashboard_router
from ringfence.service.desk import Desk
from ringfence.service.measured_app import MeasuredApp
from ringfence.service.request_faults import log_fault

__all__ = ["make_app"]


def make_app(desk: Desk) -> Litestar:
    """The application around an open desk, which stays the caller's to close."""
    pulse = Pulse(desk.guard, desk.clock)
    app = MeasuredApp(
        [*access_routes(), dashboard_router()],
        state=State({"desk": desk, "pulse": pulse}),
        request_max_body_size=desk.settings.server.max_body,
        logging_config=None,
        middleware=[
            DefineMiddleware(Authentication, exclude_from_auth_key="open", exclude="^/schema")
        ],
        before_send=[hardening(behind_proxy=desk.settings.server.behind_proxy)],
        after_exception=[log_fault, record_denial],
        # Errors as pages wrap the API's own answers.
        plugins=[ApiParts(desk), PageErrors(), StructReferences()],
        on_startup=[pulse.start],
        on_shutdown=[pulse.stop],
    )
    name_methods(app)
    return app
