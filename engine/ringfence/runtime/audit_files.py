"""The writer's side of the audit log's files: opening, mending a torn end, writing, the next segment."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ringfence.errors import AuditError
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

__all__ = ["LOCK_NAME", "Pending", "Recovery", "SegmentFiles", "open_files"]

LOCK_NAME = "writer.lock"


@dataclass(frozen=True, slots=True)
class Pending:
    """A record that is to be written: its frame, its number, and the hash before it."""

    frame: bytes
    sequence: int
    prev: str


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
        last: Number of the last record in the files.
        hash: SHA-256 of that record, in hex.
        total_bytes: Size of all segments when they were opened.
        recovery: What was cut when they were opened.
    """

    def __init__(
        self, directory: Path, files: LogFiles, clock: Clock, random: Random, segment_bytes: int
    ) -> None:
        self._directory = directory
        self._files = files
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._lock: Lock = files.lock(directory / LOCK_NAME)
        try:
            paths = segments(directory, files)
            self._is_empty = True  # the last segment holds no record
            self.recovery: Recovery | None = None
            if paths:
                self._open_last(paths[-1])
            else:
                self._chain, self.last = random.token(16), 0
                self.hash = chain_start(self._chain)
                self._file, self._size = self._begin(1, self.hash)
            self.total_bytes = sum(files.size(path) for path in segments(directory, files))
        except BaseException:
            self._lock.close()
            raise

    def write(self, records: Sequence[Pending], *, sync: bool) -> int:
        """Write the records in order; with `sync` they survive a loss of power afterwards.

        Returns:
            The bytes written besides the records: headers of new segments.
        """
        chunk: list[bytes] = []
        headers = 0
        for record in records:
            if self._size + len(record.frame) > self._segment_bytes and not self._is_empty:
                self._put(chunk)
                chunk = []
                headers += self._next(record)
            chunk.append(record.frame)
            self._size += len(record.frame)
            self._is_empty = False
        self._put(chunk)
        if sync:
            self._file.sync()
        return headers

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

    def _put(self, chunk: list[bytes]) -> None:
        if chunk:
            self._file.write(b"".join(chunk))

    def _next(self, record: Pending) -> int:
        # So that only the last segment can be torn, whatever happens.
        self._file.sync()
        before = self._file
        self._file, self._size = self._begin(record.sequence, record.prev)
        before.close()
        return self._size

    def _begin(self, first: int, prev: str) -> tuple[AppendFile, int]:
        path = self._directory / segment_name(first)
        content = header_bytes(self._chain, first, prev, self._clock.now_ns())
        self._files.write_atomic(path, content)
        self._is_empty = True
        return self._files.append_to(path), len(content)

    def _open_last(self, path: Path) -> None:
        content = self._files.read_from(path, 0)
        header = read_header(content)
        if header is None or path.name != segment_name(header.first):
            raise _damaged(path, 0)
        self._chain = header.chain
        end = self._follow(path, content, header)
        if end < len(content):
            self._files.truncate(path, end)
            self.recovery = Recovery(path.name, end, len(content) - end, self.last)
        self._is_empty = end == header.size
        self._size = end
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


def open_files(
    directory: Path, files: LogFiles, clock: Clock, random: Random, segment_bytes: int
) -> SegmentFiles:
    """Open the log of a directory for writing, or begin one.

    Raises:
        AuditError: another process writes it, it cannot be read or written, or a complete record of its
            last segment is damaged; nothing has been changed then.
    """
    try:
        files.make_folder(directory)
        return SegmentFiles(directory, files, clock, random, segment_bytes)
    except BlockingIOError:
        raise AuditError(
            f"the audit log `{directory}` is being written by another process",
            "give each guard a directory of its own",
        ) from None
    except OSError as error:
        raise AuditError(
            f"the audit log `{directory}` cannot be opened: {reason(error)}",
            "name a directory on a disk with free space that this user may write to",
        ) from None


def reason(error: OSError) -> str:
    """What the system says, without numbers."""
    return (error.strerror or str(error) or "no reason given").lower()


def _damaged(path: Path, offset: int) -> AuditError:
    return AuditError(
        f"`{path}` is damaged at byte {offset}: a record that was complete is not what was written",
        f"see `ringfence audit verify {path.parent}`; begin a new log in another directory",
    )
