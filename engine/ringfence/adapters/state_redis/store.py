"""One Redis server, or cluster, as the place of what several guards share."""

from collections.abc import Iterable

from ringfence.adapters.state_redis.counts import Counts
from ringfence.adapters.state_redis.servers import Servers
from ringfence.adapters.state_redis.settings import RedisSettings
from ringfence.adapters.state_redis.setup_check import setup_warnings
from ringfence.runtime.metrics import Metric

__all__ = ["RedisStore"]


class RedisStore:
    """Redis 7.0 or newer, alone or as a cluster; the shared log, used approvals and market data stand on it.

    It connects when it is first asked, and again by itself after a failure. Safe to use from several threads,
    and after a fork.

    Attributes:
        settings: Where the server is.
        quick: Waits for `timeout_ms`.
        patient: Waits for `snapshot_timeout_ms`.
        counts: What is counted.
    """

    def __init__(self, settings: RedisSettings, counts: Counts | None = None) -> None:
        self.settings = settings
        self.counts = Counts() if counts is None else counts
        self.quick = Servers(settings, settings.timeout_ms, self.counts)
        self.patient = Servers(settings, settings.snapshot_timeout_ms, self.counts)

    def warnings(self) -> tuple[str, ...]:
        """What of the server's settings may lose books, and how to mend it; asks the server.

        Raises:
            StateUnavailableError: it cannot be asked.
        """
        return setup_warnings(self.patient, self.settings)

    def metrics(self) -> Iterable[Metric]:
        """As `runtime.metrics.Source.metrics`, of all that stands on this store."""
        return self.counts.metrics()

    def close(self) -> None:
        """Close the connections; another request opens one."""
        self.quick.close()
        self.patient.close()
