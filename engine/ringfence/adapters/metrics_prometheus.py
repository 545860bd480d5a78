"""Metrics for Prometheus: sources are read when Prometheus asks, and nothing is counted twice."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from ringfence.runtime.metric_table import METRICS
from ringfence.runtime.metrics import HistogramValue, Metric, Source

__all__ = ["SourceCollector", "register"]


class SourceCollector(Collector):
    """Reads sources for a registry; a metric that several sources tell is one family."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = list(sources)

    def collect(self) -> Iterator[Family]:
        """The families as they are now."""
        families: dict[str, Family] = {}
        for source in self._sources:
            for metric in source.metrics():
                family = families.get(metric.name)
                if family is None:
                    family = families[metric.name] = _family(metric)
                _fill(family, metric)
        yield from families.values()


def register(registry: CollectorRegistry, *sources: Source) -> SourceCollector:
    """Let a registry read sources whenever it is scraped; what is returned can be unregistered."""
    collector = SourceCollector(sources)
    registry.register(collector)
    return collector


def _family(metric: Metric) -> Family:
    labels = sorted({name for sample in metric.samples for name in sample.labels})
    if not labels and metric.name in METRICS:
        # It has no values yet, and another source may have some.
        labels = list(METRICS[metric.name].labels)
    if metric.kind == "counter":
        return CounterMetricFamily(metric.name, metric.help, labels=labels)
    if metric.kind == "gauge":
        return GaugeMetricFamily(metric.name, metric.help, labels=labels)
    return HistogramMetricFamily(metric.name, metric.help, labels=labels)


def _fill(family: Family, metric: Metric) -> None:
    for sample in metric.samples:
        labels = [sample.labels[name] for name in sorted(sample.labels)]
        value = sample.value
        if isinstance(value, HistogramValue):
            if isinstance(family, HistogramMetricFamily):
                family.add_metric(labels, _buckets(value), value.total)
        elif isinstance(family, CounterMetricFamily | GaugeMetricFamily):
            family.add_metric(labels, value)


def _buckets(value: HistogramValue) -> list[tuple[str, float]]:
    found, below = [], 0
    for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
        below += count
        found.append(("+Inf" if bound == float("inf") else repr(bound), float(below)))
    return found
