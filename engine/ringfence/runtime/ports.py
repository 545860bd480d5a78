"""The one seam through which the clock, randomness and the file system enter.

Whatever an answer depends on is passed in by one of these protocols; a replay passes the fixed ones
and gets the same answer again. No other module reads the wall clock or a source of randomness (a test
holds that); clocks that only measure how long something took are no part of an answer.
"""

import errno
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
    "Lock",
    "LogFiles",
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


class Files(Protocol):
    """Reads and writes whole files; failures are `OSError`s, as the system gives them."""

    def read_bytes(self, path: Path) -> bytes:
        """What the file holds."""
        ...

    def write_atomic(self, path: Path, content: bytes, mode: int | None = None) -> None:
        """Put `content` at `path`, durably: a reader finds the old file or the new one, whole.

        Its permissions are those of any new file, or `mode`.
        """
        ...

    def exists(self, path: Path) -> bool:
        """Whether there is something at `path`."""
        ...

    def list(self, folder: Path) -> tuple[Path, ...]:
        """What the folder holds, sorted by name: the system's own order differs between machines."""
        ...


class AppendFile(Protocol):
    """An open file that only grows; failures are `OSError`s."""

    def write(self, content: bytes) -> None:
        """Hand all of `content` to the system: it outlives this process, and not a loss of power."""
        ...

    def sync(self) -> None:
        """Return once what was written outlives a loss of power."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


class Lock(Protocol):
    """A lock that is held; the system releases it when the process ends, however it ends."""

    def close(self) -> None:
        """Release it."""
        ...


class LogFiles(Files, Protocol):
    """Files that a log needs besides."""

    def make_folder(self, folder: Path) -> None:
        """Make the folder, for this user alone, and those above it where they are missing."""
        ...

    def lock(self, path: Path) -> Lock:
        """Take the lock that `path` stands for; raises BlockingIOError where another holds it."""
        ...

    def append_to(self, path: Path, *, new: bool = False) -> AppendFile:
        """Open a file for appending; one that is not there is an error, but where a new one is wanted."""
        ...

    def read_from(self, path: Path, offset: int, size: int = -1) -> bytes:
        """What the file holds from `offset` (bytes) on, at most `size` bytes where that is not below 0."""
        ...

    def sync(self, path: Path) -> None:
        """Return once what the file holds now, whoever wrote it, outlives a loss of power."""
        ...

    def size(self, path: Path) -> int:
        """The file's size in bytes."""
        ...

    def truncate(self, path: Path, size: int) -> None:
        """Cut the file to `size` bytes, durably."""
        ...

    def remove(self, path: Path) -> None:
        """Remove the file, durably."""
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


@dataclass(frozen=True, slots=True)
class SystemFiles:
    """The machine's file system; `random` names the files that are written beside their target."""

    random: Random = field(default_factory=SystemRandom)

    def read_bytes(self, path: Path) -> bytes:
        return path.read_bytes()

    def write_atomic(self, path: Path, content: bytes, mode: int | None = None) -> None:
        if not path.name:
            # The current directory or the topmost one, beside which nothing can lie.
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        beside = path.with_name(f".{path.name}.{self.random.token(8)}")
        # Exclusive: a file or link that someone else has put there is not followed.
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                if mode is not None:
                    os.fchmod(handle, mode)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _sync(path.parent)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def list(self, folder: Path) -> tuple[Path, ...]:
        return tuple(sorted(folder.iterdir()))

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def lock(self, path: Path) -> "Lock":
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(handle)
            raise
        return _OpenFile(handle)

    def append_to(self, path: Path, *, new: bool = False) -> "AppendFile":
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if new else 0)
        return _OpenFile(os.open(path, flags, 0o600))

    def read_from(self, path: Path, offset: int, size: int = -1) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def sync(self, path: Path) -> None:
        _sync(path)

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def truncate(self, path: Path, size: int) -> None:
        os.truncate(path, size)
        _sync(path)

    def remove(self, path: Path) -> None:
        path.unlink()
        _sync(path.parent)


@dataclass(slots=True)
class _OpenFile:
    handle: int

    def write(self, content: bytes) -> None:
        written = os.write(self.handle, content)
        if written < len(content):
            left = memoryview(content)[written:]
            while left:
                left = left[os.write(self.handle, left) :]

    def sync(self) -> None:
        os.fdatasync(self.handle)

    def close(self) -> None:
        # Closed twice, the number may stand for somebody else's file.
        handle, self.handle = self.handle, -1
        if handle >= 0:
            os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


SYSTEM_CLOCK = SystemClock()
SYSTEM_RANDOM = SystemRandom()
SYSTEM_FILES = SystemFiles(SYSTEM_RANDOM)
