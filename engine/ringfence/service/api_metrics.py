"""How long requests take, by route."""

import threading
from collections.abc import Iterable
from typing import Any

from ringfence.runtime.metric_table import metric, one
from ringfence.runtime.metrics import Histogram, Metric, Sample

__all__ = ["ApiMetrics"]

# Seconds; an evaluation takes some 200 us, a dry run's report may take long.
_BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
# Whatever a caller asks for, the names of time series are the service's own.
_NO_ROUTE = "none"
_OTHER = "other"


class ApiMetrics:
    """Counts requests; see `runtime.metrics.Source`. Requests may come from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._took: dict[tuple[str, str, str], Histogram] = {}
        self._running = 0

    def begin(self) -> None:
        """A request came."""
        with self._lock:
            self._running += 1

    def answered(self, scope: Any, status: int, seconds: float) -> None:
        """An answer began.

        Args:
            scope: Of the request, after the application has found its route.
            status: Of the answer.
            seconds: Since the request came.
        """
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        self.took(method, scope.get("path_template") or _NO_ROUTE, status, seconds)

    def took(self, method: str, route: str, status: int, seconds: float) -> None:
        """An answer began.

        Args:
            method, route: Of the service's own, not as a caller wrote them.
            status, seconds: As in `answered`.
        """
        key = method, route, f"{status // 100}xx"
        with self._lock:
            found = self._took.get(key)
            if found is None:
                found = self._took[key] = Histogram(_BOUNDS)
            found.observe(seconds)

    def end(self) -> None:
        """An answer was sent, or nobody waits for it any more."""
        with self._lock:
            self._running -= 1

    def metrics(self) -> Iterable[Metric]:
        """As `runtime.metrics.Source.metrics`."""
        with self._lock:
            took = {key: each.value() for key, each in self._took.items()}
            running = self._running
        yield metric(
            "ringfence_api_request_seconds",
            (
                Sample({"method": method, "route": route, "status": status}, value)
                for (method, route, status), value in took.items()
            ),
        )
        yield one("ringfence_api_requests_running", running)
