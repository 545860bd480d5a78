"""What a process uses, and what it may use: processor, memory, file descriptors, the garbage collector."""

import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

from ringfence import __version__
from ringfence.runtime.metric_table import METRICS, metric, one
from ringfence.runtime.metrics import Metric, Sample

__all__ = ["ProcessMetrics"]

_CGROUP = Path("/sys/fs/cgroup")


class ProcessMetrics:
    """The metrics of this process; see `runtime.metrics.Source`.

    Args:
        cgroup: Where the system tells the limits of the container that the process runs in.
    """

    def __init__(self, cgroup: Path = _CGROUP) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._cgroup = cgroup

    def metrics(self) -> Iterable[Metric]:
        """As `runtime.metrics.Source.metrics`."""
        for family in self._registry.collect():
            about = METRICS[family.name]
            # Counters also tell when they began.
            told = (each for each in family.samples if not each.name.endswith("_created"))
            yield metric(about.name, (Sample(each.labels, each.value) for each in told))
        yield one("ringfence_build_info", 1, {"version": __version__})
        yield one("ringfence_memory_limit_bytes", _memory(self._cgroup))
        yield one("ringfence_cpu_limit_cores", _cores(self._cgroup))


def _memory(cgroup: Path) -> float:
    """Bytes: the container's limit, or what the machine has."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    (limit,) = _words(cgroup / "memory.max", 1)
    return min(float(limit), machine) if limit.isdigit() else machine


def _cores(cgroup: Path) -> float:
    """Cores: the container's quota over its period, or those that the process may run on."""
    may = len(os.sched_getaffinity(0))
    quota, period = _words(cgroup / "cpu.max", 2)
    return min(int(quota) / int(period), may) if quota.isdigit() and period.isdigit() else may


def _words(path: Path, count: int) -> list[str]:
    """The words of a file; `max`, for no limit, where it is not there or holds something else."""
    try:
        words = path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        words = []
    return words if len(words) == count else ["max"] * count
