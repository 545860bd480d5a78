"""Giving way: while a set is prepared, threads that trade wait for the interpreter as shortly as can be."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["waiting", "yielding"]


@dataclass(slots=True)
class _Interval:
    """The interval is the process's, and so is its keeper: several reloaders may prepare sets at once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    before: float = 0.0


_interval = _Interval()


@contextmanager
def yielding(seconds: float) -> Iterator[None]:
    """Within it, Python hands the interpreter over after so long, where that is sooner than it does by itself."""
    with _interval.lock:
        _enter(seconds)
    try:
        yield
    finally:
        with _interval.lock:
            _leave()


@contextmanager
def waiting(seconds: float) -> Iterator[None]:
    """Inside of `yielding(seconds)`, while only waiting: Python works as it does by itself."""
    with _interval.lock:
        _leave()
    try:
        yield
    finally:
        with _interval.lock:
            _enter(seconds)


def _enter(seconds: float) -> None:
    if _interval.users == 0:
        _interval.before = sys.getswitchinterval()
    _interval.users += 1
    sys.setswitchinterval(min(sys.getswitchinterval(), seconds))


def _leave() -> None:
    _interval.users -= 1
    if _interval.users == 0:
        sys.setswitchinterval(_interval.before)
