"""From Parquet to decisions.parquet and summary.json: against reading and writing alone; memory; workers."""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.generate import Workload, orders_file
from benchmarks.measure import Figure, run_child
from benchmarks.policy_files import policy_directory

__all__ = ["end_to_end", "memory", "workers"]

RUNS = 3
WARM_UP = Workload(1000)
MIB = 1 << 20


def end_to_end(orders: int, directory: Path) -> list[Figure]:
    """Measure dry run and yardstick in turns, each in a process of its own on one core."""
    dry, alike, usual, written = [], [], [], 0.0
    with _decisions(orders, directory) as decisions:
        source = str(orders_file(Workload(orders), directory))
        for _ in range(RUNS):
            done = _dry_run(orders, directory)
            written = done["written"] / done["orders"]
            dry.append(done["seconds"])
            alike.append(_yardstick(source, decisions, "alike"))
            usual.append(_yardstick(source, decisions, "usual"))
    seconds = median(dry)
    return [
        Figure("end to end", "orders a second", orders / seconds / 1e6, "million/s", at_least=4.0),
        Figure("end to end", "per order", seconds / orders * 1e9, "ns"),
        Figure(
            "end to end", "dry run / reading and writing with the same encodings",
            seconds / median(alike), "times", at_most=2.0,
        ),
        Figure(
            "end to end", "dry run / reading and writing as pyarrow does unasked",
            seconds / median(usual), "times", at_most=2.0,
        ),
        Figure("end to end", "results written, per order", written, "bytes"),
    ]  # fmt: skip


def memory(orders: int, directory: Path) -> list[Figure]:
    """Peak of memory for all orders and for a tenth of them, each in a process of its own."""
    # Compiling takes memory too: it is done, and kept on disk, before anything is measured.
    _dry_run(WARM_UP.orders, directory, warm=False)
    peaks = [
        median(_dry_run(count, directory, warm=False)["peak"] for _ in range(RUNS))
        for count in (orders, orders // 10)
    ]
    return [
        Figure("memory", f"peak at {orders:,} orders", peaks[0] / MIB, "MiB", at_most=1.5e9 / MIB),
        Figure("memory", f"peak at {orders // 10:,} orders", peaks[1] / MIB, "MiB"),
        Figure("memory", "the larger / the smaller", max(peaks) / min(peaks), "times", at_most=1.1),
    ]


def workers(orders: int, directory: Path) -> list[Figure]:
    """One worker on one core against two on two, and against two processes that share nothing, in turns."""
    one, two, apart = [], [], []
    for _ in range(RUNS):
        one.append(_dry_run(orders, directory)["seconds"])
        two.append(_dry_run(orders, directory, workers=2)["seconds"])
        apart.append(_two_apart(orders, directory))
    gain, most = (median(one) / median(two), median(one) / median(apart))
    return [
        Figure("workers", "one worker", median(one), "s"),
        Figure("workers", "two workers", median(two), "s"),
        Figure("workers", "one worker / two workers", gain, "times", at_least=1.7),
        Figure("workers", "one worker / two processes that share nothing", most, "times"),
    ]


def _two_apart(orders: int, directory: Path) -> float:
    """Seconds for one dry run where two go on at once, each with one worker on a core of its own."""
    cores = sorted(os.sched_getaffinity(0))[-2:]
    # Made before anything runs: it writes the policies anew.
    given = [_given(orders, directory, out=f"dry-run-{core}") for core in cores]

    def run(core: int, about: dict[str, str]) -> float:
        # Of this thread alone, and of the process that it starts.
        os.sched_setaffinity(0, {core})
        return _done(orders, about)["seconds"]

    with ThreadPoolExecutor(len(cores)) as pool:
        return max(pool.map(run, cores, given)) / len(cores)


def _dry_run(orders: int, directory: Path, **options: Any) -> dict[str, float]:
    return _done(orders, _given(orders, directory, **options))


def _given(
    orders: int,
    directory: Path,
    *,
    workers: int = 1,
    warm: bool = True,
    keep: str = "",
    out: str = "dry-run",
) -> dict[str, str]:
    workload = Workload(orders)
    return {
        "orders": str(orders_file(workload, directory).resolve()),
        "policies": str(policy_directory(directory, workload.accounts).resolve()),
        "out": str((directory / (keep or out)).resolve()),
        "workers": str(workers),
        "warm_up": str(orders_file(WARM_UP, directory).resolve()) if warm else "",
        "keep": keep,
    }


def _done(orders: int, given: dict[str, str]) -> dict[str, float]:
    done = run_child(["-m", "benchmarks.dry_run_once", json.dumps(given)])
    result: dict[str, float] = json.loads(done.stdout)
    if result["orders"] != orders:
        raise RuntimeError(f"{result['orders']:,} of {orders:,} orders were decided")
    return result


@contextmanager
def _decisions(orders: int, directory: Path) -> Iterator[str]:
    """Real decisions for the yardstick to write again: of the first orders, at most a million."""
    _dry_run(min(orders, MIB), directory, warm=False, keep="kept")
    try:
        yield str((directory / "kept" / "decisions.parquet").resolve())
    finally:
        shutil.rmtree(directory / "kept")


def _yardstick(source: str, decisions: str, encodings: str) -> float:
    out = str(Path(decisions).with_name("yardstick.parquet"))
    done = run_child(["-m", "benchmarks.yardstick", source, decisions, out, encodings])
    return float(done.stdout)
