"""`python -m benchmarks`: measure, print, and keep the figures."""

import argparse
import importlib
import os
import sys
from pathlib import Path

from benchmarks.document import print_figures, write_document, write_json
from benchmarks.measure import ROOT, Figure, host_watched

# Imported only when run: `validate` needs no compiler.
BENCHMARKS = {
    "kernel": "kernel:kernel",
    "marks": "kernel:kernel_with_marks",
    "end-to-end": "end_to_end:end_to_end",
    "memory": "end_to_end:memory",
    "workers": "end_to_end:workers",
    "by-orders": "flat_cost:by_orders",
    "by-accounts": "flat_cost:by_accounts",
    "by-policies": "flat_cost:by_policies",
    "validate": "validate:validate",
    "prove": "prove:prove",
    "guard": "guard:guard",
    "field": "field:field",
    "guard-growth": "guard_growth:guard_growth",
    "guard-log": "guard_log:guard_log",
    "guard-restart": "guard_log:guard_restart",
    "shared-books": "shared_books:shared_books",
    "audit": "audit:audit",
    "reload": "reload:reload",
    "service": "service:service",
    "service-batch": "service_batch:service_batch",
    "plan": "plan:plan",
    "plan-policies": "plan:plan_of_policies",
}


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks that are asked for; returns 1 where a target is missed."""
    arguments = _parser().parse_args(argv)
    orders = 500_000 if arguments.quick else arguments.orders
    # Children must find this package and Ringfence as this process does.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    figures: list[Figure] = []
    for name in arguments.only or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        module, _, function = BENCHMARKS[name].partition(":")
        measure = getattr(importlib.import_module(f"benchmarks.{module}"), function)
        with host_watched(name.replace("-", " "), figures):
            figures += measure(orders, arguments.directory)
    print_figures(figures, orders)
    write_json(figures, orders, arguments.directory / "results.json")
    if arguments.write_docs:
        write_document(figures, orders, ROOT / "docs" / "benchmarks.md")
    return int(any(figure.verdict == "missed" for figure in figures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--quick", action="store_true", help="500,000 orders")
    parser.add_argument(
        "--only", action="append", choices=BENCHMARKS, metavar="NAME",
        help=f"only this one; may be given again: {', '.join(BENCHMARKS)}",
    )  # fmt: skip
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument(
        "--directory", type=Path, default=ROOT / "build" / "bench", help="where files are kept"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
