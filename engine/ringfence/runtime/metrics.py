"""Metrics as values: what a part counts, in a form that any exporter can read when it is asked.

A part counts in plain numbers, which costs next to nothing, and tells them as `Metric`s on demand.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["Histogram", "HistogramValue", "Metric", "Sample", "Source"]


@dataclass(frozen=True, slots=True)
class HistogramValue:
    """Observations by upper bound: `counts[k]` of at most `bounds[k]`, the last one of all others."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One value, with its labels."""

    labels: Mapping[str, str]
    value: float | HistogramValue


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; `name` as Prometheus takes it, of a counter without its `_total`, times in seconds."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: tuple[Sample, ...]


class Source(Protocol):
    """A part that counts."""

    def metrics(self) -> Iterable[Metric]:
        """Its metrics as they are now; may be called from any thread."""
        ...


class Histogram:
    """Counts observations by upper bounds; the caller sees to it that one thread observes at a time."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Iterable[float]) -> None:
        self._bounds = list(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def value(self) -> HistogramValue:
        """What was counted."""
        return HistogramValue(tuple(self._bounds), tuple(self._counts), self._total)
