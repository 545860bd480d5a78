"""The pulse: what the guard counted, second by second, for as long as the overview shows."""

import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from ringfence.runtime.metrics import HistogramValue, Metric, Source
from ringfence.runtime.ports import Clock

__all__ = ["KEPT_S", "Beat", "Pulse", "Window", "quantile"]

#: How far back it reaches, in seconds.
KEPT_S = 600
_DECISIONS = ("APPROVE", "REDUCE_SIZE", "REJECT")
_LOADED = "ringfence_policy_loaded_timestamp_seconds"
_WANTED = frozenset(
    {"ringfence_decisions", "ringfence_rejections", "ringfence_decision_seconds", _LOADED}
)


@dataclass(frozen=True, slots=True)
class Beat:
    """What was counted up to one moment.

    Attributes:
        at_ns: When, ns since 1970, UTC.
        decided: Orders by decision.
        rejected: Orders by gate and code.
        took: How long decisions took, in seconds; None before the first.
        loaded_ns: When the policy set in force came into force.
    """

    at_ns: int
    decided: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[tuple[str, str], int] = field(default_factory=dict)
    took: HistogramValue | None = None
    loaded_ns: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """What happened between two beats.

    Attributes:
        seconds: How long it was.
        decided: Orders by decision, all three.
        rejected: Orders by gate and code, the most frequent first.
        p50_s, p99_s: Half, and 99 of 100 decisions took at most so long, in seconds; None where there was none.
    """

    seconds: float
    decided: Mapping[str, int]
    rejected: tuple[tuple[tuple[str, str], int], ...]
    p50_s: float | None
    p99_s: float | None

    @property
    def total(self) -> int:
        """Orders that were decided."""
        return sum(self.decided.values())


class Pulse:
    """Looks at a guard's counts once a second, in a thread of its own.

    Args:
        source: The guard.
        clock: Tells the time.
    """

    def __init__(self, source: Source, clock: Clock, *, kept_s: int = KEPT_S) -> None:
        self._source, self._clock = source, clock
        self._beats: deque[Beat] = deque(maxlen=kept_s + 1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ringfence-pulse", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Take one look."""
        self._beats.append(_beat(self._clock.now_ns(), self._source.metrics()))

    def _run(self) -> None:
        while not self._stopping.wait(1.0):
            self.look()

    @property
    def loaded_ns(self) -> int:
        """When the policy set in force came into force, ns since 1970, UTC."""
        return self._beats[-1].loaded_ns

    def window(self, seconds: float) -> Window:
        """What happened in the last so many seconds, or since it began where that is shorter."""
        beats = tuple(self._beats)
        last = beats[-1]
        since = last.at_ns - int(seconds * 1e9)
        first = beats[min(bisect_left(beats, since, key=lambda each: each.at_ns), len(beats) - 1)]
        return _between(first, last)

    def rates(self) -> tuple[list[float], dict[str, list[float]]]:
        """Decisions in each second: the seconds since 1970 (UTC), and decisions a second by decision."""
        beats = tuple(self._beats)
        at: list[float] = []
        found: dict[str, list[float]] = {name: [] for name in _DECISIONS}
        for before, after in pairwise(beats):
            seconds = (after.at_ns - before.at_ns) / 1e9
            if seconds <= 0:
                continue
            at.append(round(after.at_ns / 1e9, 1))
            for name, values in found.items():
                more = after.decided.get(name, 0) - before.decided.get(name, 0)
                values.append(round(more / seconds, 2))
        return at, found


def _beat(at_ns: int, metrics: Iterable[Metric]) -> Beat:
    decided: Counter[str] = Counter()
    rejected: Counter[tuple[str, str]] = Counter()
    took, loaded_ns = None, 0
    for each in metrics:
        if each.name not in _WANTED:
            continue
        for sample in each.samples:
            value = sample.value
            if isinstance(value, HistogramValue):
                took = value
            elif each.name == _LOADED:
                loaded_ns = round(value * 1e9)
            elif each.name == "ringfence_decisions":
                decided[sample.labels["decision"]] += int(value)
            else:
                rejected[sample.labels["gate"], sample.labels["code"]] += int(value)
    return Beat(at_ns, decided, rejected, took, loaded_ns)


def _between(first: Beat, last: Beat) -> Window:
    rejected = {
        key: count - first.rejected.get(key, 0)
        for key, count in last.rejected.items()
        if count > first.rejected.get(key, 0)
    }
    by_count = sorted(rejected.items(), key=lambda each: (-each[1], each[0]))
    decided = {name: last.decided.get(name, 0) - first.decided.get(name, 0) for name in _DECISIONS}
    p50, p99 = (quantile(first.took, last.took, share) for share in (0.5, 0.99))
    return Window((last.at_ns - first.at_ns) / 1e9, decided, tuple(by_count), p50, p99)


def quantile(
    first: HistogramValue | None, last: HistogramValue | None, share: float
) -> float | None:
    """The upper bound that a share of what was observed between two looks lies under; None where nothing was."""
    if last is None:
        return None
    before = first.counts if first is not None else (0,) * len(last.counts)
    counts = [after - earlier for after, earlier in zip(last.counts, before, strict=True)]
    wanted, seen = share * sum(counts), 0
    if not wanted:
        return None
    for bound, count in zip(last.bounds, counts, strict=False):
        seen += count
        if seen >= wanted:
            return bound
    return float("inf")
