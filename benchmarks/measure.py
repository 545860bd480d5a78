"""Measuring: one core, medians of several runs, figures with what is asked of them."""

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Figure", "host_watched", "median_of", "peak_bytes", "pinned", "run_child", "seconds_of"]

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes:
        benchmark: Which benchmark measured it.
        name: What it is.
        value: The number, in `unit`.
        unit: How it is shown.
        at_least, at_most: What is asked of it; None where nothing is.
    """

    benchmark: str
    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def target(self) -> str:
        """What is asked, in words; empty where nothing is."""
        if self.at_least is not None:
            return f">= {_number(self.at_least)} {self.unit}"
        return f"<= {_number(self.at_most)} {self.unit}" if self.at_most is not None else ""

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or nothing where nothing is asked."""
        if self.at_least is not None:
            return "met" if self.value >= self.at_least else "missed"
        if self.at_most is not None:
            return "met" if self.value <= self.at_most else "missed"
        return ""

    @property
    def shown(self) -> str:
        """The number with its unit."""
        return f"{_number(self.value)} {self.unit}"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


@contextmanager
def pinned(cores: int = 1) -> Iterator[None]:
    """Run on so many of the cores that this process may use; children inherit it."""
    before = os.sched_getaffinity(0)
    # The last ones: interrupts tend to be served by the first.
    os.sched_setaffinity(0, set(sorted(before)[-cores:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def seconds_of(action: Callable[[], object]) -> float:
    """How long one call takes; the garbage collector waits meanwhile, as in `timeit`."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start
    finally:
        gc.enable()


def median_of(runs: int, measure: Callable[[], float]) -> float:
    """Median of several measurements."""
    return median(measure() for _ in range(runs))


def run_child(arguments: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run this Python with arguments, from the root of the repository; its output is kept.

    Raises:
        RuntimeError: it ended with an error.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        **options,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return done


@contextmanager
def host_watched(benchmark: str, figures: list[Figure]) -> Iterator[None]:
    """Add what the host of a virtual machine took of its processors meanwhile, where it took any.

    A guest that is not let run answers late, and no program in it can help that: the slowest of a hundred answers say
    something only where next to nothing was taken.
    """
    begun, stolen = time.monotonic(), _stolen_seconds()
    yield
    cores = os.cpu_count() or 1
    share = (_stolen_seconds() - stolen) / ((time.monotonic() - begun) * cores)
    if share >= 0.001:
        figures.append(Figure(benchmark, "taken by the host meanwhile", 100.0 * share, "%"))


def _stolen_seconds() -> float:
    """Seconds for which processors had work and were not let run, since the start; 0 where that is not told."""
    try:
        first, *_ = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        return int(first.split()[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0


def peak_bytes() -> int:
    """The most memory that this process held.

    Read from the kernel's own count of this program: `ru_maxrss` starts from what the parent held when it
    started this process, which would hide anything smaller.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not say how much memory a process held")
