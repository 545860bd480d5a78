"""The one seam through which the clock, randomness and the file system enter.

Whatever an answer depends on is passed in by one of these protocols; a replay passes the fixed ones
and gets the same answer again. No other module reads the wall clock or a source of randomness (a test
holds that); clocks that only measure how long something took are no part of an answer.
"""

import fcntl
import os
import random
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = [
    "SYSTEM_CLOCK",
    "SYSTEM_FILES",
    "SYSTEM_RANDOM",
    "AppendFile",
    "Clock",
    "Files",
    "FixedClock",
    "HeldLock",
    "Random",
    "SeededRandom",
    "SystemClock",
    "SystemFiles",
    "SystemRandom",
]


class Clock(Protocol):
    """Tells the time."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        ...


class Random(Protocol):
    """Gives what nobody can guess."""

    def bytes(self, count: int) -> bytes:
        """`count` random bytes."""
        ...

    def token(self, count: int = 16) -> str:
        """`count` random bytes in hex: a name that no other has."""
        ...


class AppendFile(Protocol):
    """A file that grows; failures are `OSError`s."""

    def write(self, content: bytes) -> None:
        """Hand all of it to the system: it outlives this process, though not a loss of power."""
        ...

    def sync(self) -> None:
        """Return once everything written outlives a loss of power."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


class HeldLock(Protocol):
    """A lock; it ends with the process at the latest."""

    def close(self) -> None:
        """Let it go."""
        ...


class Files(Protocol):
    """Reads and writes files; failures are `OSError`s, as the system gives them."""

    def read_bytes(self, path: Path) -> bytes:
        """What the file holds."""
        ...

    def write_atomic(self, path: Path, content: bytes) -> None:
        """Put `content` at `path`, durably: a reader finds the old file or the new one, whole."""
        ...

    def append(self, path: Path) -> "AppendFile":
        """Open a file, made where it is not there, to write at its end."""
        ...

    def lock(self, path: Path) -> "HeldLock":
        """Hold a file that one process holds at a time, made where it is not there.

        Raises:
            BlockingIOError: another holds it.
        """
        ...

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is no error."""
        ...

    def exists(self, path: Path) -> bool:
        """Whether there is something at `path`."""
        ...

    def list(self, folder: Path) -> tuple[Path, ...]:
        """What the folder holds, sorted by name: the system's own order differs between machines."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now_ns(self) -> int:
        return time.time_ns()


@dataclass(slots=True)
class FixedClock:
    """A clock that stands at `moment_ns` (since 1970, UTC) until it is moved."""

    moment_ns: int

    def now_ns(self) -> int:
        return self.moment_ns

    def advance(self, by_ns: int) -> None:
        """Move the clock; a clock never goes back.

        Raises:
            ValueError: `by_ns` is below zero.
        """
        if by_ns < 0:
            raise ValueError(f"a clock does not go back, by {by_ns} ns or at all")
        self.moment_ns += by_ns


class SystemRandom:
    """The machine's source of randomness, fit for secrets."""

    def bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def token(self, count: int = 16) -> str:
        return secrets.token_hex(count)


class SeededRandom:
    """The same bytes for the same seed, for replays; never for secrets."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)  # nosec B311  # replays only

    def bytes(self, count: int) -> bytes:
        return self._source.randbytes(count)

    def token(self, count: int = 16) -> str:
        return self.bytes(count).hex()


class _Handle:
    """An open file of the system; closing it again does nothing."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


class _Appended(_Handle):
    def write(self, content: bytes) -> None:
        left = content
        while left:
            left = left[os.write(self._handle, left) :]

    def sync(self) -> None:
        os.fdatasync(self._handle)


@dataclass(frozen=True, slots=True)
class SystemFiles:
    """The machine's file system; `random` names the files that are written beside their target."""

    random: Random = field(default_factory=SystemRandom)

    def read_bytes(self, path: Path) -> bytes:
        return path.read_bytes()

    def write_atomic(self, path: Path, content: bytes) -> None:
        beside = path.with_name(f".{path.name}.{self.random.token(8)}")
        # Exclusive: a file or link that someone else has put there is not followed.
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def append(self, path: Path) -> AppendFile:
        return _Appended(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))

    def lock(self, path: Path) -> HeldLock:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(handle)
            raise
        return _Handle(handle)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def list(self, folder: Path) -> tuple[Path, ...]:
        return tuple(sorted(folder.iterdir()))


SYSTEM_CLOCK = SystemClock()
SYSTEM_RANDOM = SystemRandom()
SYSTEM_FILES = SystemFiles(SYSTEM_RANDOM)
