"""`ringfence validate`, its start included: many policies, the shipped ones, and what it imports."""

import re
from pathlib import Path

from benchmarks.measure import ROOT, Figure, median_of, pinned, run_child, seconds_of
from benchmarks.policy_files import nested_directory, policy_directory

__all__ = ["heavy_imports", "validate"]

RUNS = 5
HEAVY = ("numba", "duckdb", "z3")
_MAIN = "import sys; from ringfence.cli.main import main; sys.exit(main(sys.argv[1:]))"
_IMPORTED = re.compile(r"^import time:.*\| +(\S+)$", re.MULTILINE)


def validate(orders: int, directory: Path) -> list[Figure]:
    """Measure whole processes, on one core; the number of orders does not matter."""
    del orders
    many, nested = policy_directory(directory, 1000, 1000), nested_directory(directory, 1000)
    with pinned():
        _run(ROOT / "policies")
        shipped = _median(ROOT / "policies")
        thousand, within = _median(many), _median(nested)
        against = _median(many, "--base", str(many))
    found = heavy_imports()
    return [
        Figure("validate", "1,000 policies", thousand, "s", at_most=2.5),
        Figure("validate", "1,000 policies, scopes within others", within, "s", at_most=2.5),
        Figure("validate", "1,000 policies, against themselves before", against, "s"),
        Figure("validate", "the shipped policies", shipped, "s", at_most=0.4),
        Figure("validate", f"imports of {', '.join(HEAVY)}", len(found), "modules", at_most=0),
    ]


def heavy_imports() -> list[str]:
    """The heavy libraries that validating the shipped policies imports."""
    done = run_child(["-X", "importtime", "-c", _MAIN, "validate", str(ROOT / "policies")])
    imported = {name.split(".")[0] for name in _IMPORTED.findall(done.stderr)}
    if "ringfence" not in imported:
        raise RuntimeError("Python did not say what it imported")
    return sorted(imported.intersection(HEAVY))


def _median(policies: Path, *more: str) -> float:
    return median_of(RUNS, lambda: seconds_of(lambda: _run(policies, *more)))


def _run(policies: Path, *more: str) -> None:
    run_child(["-c", _MAIN, "validate", str(policies), *more])
