"""One dry run in a process of its own: `python -m benchmarks.dry_run_once JSON`; prints what it took.

The JSON names `orders`, `policies`, `out`, `workers` and, for a first run that compiles and loads
everything and is not counted, `warm_up`.
"""

import json
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from benchmarks.measure import peak_bytes
from benchmarks.policy_files import EQUITY
from ringfence.replay.dry_run import Request, dry_run


def main(given: dict[str, str]) -> dict[str, float]:
    """Run once; returns seconds, the peak of memory in bytes, and how many orders were decided."""
    workers = int(given["workers"])
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[-workers:]))
    pa.set_cpu_count(workers)
    pa.set_io_thread_count(workers)
    out = Path(given["out"])
    request = Request(
        orders=given["orders"], policies=given["policies"], mode="propagated", equity=EQUITY, out=out,
        workers=workers, report=False,
    )  # fmt: skip
    if given.get("warm_up"):
        dry_run(replace(request, orders=given["warm_up"]))
    start = time.perf_counter()
    result = dry_run(request)
    seconds = time.perf_counter() - start
    written = sum(path.stat().st_size for path in result.files.values())
    if not given.get("keep"):
        shutil.rmtree(out)
    return {
        "seconds": seconds,
        "peak": peak_bytes(),
        "orders": result.summary["orders"]["replayed"],
        "written": written,
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
