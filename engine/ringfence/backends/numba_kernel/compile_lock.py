"""One compiler at a time: processes that want the same code wait for the one that makes it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["only_one"]


@contextmanager
def only_one(root: Path, name: str) -> Iterator[bool]:
    """Wait until nobody else holds the lock of `name` in the directory, and hold it.

    Gives False at once where no lock can be had. The lock belongs to the open file, so it ends with the
    process, however that ends. The file stays: whoever waits on a deleted one would not keep others out.
    """
    try:
        handle = _locked(root / f"{name}.lock")
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(handle)


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except BaseException:
        os.close(handle)
        raise
    return handle
