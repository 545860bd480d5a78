"""Which approvals were used: each is honoured once, also across processes and restarts.

A register forgets what has expired, so its size follows the orders of the last moments. It forgets up
to a horizon, and refuses every approval that ends before it: a clock that is set back revives none.
"""

import fcntl
import heapq
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ringfence.errors import InputError
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_FILES, Clock, Files

__all__ = ["FileUsedApprovals", "MemoryUsedApprovals", "UsedApprovals"]

_MAGIC = "ringfence-used-approvals/1"
# What the lock file holds once there is a register beside it.
_BEGUN = b"1\n"


class UsedApprovals(Protocol):
    """A register of used approvals."""

    def claim(self, approval_id: str, expires_ns: int) -> bool:
        """Whether this call is the first, anywhere, to use the approval; it is used from now on.

        Args:
            approval_id: Its name.
            expires_ns: When it ends, in nanoseconds since 1970 UTC.

        Raises:
            OSError: the register cannot be read or written; the approval must count as used.
        """
        ...


class _Claims:
    # What is remembered, and the horizon up to which everything was forgotten.

    def __init__(self) -> None:
        self.horizon_ns = 0
        self.names: set[str] = set()
        self._ends: list[tuple[int, str]] = []

    # Whether a claim of this approval would be the first.
    def takes(self, name: str, expires_ns: int) -> bool:
        return expires_ns > self.horizon_ns and name not in self.names

    def add(self, name: str, expires_ns: int) -> None:
        if self.takes(name, expires_ns):
            self.names.add(name)
            heapq.heappush(self._ends, (expires_ns, name))

    def forget(self, now_ns: int) -> None:
        self.horizon_ns = max(self.horizon_ns, now_ns)
        while self._ends and self._ends[0][0] <= self.horizon_ns:
            self.names.discard(heapq.heappop(self._ends)[1])

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(sorted(self._ends))


class MemoryUsedApprovals:
    """For one process, and for as long as it runs: paper trading and tests."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._claims = _Claims()

    def __len__(self) -> int:
        return len(self._claims.names)

    def claim(self, approval_id: str, expires_ns: int) -> bool:
        """As `UsedApprovals.claim`."""
        with self._lock:
            self._claims.forget(self._clock.now_ns())
            if not self._claims.takes(approval_id, expires_ns):
                return False
            self._claims.add(approval_id, expires_ns)
            return True


class FileUsedApprovals:
    """A file that several processes of one machine share, each with a register of its own that it opened itself; a
    claim is on the disk before it is granted.

    The file is lines of text: a head with the horizon, then one for each claim. Each has a checksum. A last
    line that was cut off belongs to a claim that was never granted, and is dropped; one that only ends in
    another byte was not cut off.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        files: Files = SYSTEM_FILES,
        compact_after: int = 10_000,
    ) -> None:
        """Open the register at `path`, or start it; the folder must be there.

        Args:
            path: The file; a lock file stands beside it, which also remembers that there was a register.
            compact_after: Lines after which expired claims are dropped from the file.

        Raises:
            InputError: the file is damaged, something else, or was there before and is gone.
            OSError: it cannot be read or written.
        """
        self._path = path
        self._clock = clock
        self._files = files
        self._compact_after = compact_after
        self._lock = threading.Lock()
        self._claims = _Claims()
        self._offset = self._lines = 0
        self._process = os.getpid()
        self._data = -1
        self._lock_file = os.open(
            path.with_name(f"{path.name}.lock"),
            os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
        )
        try:
            with self._alone():
                self._catch_up()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._claims.names)

    def close(self) -> None:
        """Let go of the file; claims stay."""
        for handle in (self._data, self._lock_file):
            if handle >= 0:
                os.close(handle)
        self._data = self._lock_file = -1

    def claim(self, approval_id: str, expires_ns: int) -> bool:
        """As `UsedApprovals.claim`; true only once the claim would survive a loss of power."""
        with self._alone():
            self._catch_up()
            self._claims.forget(self._clock.now_ns())
            if not self._claims.takes(approval_id, expires_ns):
                return False
            line = _line(expires_ns, _in_hex(approval_id))
            written = os.pwrite(self._data, line, self._offset)
            if written != len(line):
                raise OSError(f"the register took {written} of {len(line)} bytes")
            os.fdatasync(self._data)
            self._take_line(line, expires_ns, approval_id)
            if self._lines >= self._compact_after and self._lines > 2 * len(self._claims.names):
                self._compact()
            return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # The lock belongs to the open file, so threads of one process need another, and forks have the same.
        if self._process != os.getpid():
            raise OSError("the register was opened before the process forked; open one in each")
        with self._lock:
            if self._lock_file < 0:
                raise OSError("the register is closed")
            fcntl.flock(self._lock_file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    def _catch_up(self) -> None:
        # Another process may have put a compacted file in its place, or added lines.
        if self._data < 0 or not self._is_current():
            self._reopen()
        text = b""
        while piece := os.pread(self._data, 1 << 20, self._offset + len(text)):
            text += piece
        whole, _, torn = text.rpartition(b"\n")
        if torn:
            if _is_line(torn[:-1]):
                raise self._damaged(self._lines + whole.count(b"\n") + bool(whole) + 1)
            os.ftruncate(self._data, self._offset + len(text) - len(torn))
        for line in whole.split(b"\n") if whole else ():
            expires_ns, name = self._read(line)
            self._take_line(line + b"\n", expires_ns, name)

    def _is_current(self) -> bool:
        try:
            there = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            # Removed under a running gateway: what was used is not known any more.
            raise OSError(f"the register {self._path} is gone") from None
        return os.path.samestat(os.fstat(self._data), there)

    def _reopen(self) -> None:
        if self._data < 0 and not self._files.exists(self._path):
            if os.pread(self._lock_file, len(_BEGUN), 0):
                raise InputError(
                    f"the register {self._path} is gone: nothing tells which approvals were used",
                    f"restore it; or, once every approval of its time has expired, remove {self._path}.lock",
                )
            self._files.write_atomic(self._path, _line(0, _MAGIC))
        opened = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        # Also beside the register of an earlier version.
        if not os.pread(self._lock_file, len(_BEGUN), 0):
            os.pwrite(self._lock_file, _BEGUN, 0)
            os.fdatasync(self._lock_file)
        if self._data >= 0:
            os.close(self._data)
        self._data, self._offset, self._lines = opened, 0, 0
        self._claims = _Claims()

    def _read(self, line: bytes) -> tuple[int, str]:
        body = line.rpartition(b" ")[0]
        moment, _, name = body.decode("ascii", "replace").partition(" ")
        is_head = self._offset == 0
        if not _is_line(line) or is_head != (name == _MAGIC):
            raise self._damaged(self._lines + 1)
        if is_head:
            return int(moment), ""
        return int(moment), bytes.fromhex(name).decode("utf-8", "surrogatepass")

    def _damaged(self, number: int) -> InputError:
        return InputError(
            f"{self._path}: line {number} is no line of a register of used approvals",
            f"once every approval of its time has expired, move it and {self._path.name}.lock away",
        )

    def _take_line(self, line: bytes, expires_ns: int, name: str) -> None:
        if self._offset == 0:
            self._claims.forget(expires_ns)
        else:
            self._claims.add(name, expires_ns)
        self._offset += len(line)
        self._lines += 1

    def _compact(self) -> None:
        kept = [_line(expires_ns, _in_hex(name)) for expires_ns, name in self._claims]
        content = _line(self._claims.horizon_ns, _MAGIC) + b"".join(kept)
        self._files.write_atomic(self._path, content)
        # The new file is read like one that another process has put there.
        self._catch_up()


def _in_hex(name: str) -> str:
    return name.encode("utf-8", "surrogatepass").hex()


def _checksum(body: bytes) -> bytes:
    return f"{zlib.crc32(body):08x}".encode()


def _is_line(line: bytes) -> bool:
    body, _, checksum = line.rpartition(b" ")
    return checksum == _checksum(body)


def _line(moment_ns: int, name: str) -> bytes:
    body = f"{moment_ns} {name}".encode()
    return body + b" " + _checksum(body) + b"\n"
