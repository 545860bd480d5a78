"""The metrics, for Prometheus."""

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    CollectorRegistry,
    ProcessCollector,
    make_asgi_app,
)

from ringfence.adapters.metrics_prometheus import register
from ringfence.service.desk import Desk

__all__ = ["make_metrics_app"]


def make_metrics_app(desk: Desk) -> object:
    """An ASGI application that answers `/metrics`."""
    registry = CollectorRegistry()
    register(registry, *desk.metric_sources())
    ProcessCollector(registry=registry)
    registry.register(PLATFORM_COLLECTOR)
    registry.register(GC_COLLECTOR)
    return make_asgi_app(registry)
