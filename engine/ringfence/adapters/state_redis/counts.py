"""What the Redis store counts of itself."""

import threading
from collections import Counter

from ringfence.runtime.metric_table import metric, one
from ringfence.runtime.metrics import Histogram, Metric, Sample

__all__ = ["Counts"]

# Seconds; a round trip on one machine takes some 100 us.
_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Counts:
    """Counters of one store; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._conflicts = self._reconnects = 0
        self._seconds = Histogram(_BOUNDS)

    def request(self, operation: str, seconds: float) -> None:
        """A request was made, and took so long, however it ended."""
        with self._lock:
            self._requests[operation] += 1
            self._seconds.observe(seconds)

    def error(self, kind: str) -> None:
        """A request failed."""
        with self._lock:
            self._errors[kind] += 1

    def conflict(self) -> None:
        """An append came too late: others had appended first."""
        with self._lock:
            self._conflicts += 1

    def reconnect(self) -> None:
        """A connection stands again after one was lost or could not be made."""
        with self._lock:
            self._reconnects += 1

    def metrics(self) -> tuple[Metric, ...]:
        """As `runtime.metrics.Source.metrics`."""
        with self._lock:
            requests, errors = dict(self._requests), dict(self._errors)
            conflicts, reconnects = self._conflicts, self._reconnects
            seconds = self._seconds.value()
        return (
            metric(
                "ringfence_state_requests",
                (Sample({"op": name}, count) for name, count in sorted(requests.items())),
            ),
            metric(
                "ringfence_state_errors",
                (Sample({"kind": name}, count) for name, count in sorted(errors.items())),
            ),
            one("ringfence_state_conflicts", conflicts),
            one("ringfence_state_reconnects", reconnects),
            one("ringfence_state_request_seconds", seconds),
        )
