"""The writer's side of the audit log's files: opening, mending a torn end, writing, the next segment."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from ringfence.errors import AuditError, reason_of
from ringfence.runtime.audit_segments import (
    Damage,
    Header,
    Tail,
    chain_start,
    envelope,
    header_bytes,
    read_header,
    scan,
    segment_name,
    segments,
)
from ringfence.runtime.ports import AppendFile, Clock, Lock, LogFiles, Random

__all__ = ["LOCK_NAME", "Begin", "Recovery", "SegmentFiles", "open_files"]

LOCK_NAME = "writer.lock"


class Begin(NamedTuple):
    """Where a new file begins among records that are to be written.

    Attributes:
        at: Before this one of them, from 0.
        first: The number of that record.
        header: What the file begins with.
    """

    at: int
    first: int
    header: bytes


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was cut from the end of the log: the begin of a record that nobody was told of.

    Attributes:
        segment: The file.
        offset: Where it was cut, in bytes.
        size: How many bytes were cut.
        after: The last record that is whole.
    """

    segment: str
    offset: int
    size: int
    after: int


class SegmentFiles:
    """The open files of a log that this process writes; not thread-safe.

    Attributes:
        chain: Name of the log.
        last: Number of the last record that the files held when they were opened.
        hash: SHA-256 of that record, in hex.
        fill: Size of the last file then, in bytes.
        first: Number of the first record of that file, which may be still to come.
        holds_records: Whether that file held a record then.
        total_bytes: Size of all files then.
        recovery: What was cut from the last file.
    """

    def __init__(self, directory: Path, files: LogFiles, clock: Clock, random: Random) -> None:
        self._directory = directory
        self._files = files
        self.recovery: Recovery | None = None
        self._lock: Lock = files.lock(directory / LOCK_NAME)
        try:
            paths = segments(directory, files)
            if paths:
                self._open_last(paths[-1])
            else:
                self.chain, self.last, self.holds_records = random.token(16), 0, False
                self.first = 1
                self.hash = chain_start(self.chain)
                header = header_bytes(self.chain, 1, self.hash, clock.now_ns())
                self.fill = len(header)
                self._file = self._begin(1, header)
            self.total_bytes = sum(files.size(path) for path in segments(directory, files))
        except BaseException:
            self._lock.close()
            raise

    def write(self, frames: Sequence[bytes], begins: Sequence[Begin], *, sync: bool) -> None:
        """Write records, framed, in order; with `sync` they survive a loss of power afterwards."""
        if len(frames) == 1 and not begins and not sync:
            # So it is with most orders.
            self._file.write(frames[0])
            return
        written = 0
        for begin in begins:
            self._put(frames[written : begin.at])
            written = begin.at
            # So that only the last file can be torn, whatever happens.
            self._file.sync()
            before = self._file
            self._file = self._begin(begin.first, begin.header)
            before.close()
        self._put(frames[written:] if written else frames)
        if sync:
            self._file.sync()

    def remove(self, paths: Sequence[Path]) -> int:
        """Remove segments, oldest first; returns the bytes that are gone."""
        gone = 0
        for path in paths:
            size = self._files.size(path)
            self._files.remove(path)
            gone += size
        return gone

    def close(self) -> None:
        """Let files and lock go."""
        self._file.close()
        self._lock.close()

    def _put(self, frames: Sequence[bytes]) -> None:
        if frames:
            self._file.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def _begin(self, first: int, header: bytes) -> AppendFile:
        path = self._directory / segment_name(first)
        self._files.write_atomic(path, header)
        return self._files.append_to(path)

    def _open_last(self, path: Path) -> None:
        content = self._files.read_from(path, 0)
        header = read_header(content)
        if header is None or path.name != segment_name(header.first):
            raise _damaged(path, 0)
        self.chain, self.first = header.chain, header.first
        end = self._follow(path, content, header)
        if end < len(content):
            self._files.truncate(path, end)
            self.recovery = Recovery(path.name, end, len(content) - end, self.last)
        self.fill, self.holds_records = end, end > header.size
        self._file = self._files.append_to(path)
        # Whatever the process before us had not synced counts from here on.
        self._file.sync()

    def _follow(self, path: Path, content: bytes, header: Header) -> int:
        """Walk along the chain to its end; returns where the last whole record ends, in bytes."""
        self.last, self.hash = header.first - 1, header.prev
        for piece in scan(content, header.size):
            if isinstance(piece, Tail):
                return piece.offset
            about = None if isinstance(piece, Damage) else envelope(piece.payload)
            if isinstance(piece, Damage) or about is None:
                raise _damaged(path, piece.offset)
            if (about.sequence, about.prev) != (self.last + 1, self.hash):
                raise _damaged(path, piece.offset)
            self.last, self.hash = about.sequence, sha256(piece.payload).hexdigest()
        return len(content)


def open_files(directory: Path, files: LogFiles, clock: Clock, random: Random) -> SegmentFiles:
    """Open the log of a directory for writing, or begin one.

    Raises:
        AuditError: another process writes it, it cannot be read or written, or a complete record of its
            last segment is damaged; nothing has been changed then.
    """
    try:
        files.make_folder(directory)
        return SegmentFiles(directory, files, clock, random)
    except BlockingIOError:
        raise AuditError(
            f"the audit log `{directory}` is being written by another process",
            "give each guard a directory of its own",
        ) from None
    except OSError as error:
        raise AuditError(
            f"the audit log `{directory}` cannot be opened: {reason_of(error)}",
            "name a directory on a disk with free space that this user may write to",
        ) from None


def _damaged(path: Path, offset: int) -> AuditError:
    return AuditError(
        f"`{path}` is damaged at byte {offset}: a record that was complete is not what was written",
        f"see `ringfence audit verify {path.parent}`; begin a new log in another directory",
    )
