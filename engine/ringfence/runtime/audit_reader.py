"""Reading an audit log while another process writes it: every record once, in order.

A record that tells only what changed since an earlier one (`audit_told`) is handed out complete. Whoever has no
need of that asks for records as they were written, and has one completed (`completed`) that it wants after all.
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ringfence.errors import AuditError, reason_of
from ringfence.runtime.audit_codec import decode
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.audit_segments import (
    Damage,
    Envelope,
    Frame,
    Tail,
    envelope,
    read_header,
    scan,
    segments,
)
from ringfence.runtime.audit_told import Completer, is_in_part, may_be_in_part
from ringfence.runtime.ports import SYSTEM_FILES, LogFiles

__all__ = ["CHUNK_BYTES", "AuditReader", "RawRecord", "Record", "record_of", "tail"]

#: So much of a file is read at once; more where a single record is larger.
CHUNK_BYTES = 1 << 20

_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        sequence: Its number, from 1, without gaps.
        ts_ns: When it was appended, nanoseconds since 1970, UTC.
        kind: What it tells of, such as `decision`.
        body: What was appended.
        prev: SHA-256 of the record before it, in hex.
        hash: Its own.
        segment: The file that holds it.
        offset: Where in the file, in bytes.
    """

    sequence: int
    ts_ns: int
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str
    segment: str
    offset: int


class RawRecord(NamedTuple):
    """One record as it was written: as `Record`, but `body` is its canonical JSON.

    Where it was completed, `written` is what it was before, which its hash is of; else it is None.
    """

    sequence: int
    ts_ns: int
    kind: str
    body: bytes
    prev: str
    hash: str
    segment: str
    written: bytes | None = None


class AuditReader:
    """Reads the records of a log from one place on; `poll` again for those that were added since.

    It takes no lock, and holds no file open between polls.

    Args:
        directory: The log's.
        after: The first record that is wanted is the one after this number.
    """

    def __init__(self, directory: Path, *, after: int = 0, files: LogFiles = SYSTEM_FILES) -> None:
        self._directory = Path(directory)
        self._files = files
        #: Number of the record that was read last.
        self.after = after
        self._segment = ""
        self._offset = 0
        # Of the file that is read: its first number, and where each of its records begins.
        self._first, self._places = 0, array("q")
        self._completer = Completer()

    def poll(self, *, complete: bool = True) -> Iterator[Record]:
        """Yield the records that are there and were not read yet; the log may be growing meanwhile.

        Args:
            complete: Whether records that name an earlier one are completed.

        Raises:
            AuditError: the log cannot be read, a record is damaged or names one that is not there, or records
                were removed before they were read.
        """
        records = self._poll(record_of)
        return map(self.completed, records) if complete else records

    def poll_raw(self, *, complete: bool = False) -> Iterator[RawRecord]:
        """As `poll`, several times as fast: bodies are not looked into, but to complete them."""
        records = self._poll(_raw)
        return map(self.completed_raw, records) if complete else records

    def completed(self, record: Record) -> Record:
        """The record with everything that it says by naming an earlier one; it must be of the file that is being read.

        Raises:
            AuditError: what it names is not there, or does not fit.
        """
        if record.kind != DECISION or not is_in_part(record.body):
            return record
        self._look_back_from(record)
        return replace(
            record, body=self._completer.complete(record.sequence, record.body, self._body_of)
        )

    def completed_raw(self, record: RawRecord) -> RawRecord:
        """As `completed`."""
        if not may_be_in_part(record.kind, record.body):
            return record
        self._look_back_from(record)
        whole = self._completer.complete_text(record.sequence, record.body, self._body_of)
        return record if whole is record.body else record._replace(body=whole, written=record.body)

    def _look_back_from(self, record: Record | RawRecord) -> None:
        if record.segment != self._segment:
            raise ValueError(f"record {record.sequence} is of another file than is being read")

    def _body_of(self, sequence: int) -> bytes | None:
        """The body of a record of this file that was read, or passed over, before."""
        at = sequence - self._first
        if not 0 <= at < len(self._places):
            return None
        begin = self._places[at]
        end = self._places[at + 1] if at + 1 < len(self._places) else self._offset
        path = self._directory / self._segment
        try:
            content = self._files.read_from(path, begin, end - begin)
        except OSError as error:
            raise AuditError(
                f"`{path}` cannot be read: {reason_of(error)}",
                "give this user the right to read it",
            ) from None
        piece = next(scan(content, 0), None)
        about = envelope(piece.payload) if isinstance(piece, Frame) else None
        return about.body if about is not None and about.sequence == sequence else None

    def _poll(self, made: Callable[[Frame, Envelope, str], _R | None]) -> Iterator[_R]:
        # Listed before it is read: a file that another one follows here grows no more.
        paths = segments(self._directory, self._files)
        for path in paths[self._begin(paths) :]:
            if path.name != self._segment:
                self._segment, self._offset = path.name, 0
                self._first, self._places = int(path.stem), array("q")
                self._completer = Completer()
            yield from self._read(path, made, last=path is paths[-1])

    def _begin(self, paths: list[Path]) -> int:
        """The place in `paths` of the file that holds the next record."""
        names = [path.name for path in paths]
        begins = [int(path.stem) for path in paths]
        if self._segment in names:
            return names.index(self._segment)
        # All of the file may have been read before it went.
        if self._segment and begins[:1] != [self.after + 1]:
            raise self._removed()
        if begins and self.after > 0 and self.after + 1 < begins[0]:
            raise self._removed()
        return max((at for at, first in enumerate(begins) if first <= self.after + 1), default=0)

    def _read(
        self, path: Path, made: Callable[[Frame, Envelope, str], _R | None], *, last: bool
    ) -> Iterator[_R]:
        asked = CHUNK_BYTES
        while True:
            content = self._content(path, asked)
            to_the_end = len(content) < asked
            base = start = self._offset
            if base == 0:
                header = read_header(content)
                if header is None and not to_the_end:
                    asked *= 2
                    continue
                if header is None:
                    raise self._damaged(path, 0)
                start = header.size
            for piece in scan(content, start - base, base):
                about = envelope(piece.payload) if isinstance(piece, Frame) else None
                if isinstance(piece, Damage | Tail) or about is None:
                    if not to_the_end:
                        # It may have been cut off where the chunk ends.
                        break
                    if isinstance(piece, Tail) and last:
                        return
                    raise self._damaged(path, piece.offset)
                wanted = about.sequence > self.after
                record = made(piece, about, path.name) if wanted else None
                if wanted and record is None:
                    raise self._damaged(path, piece.offset)
                # Kept before it is handed out: whoever stops here goes on with the next.
                self._places.append(piece.offset)
                self._offset = piece.offset + piece.size
                if record is not None:
                    self.after = about.sequence
                    yield record
            if to_the_end:
                return
            asked = CHUNK_BYTES if self._offset > base else 2 * asked

    def _content(self, path: Path, size: int) -> bytes:
        try:
            return self._files.read_from(path, self._offset, size)
        except FileNotFoundError:
            raise self._removed() from None
        except OSError as error:
            raise AuditError(
                f"`{path}` cannot be read: {reason_of(error)}",
                "give this user the right to read it",
            ) from None

    def _removed(self) -> AuditError:
        return AuditError(
            f"records after {self.after} are no longer in `{self._directory}`",
            "read from the log's begin, or keep more of it",
        )

    def _damaged(self, path: Path, offset: int) -> AuditError:
        return AuditError(
            f"`{path}` is damaged at byte {offset}",
            f"`ringfence audit verify {self._directory}` finds all that is wrong with it",
        )


def record_of(frame: Frame, about: Envelope, segment: str) -> Record | None:
    """The record of a frame; None where its body is no JSON object."""
    try:
        body = decode(about.body)
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    return Record(
        about.sequence,
        about.ts_ns,
        about.kind,
        body,
        about.prev,
        sha256(frame.payload).hexdigest(),
        segment,
        frame.offset,
    )


def _raw(frame: Frame, about: Envelope, segment: str) -> RawRecord:
    digest = sha256(frame.payload).hexdigest()
    return RawRecord(
        about.sequence, about.ts_ns, about.kind, about.body, about.prev, digest, segment
    )


def tail(directory: Path, count: int, *, files: LogFiles = SYSTEM_FILES) -> list[Record]:
    """The last `count` records of a log, oldest first; raises AuditError as `poll` does."""
    begins = [int(path.stem) for path in segments(Path(directory), files)]
    if not begins:
        return []
    # Numbers have no gaps: what the last file ends in says where to begin.
    latest = deque(AuditReader(directory, after=begins[-1] - 1, files=files).poll_raw(), 1)
    last = latest[0].sequence if latest else begins[-1] - 1
    first = max(begins[0], last - count + 1)
    reader = AuditReader(directory, after=first - 1, files=files)
    found = list(islice(reader.poll(complete=False), max(0, count)))
    if not any(each.kind == DECISION and is_in_part(each.body) for each in found):
        return found
    # Only these are completed, and not all that stand before them.
    reader = AuditReader(directory, after=found[0].sequence - 1, files=files)
    return list(islice(reader.poll(), len(found)))
