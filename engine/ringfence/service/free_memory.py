"""Memory that is free goes back to the system: what glibc's malloc is told before threads are there.

A snapshot of books is made of blocks of up to ten megabytes, now by one thread and now by another. At first malloc takes such blocks from
the system. Once one was freed it takes those of that size from its arenas (mallopt(3): the threshold is dynamic), and what lies below a
block that lives on stays with the arena. There are eight arenas for each core, and a thread that needs memory does not look into those of
others. So each thread in its turn made the process larger by memory that nobody used.

Between blocks that live on, free ones remain; malloc gives back those at the end alone, unless it is asked (malloc_trim(3)).
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["free_memory_given_back", "give_back_free_memory"]

# Parameters of mallopt(3), as glibc numbers them; one that is set is dynamic no more.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# The records of accounts with a thousand positions are smaller, and come often.
_LARGE = 512 << 10
_KEPT_FREE = 4 << 20
# Threads of Python run one at a time, and libraries that do not wait for one another allocate seldom.
_ARENAS = 2
# A walk through what is free takes a millisecond or two, in which whoever allocates may wait.
_EVERY_S = 60.0


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


@contextmanager
def free_memory_given_back(every_s: float = _EVERY_S) -> Iterator[None]:
    """Have whole pages of free memory given back now and then, in a thread; nothing happens where this C library cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        yield
        return
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            trim(0)

    thread = threading.Thread(target=run, name="ringfence-free-memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
