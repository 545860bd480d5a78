"""Memory that is free goes back to the system, whichever thread had it."""

import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

from ringfence.service.free_memory import GarbageSearch, free_memory_given_back

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(
        not Path("/proc/self/statm").exists(), reason="this system does not say what is resident"
    ),
]

# Each thread in its turn takes and frees blocks as a snapshot of books does, while small ones live on.
SCRIPT = """
import sys, threading
from pathlib import Path
from ringfence.service.free_memory import give_back_free_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def work():
    for _ in range(3):
        blocks = [b"x" * (4 << 20) for _ in range(3)]
        kept.append(b"x" * 10_000)
        del blocks
    turn.release()
    done.wait()

if sys.argv[1] == "told":
    assert give_back_free_memory()
kept, turn, done = [], threading.Semaphore(0), threading.Event()
before = resident()
threads = [threading.Thread(target=work) for _ in range(4)]
for each in threads:
    each.start()
    turn.acquire()
print(resident() - before)
done.set()
"""

# Small blocks, of which every hundredth lives on: what is free lies between them.
BETWEEN = """
import time
from pathlib import Path
from ringfence.service.free_memory import free_memory_given_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

before = resident()
blocks = [b"x" * 5_000 for _ in range(10_000)]
blocks = blocks[::100]
held = resident() - before
with free_memory_given_back(every_s=0.01):
    for _ in range(1_000):
        if resident() - before < held / 4:
            break
        time.sleep(0.01)
print(held, resident() - before)
"""


def grown(told: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, told], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_what_threads_freed_is_given_back() -> None:
    assert grown("told") < 4 << 20


def test_untold_each_thread_would_keep_it() -> None:
    assert grown("untold") > 16 << 20


def test_what_is_free_between_blocks_that_live_on_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BETWEEN], capture_output=True, text=True, check=True
    )
    held, still = map(int, done.stdout.split())

    assert held > 32 << 20
    assert still < held / 4


class Ring:
    """Holds itself."""

    def __init__(self) -> None:
        self.own = self


def test_rings_that_nobody_needs_are_freed_in_time() -> None:
    freed = threading.Event()
    gc.disable()
    try:
        weakref.finalize(Ring(), freed.set)
        assert not freed.is_set()
        with free_memory_given_back(every_s=0.01):
            assert freed.wait(60)
    finally:
        gc.enable()


def test_a_search_that_takes_long_comes_rarely() -> None:
    now_s, searches = [100.0], []

    def search() -> None:
        searches.append(now_s[0])
        now_s[0] += 0.05

    garbage = GarbageSearch(search, lambda: now_s[0])
    for _ in range(20):
        garbage.run_if_due()
        now_s[0] += 60.0

    assert searches == pytest.approx([100.0, 640.05, 1_180.1])
