"""Memory that is free goes back to the system: what glibc's malloc is told before threads are there.

A snapshot of books is made of blocks of up to ten megabytes, now by one thread and now by another. At first malloc takes such blocks from
the system. Once one was freed it takes those of that size from its arenas (mallopt(3): the threshold is dynamic), and what lies below a
block that lives on stays with the arena. There are eight arenas for each core, and a thread that needs memory does not look into those of
others. So each thread in its turn made the process larger by memory that nobody used.

Between blocks that live on, free ones remain; malloc gives back those at the end alone, unless it is asked (malloc_trim(3)).

What fails while a store is away leaves rings of objects, which only a search through all objects finds once they are a little
old. It stops whoever decides, for as long as there is much to look through: what the service loads takes some 100 ms, and remembered
answers can become as many. So it comes by the clock, and the rarer the longer it takes.
"""

import ctypes
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["GarbageSearch", "free_memory_given_back", "give_back_free_memory"]

# Parameters of mallopt(3), as glibc numbers them; one that is set is dynamic no more.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# The records of accounts with a thousand positions are smaller, and come often.
_LARGE = 512 << 10
_KEPT_FREE = 4 << 20
# Threads of Python run one at a time, and libraries that do not wait for one another allocate seldom.
_ARENAS = 2
# A walk through what is free takes a millisecond or two, in which whoever allocates may wait.
_EVERY_S = 60.0
# Of all time a ten-thousandth is spent on looking through all objects: fewer orders wait for it than the slowest of a thousand.
_SHARE = 10_000


def give_back_free_memory() -> bool:
    """Have blocks of 512 KiB and more given back as they are freed, and smaller ones shared by all threads; of the whole process.

    Returns:
        False where this C library has no `mallopt`; nothing is changed then.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    parameters = {
        _M_MMAP_THRESHOLD: _LARGE,
        _M_TRIM_THRESHOLD: _KEPT_FREE,
        _M_ARENA_MAX: _ARENAS,
    }
    # Each is told, also where one was refused.
    told = [mallopt(name, value) for name, value in parameters.items()]
    return all(told)


class GarbageSearch:
    """Looks through all objects where that is due: first at once, then after ten thousand times as long as it took.

    Args:
        search: Does it.
        monotonic: Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        search: Callable[[], object] = gc.collect,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._search, self._monotonic = search, monotonic
        self._due_s = monotonic()

    def run_if_due(self) -> bool:
        """Whether it was due."""
        begun_s = self._monotonic()
        if begun_s < self._due_s:
            return False
        self._search()
        ended_s = self._monotonic()
        self._due_s = ended_s + _SHARE * (ended_s - begun_s)
        return True


@contextmanager
def free_memory_given_back(every_s: float = _EVERY_S) -> Iterator[None]:
    """Have rings of objects that nobody needs freed now and then, and whole pages of free memory given back, in a thread.

    Pages are not given back where this C library cannot.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    ended, garbage = threading.Event(), GarbageSearch()

    def run() -> None:
        while not ended.wait(every_s):
            garbage.run_if_due()
            if trim is not None:
                trim(0)

    thread = threading.Thread(target=run, name="ringfence-free-memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
