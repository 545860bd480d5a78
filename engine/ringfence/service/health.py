"""Health: whether the process lives, whether it may be asked, and how each part is."""

from typing import Any

from litestar import Litestar, Response, get

from ringfence.service.desk import Desk

__all__ = ["checks", "make_health_app"]


def checks(desk: Desk) -> dict[str, str]:
    """What is wrong with each part; empty where it is well."""
    about = desk.reloader.health()
    found = {"policies": "" if about.ok else "the last reload failed"}
    if desk.writer is not None:
        found["db"] = next((each.error for each in desk.writer.status() if each.error), "")
    return found


def make_health_app(desk: Desk) -> Litestar:
    """The application of the health port; it needs no token and tells no secret."""

    @get("/health/live", sync_to_thread=False)
    def live() -> dict[str, str]:
        return {"status": "ok"}

    @get(["/health", "/health/ready"], sync_to_thread=True)
    def ready() -> Response[dict[str, Any]]:
        found = checks(desk)
        ok = not any(found.values())
        body = {"status": "ok" if ok else "failing", "checks": found}
        return Response(body, status_code=200 if ok else 503)

    return Litestar([live, ready], openapi_config=None)
