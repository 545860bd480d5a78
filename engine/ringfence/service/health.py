"""Health: whether the process lives, whether it may be asked, and how each part is."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from litestar import Litestar, Response, route
from litestar.enums import HttpMethod
from litestar.params import FromPath

from ringfence import __version__
from ringfence.service.desk import Phase
from ringfence.service.health_checks import Check, Checks

__all__ = ["Health", "make_health_app"]

# A main loop that has not come round for so long serves nobody any more.
_STUCK_S = 30.0
# Some load balancers ask without wanting to hear more than the status.
_METHODS = (HttpMethod.GET, HttpMethod.HEAD)


class Health:
    """What the health port tells; from any thread.

    Attributes:
        checks: How each part is.
        fault: Says what else keeps orders from being decided, empty for nothing.
    """

    def __init__(
        self,
        checks: Checks | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.checks = checks or Checks()
        self.phase: Callable[[], Phase] = lambda: "starting"
        self.fault: Callable[[], str] = lambda: ""
        self._monotonic = monotonic
        self._started = self._beat = monotonic()
        self._beats = False

    def beat(self) -> None:
        """The main loop has come round."""
        self._beat, self._beats = self._monotonic(), True

    @property
    def lives(self) -> bool:
        """Whether the process should be left running."""
        return not self._beats or self._monotonic() - self._beat < _STUCK_S

    def ready(self) -> tuple[bool, str]:
        """Whether orders may be sent here, and why not."""
        phase = self.phase()
        if phase != "serving":
            return False, phase
        if fault := self.fault():
            return False, fault
        failing = [each for each in self.checks.all if each.needed and not each.ok]
        return not failing, ", ".join(f"{each.name}: {each.detail}" for each in failing)

    def whole(self) -> tuple[bool, dict[str, Any]]:
        """Whether all is well, and how each part is."""
        ready, why = self.ready()
        found = self.checks.all
        ok = ready and self.lives and all(each.ok for each in found)
        return ok, {
            "status": _word(ok),
            "phase": self.phase(),
            "ready": ready,
            "detail": why,
            "version": __version__,
            "up_seconds": round(self._monotonic() - self._started, 1),
            "checks": {each.name: told(each) for each in found},
        }


def make_health_app(health: Health) -> Litestar:
    """The application of the health port; it needs no token and tells no secret."""

    @route("/health/live", http_method=_METHODS, sync_to_thread=False)
    def live() -> Response[dict[str, Any]]:
        return _answer(health.lives, {"status": _word(health.lives)})

    @route("/health/ready", http_method=_METHODS, sync_to_thread=False)
    def ready() -> Response[dict[str, Any]]:
        ok, why = health.ready()
        return _answer(ok, {"status": _word(ok), "detail": why})

    @route("/health", http_method=_METHODS, sync_to_thread=False)
    def whole() -> Response[dict[str, Any]]:
        return _answer(*health.whole())

    @route("/health/{name:str}", http_method=_METHODS, sync_to_thread=False)
    def one(name: FromPath[str]) -> Response[dict[str, Any]]:
        found = next((each for each in health.checks.all if each.name == name), None)
        if found is None:
            known = ["live", "ready", *(each.name for each in health.checks.all)]
            return Response(
                {"status": "unknown", "detail": "there is no such check", "checks": known},
                status_code=404,
            )
        return _answer(found.ok, told(found))

    return Litestar([live, ready, whole, one], openapi_config=None, logging_config=None)


def told(check: Check) -> dict[str, Any]:
    """A check as JSON."""
    return {
        "status": check.status,
        "detail": check.detail,
        "since": _moment(check.since_ns),
        "checked": _moment(check.checked_ns) if check.checked_ns else None,
        "latency_ms": round(check.took_s * 1000, 3),
        "needed_for_orders": check.needed,
    }


def _answer(ok: bool, body: dict[str, Any]) -> Response[dict[str, Any]]:
    return Response(body, status_code=200 if ok else 503, headers={"cache-control": "no-store"})


def _word(ok: bool) -> str:
    return "ok" if ok else "failing"


def _moment(ns: int) -> str:
    text = datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
