"""`ringfence prove`, and all checks of a pull request, on the shipped desk: whole processes, start included."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import ROOT, Figure, median_of, pinned, run_child, seconds_of
from ringfence.cli.main import build_parser, leaves

__all__ = ["checks", "prove"]

RUNS = 3
_MAIN = "import sys; from ringfence.cli.main import main; sys.exit(main(sys.argv[1:]))"
_CACHE = "RINGFENCE_CACHE_PATH"
_CHECKS = ("validate", "lint", "test", "prove")


def prove(orders: int, directory: Path) -> list[Figure]:
    """Measure with nothing known, and with every proof known; the number of orders does not matter."""
    del orders
    with pinned(), _empty_cache(directory) as empty:
        cold = median_of(RUNS, lambda: seconds_of(lambda: _run("prove", empty, afresh=True)))
        warm = median_of(RUNS, lambda: seconds_of(lambda: _run("prove", empty)))
    return [
        Figure("prove", "the shipped policies, nothing known", cold, "s", at_most=10),
        Figure("prove", "the shipped policies, every proof known", warm, "s"),
        Figure("prove", f"`{', '.join(checks())}`, nothing known", _all(directory, True), "s", at_most=15),
        Figure("prove", f"`{', '.join(checks())}`, every proof known", _all(directory, False), "s", at_most=5),
    ]  # fmt: skip


def checks() -> list[str]:
    """The commands that check a pull request, those that this version has."""
    there = leaves(build_parser())
    return [each for each in _CHECKS if each in there]


def _all(directory: Path, afresh: bool) -> float:
    """Seconds for all checks, one process after another."""

    def every(cache: Path) -> None:
        for each in checks():
            _run(each, cache, afresh=afresh)

    with pinned(), _empty_cache(directory) as empty:
        every(empty)
        return median_of(RUNS, lambda: seconds_of(lambda: every(empty)))


@contextmanager
def _empty_cache(directory: Path) -> Iterator[Path]:
    folder = directory / "no-proofs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _run(command: str, cache: Path, *, afresh: bool = False) -> None:
    options = ["--no-cache"] if afresh and command == "prove" else []
    environment = {**os.environ, _CACHE: str(cache)}
    run_child(["-c", _MAIN, command, str(ROOT / "policies"), *options], env=environment)
