"""Checking an audit log: which record was changed, is missing, was inserted or stands out of its order.

What shows without an anchor: any change of a byte, and any record that is missing, moved or added, except at
the end of the log. Someone who can write the files could compute the whole chain anew, or cut whole records
off its end: an anchor that lies elsewhere (`audit_anchor`) shows both. A record that names an earlier one must
find it in its own file, and what it tells must fit to it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from ringfence.errors import AuditError, reason_of
from ringfence.runtime.audit_anchor import Anchor
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.audit_head import no_log_in
from ringfence.runtime.audit_reader import Record, record_of
from ringfence.runtime.audit_segments import (
    Damage,
    Envelope,
    Frame,
    Header,
    Tail,
    chain_start,
    envelope,
    read_header,
    scan,
    segment_name,
    segments,
)
from ringfence.runtime.audit_told import Completer, is_in_part
from ringfence.runtime.ports import SYSTEM_FILES, LogFiles

__all__ = ["Finding", "Verification", "verify"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        what: `changed`, `missing`, `inserted`, `reordered`, `truncated`, or `incomplete` for a record that names an
            earlier one which is not there, or to which it does not fit.
        first, last: The records concerned; None where they cannot be known.
        segment: The file where it shows.
        offset: Where in the file, in bytes.
        message: All of that in words.
    """

    what: str
    first: int | None
    last: int | None
    segment: str
    offset: int
    message: str


@dataclass(slots=True)
class Verification:
    """What was found.

    Attributes:
        chain: Name of the log; empty where no header can be read.
        records: How many records are whole.
        first, last: Number of the first and the last of them; 0 where there is none.
        head: SHA-256 of the last one, in hex.
        unfinished_bytes: What the last file holds after its last whole record: one that is being
            written, or was torn off by a crash.
        findings: What is wrong; empty where all is well.
    """

    chain: str = ""
    records: int = 0
    first: int = 0
    last: int = 0
    head: str = ""
    unfinished_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)


def verify(
    directory: Path,
    *,
    anchor: Anchor | None = None,
    files: LogFiles = SYSTEM_FILES,
    each: Callable[[Record], None] | None = None,
    complete: bool = True,
) -> Verification:
    """Check every record of a log; it may be growing meanwhile.

    Args:
        directory: The log's.
        anchor: What was signed of it.
        files: The file system.
        each: Is given every record that can be read, in the order in which they stand.
        complete: Whether `each` is given records that name an earlier one complete, where that can be done.

    Raises:
        AuditError: there is no log, or it cannot be read.
    """
    paths = segments(Path(directory), files)
    if not paths:
        raise no_log_in(directory)
    check = _Check(anchor, each, complete=complete)
    for path in paths:
        try:
            content = files.read_from(path, 0)
        except OSError as error:
            raise AuditError(
                f"`{path}` cannot be read: {reason_of(error)}",
                "give this user the right to read it",
            ) from None
        check.segment(path.name, content, is_last=path is paths[-1])
    return check.done()


class _Check:
    def __init__(
        self, anchor: Anchor | None, each: Callable[[Record], None] | None, *, complete: bool
    ) -> None:
        self.result = Verification()
        self._each, self._complete = each, complete
        self._content = b""
        self._places: dict[int, int] = {}  # where each decision of this file begins
        self._completer = Completer()
        self._anchor = anchor
        self._anchored = ""
        self._segment = ""
        self._allowed_first = 1
        self._first: Header | None = None
        self._seen = 0  # the highest number so far
        self._expected_prev: str | None = None  # None where the record before cannot be read
        self._absent: dict[int, int] = {}  # last number of a gap, by its first
        self._damages: list[tuple[str, Damage]] = []

    def segment(self, name: str, content: bytes, *, is_last: bool) -> None:
        self._segment, self._content, self._places = name, content, {}
        self._completer = Completer()
        header = read_header(content)
        if header is None:
            self._find("changed", None, None, 0, "the head of the file cannot be read")
            start = 0
        else:
            self._header(header)
            start = header.size
        for piece in scan(content, start):
            if isinstance(piece, Tail):
                self._tail(piece, is_last=is_last)
            elif isinstance(piece, Damage):
                if header is not None or piece.offset > 0:
                    self._damages.append((name, piece))
            elif (about := envelope(piece.payload)) is not None:
                self._record(piece, about)
            else:
                self._damages.append((name, Damage(piece.offset, piece.size)))

    def done(self) -> Verification:
        result = self.result
        self._settle(None)
        for first, last in sorted(self._absent.items()):
            self._find("missing", first, last, 0, f"{_named(first, last)} missing")
        if result.first > self._allowed_first:
            gone = f"the log begins with record {result.first}, and was cut at no such place"
            self._find("missing", self._allowed_first, result.first - 1, 0, gone)
        if self._anchor is not None:
            self._check_anchor(self._anchor)
        result.findings.sort(key=lambda each: (each.segment, each.offset))
        return result

    def _header(self, header: Header) -> None:
        if self._first is None:
            self._first = header
            self.result.chain = header.chain
            self._expected_prev = header.prev
            self._seen = header.first - 1
            if header.first == 1 and header.prev != chain_start(header.chain):
                self._find("changed", None, None, 0, "the head of the file was changed")
        self._settle(header.first)
        agrees = header.prev == self._expected_prev or self._expected_prev is None
        named = self._segment == segment_name(header.first)
        if header.chain != self.result.chain:
            self._find("inserted", None, None, 0, "the file belongs to another log")
        elif not named or (header.first == self._seen + 1 and not agrees):
            self._find("changed", None, None, 0, "the head of the file was changed")
        elif header.first > self._seen + 1:
            self._absent[self._seen + 1] = header.first - 1
            self._seen, self._expected_prev = header.first - 1, header.prev

    def _record(self, frame: Frame, about: Envelope) -> None:
        number, result = about.sequence, self.result
        self._settle(number)
        record = record_of(frame, about, self._segment)
        result.records += 1
        result.first = min(result.first or number, number)
        if record is None:
            self._find("changed", number, number, frame.offset, f"record {number} was changed")
        elif record.kind == "retention" and isinstance(record.body.get("first"), int):
            self._allowed_first = max(self._allowed_first, record.body["first"])
        if record is not None and record.kind == DECISION:
            if is_in_part(record.body):
                record = self._looked_back(record)
            self._places[number] = frame.offset
        if self._each is not None and record is not None:
            self._each(record)
        digest = record.hash if record is not None else sha256(frame.payload).hexdigest()
        if self._anchor is not None and number == self._anchor.sequence:
            self._anchored = digest
        if number <= self._seen:
            self._out_of_order(number, frame.offset)
            return
        if number == self._seen + 1:
            self._link(number, about.prev, frame.offset)
        else:
            self._absent[self._seen + 1] = number - 1
        self._seen, self._expected_prev = number, digest
        result.last, result.head = number, digest

    def _looked_back(self, record: Record) -> Record:
        """The record, completed where that is wanted, and checked against the one that it names."""
        try:
            if self._each is not None and self._complete:
                whole = self._completer.complete(record.sequence, record.body, self._body_of)
                return replace(record, body=whole)
            self._completer.check(record.sequence, record.body, self._body_of)
        except AuditError as error:
            at = record.sequence
            self._find("incomplete", at, at, record.offset, error.message)
        return record

    def _body_of(self, number: int) -> bytes | None:
        """The body of an earlier decision of this file."""
        at = self._places.get(number)
        piece = None if at is None else next(scan(self._content, at), None)
        about = envelope(piece.payload) if isinstance(piece, Frame) else None
        return about.body if about is not None and about.sequence == number else None

    def _link(self, number: int, prev: str, offset: int) -> None:
        if self._expected_prev is None or prev == self._expected_prev:
            return
        before = number - 1
        text = f"record {before} was changed: record {number} names another hash for it"
        self._find("changed", before, before, offset, text)

    def _out_of_order(self, number: int, offset: int) -> None:
        for first, last in self._absent.items():
            if first <= number <= last:
                del self._absent[first]
                if first < number:
                    self._absent[first] = number - 1
                if number < last:
                    self._absent[number + 1] = last
                text = f"record {number} stands behind record {self._seen}"
                self._find("reordered", number, number, offset, text)
                return
        text = f"record {number} was inserted: there is one of that number before it"
        self._find("inserted", number, number, offset, text)

    def _settle(self, number: int | None) -> None:
        """Report the damage before record `number` (None: the log's end), and the records it cost."""
        if not self._damages:
            return
        first = self._seen + 1
        last = max(first, number - 1 if number is not None else self._seen + len(self._damages))
        for segment, damage in self._damages:
            text = f"{_named(first, last)} changed: {damage.size} bytes are not what was written"
            self._find("changed", first, last, damage.offset, text, segment)
        self._damages = []
        if number is None or number > first:
            self._seen, self._expected_prev = last, None

    def _tail(self, tail: Tail, *, is_last: bool) -> None:
        if is_last:
            self.result.unfinished_bytes = tail.size
            return
        first = self._seen + 1
        text = f"the file ends within record {first}"
        self._find("truncated", first, None, tail.offset, text)

    def _check_anchor(self, anchor: Anchor) -> None:
        number, result = anchor.sequence, self.result
        if anchor.chain != result.chain:
            self._find("inserted", None, None, 0, "the anchor belongs to another log")
        elif number > result.last:
            text = f"{_named(result.last + 1, number)} missing: the anchor names record {number}"
            self._find("truncated", result.last + 1, number, 0, text)
        elif self._anchored not in ("", anchor.hash):
            text = f"record {number}, or one before it, is not the one that the anchor names"
            self._find("changed", number, number, 0, text)

    def _find(
        self,
        what: str,
        first: int | None,
        last: int | None,
        offset: int,
        message: str,
        segment: str = "",
    ) -> None:
        where = segment or self._segment
        self.result.findings.append(Finding(what, first, last, where, offset, message))


def _named(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
