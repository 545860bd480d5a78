"""Several processes that want the same code at once: one compiles, the others wait and load."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

# Says what it is about to do, and goes on while it compiles only when it is told to.
CHILD = '''
import fcntl, sys
from ringfence.backends.numba_kernel import compile_lock, disk_cache

TEXT = """
from numba import njit


@njit("int64(int64)", cache=True)
def twice(number):
    return 2 * number
"""


def say(*words):
    print(*words, flush=True)


def flock(handle, how, wait=fcntl.flock):
    say("locking")
    wait(handle, how)


def compile_now(module):
    say("compiled" if not hits(module) else "loaded")
    sys.stdin.readline()


def hits(module):
    return sum(module.twice.stats.cache_hits.values())


compile_lock.fcntl.flock = flock
say("found", disk_cache.load_module(TEXT, compile_now).twice(21))
'''
Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun = []
    environment = {**os.environ, "RINGFENCE_CACHE_PATH": str(tmp_path / "cache")}

    def child() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield child
    for process in begun:
        process.kill()
        process.communicate()


def heard(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def rest(process: "subprocess.Popen[str]") -> list[str]:
    return process.communicate("go on\n")[0].splitlines()


def test_one_process_compiles_and_the_other_waits_and_loads(start: Start, tmp_path: Path) -> None:
    first = start()
    assert [heard(first), heard(first)] == ["locking", "compiled"]
    second = start()
    assert heard(second) == "locking"

    assert rest(first) == ["found 42"]
    assert rest(second) == ["loaded", "found 42"]
    names = sorted(each.name for each in (tmp_path / "cache").iterdir())
    assert names == [names[0], f"{names[0]}.lock"]


def test_a_compiler_that_dies_leaves_no_lock_and_nothing_else(start: Start, tmp_path: Path) -> None:
    first = start()
    assert [heard(first), heard(first)] == ["locking", "compiled"]
    second = start()
    assert heard(second) == "locking"

    first.kill()

    assert rest(second) == ["compiled", "found 42"]
    names = sorted(each.name for each in (tmp_path / "cache").iterdir())
    assert names == [names[0], f"{names[0]}.lock"]
    assert rest(start()) == ["loaded", "found 42"]
