"""The metrics, for Prometheus, on a port of their own: `/metrics`, as plain text or in the form of OpenMetrics."""

from collections.abc import Iterable, Sequence

from litestar import Litestar, Request, Response, get
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from ringfence.adapters.metrics_prometheus import register
from ringfence.runtime.metrics import Metric, Source
from ringfence.service.desk import Desk
from ringfence.service.merged_metrics import read_all
from ringfence.service.process_metrics import ProcessMetrics

__all__ = ["make_metrics_app", "metrics_app", "sources_of"]


class _All:
    """Several sources as one; that one of them fails keeps none of the others back."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources, self._errors = sources, dict[str, int]()

    def metrics(self) -> Iterable[Metric]:
        return read_all(self._sources, self._errors)


def sources_of(desk: Desk) -> list[Source]:
    """Everything that counts in the process of a desk."""
    return [*desk.metric_sources(), ProcessMetrics()]


def make_metrics_app(desk: Desk) -> Litestar:
    """The application of the metrics' port, of a service that is one process."""
    return metrics_app(sources_of(desk))


def metrics_app(sources: Sequence[Source]) -> Litestar:
    """The application that answers `/metrics` with what sources tell.

    It needs no token: reachable should it be for Prometheus alone.
    """
    registry = CollectorRegistry()
    register(registry, _All(sources))

    # In a thread of its own: the guard is read under its lock, and other requests must not wait for that.
    @get("/metrics", sync_to_thread=True)
    def metrics(request: Request[None, None, State]) -> Response[bytes]:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)

    return Litestar(
        [metrics],
        openapi_config=None,
        logging_config=None,
        compression_config=CompressionConfig(backend="gzip"),
    )
