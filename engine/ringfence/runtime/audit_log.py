"""The audit log: one process appends, each record names the hash of the one before, nothing is rewritten.

`append` gives a record its number and its place in the chain; `wait` returns once it is as durable as
asked. Whoever waits writes everything that is pending (group commit), so that one write, and one sync,
serves all who wait meanwhile; what nobody waits for is written by a thread a moment later. Once a write has
failed, nobody knows what lies on the disk: the log takes nothing more until it is opened again.

Layout on disk: `audit_segments`. Reading: `audit_reader`, `audit_verify`. What may go: `audit_retention`.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from ringfence.errors import AuditError, reason_of
from ringfence.runtime.audit_codec import encode
from ringfence.runtime.audit_definitions import Definitions
from ringfence.runtime.audit_files import Begin, Recovery, SegmentFiles, open_files
from ringfence.runtime.audit_retention import Retention
from ringfence.runtime.audit_segments import FRAME_BYTES, KIND, framed, header_bytes, payload_of
from ringfence.runtime.forks import forks
from ringfence.runtime.metric_table import one
from ringfence.runtime.metrics import Histogram, Metric
from ringfence.runtime.ports import (
    SYSTEM_CLOCK,
    SYSTEM_FILES,
    SYSTEM_RANDOM,
    Clock,
    LogFiles,
    Random,
)

__all__ = ["LIMIT_BYTES", "SEGMENT_BYTES", "AuditLog", "Durability"]

Durability = Literal["process", "disk"]

SEGMENT_BYTES = 64 << 20
LIMIT_BYTES = 64 << 30
#: The largest body, as JSON.
BODY_BYTES = 16 << 20
# What nobody waits for is written after so long, or once so much of it is pending.
_IDLE_SECONDS = 0.05
_PENDING_BYTES = 4 << 20
# Seconds; from what the system keeps in memory to a disk that stands still.
_BOUNDS = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.05, 0.25, 1.0, 5.0)


class AuditLog:
    """An open audit log, the only one of its directory; thread-safe. `open` makes one.

    Attributes:
        recovered: What was cut from the end of the log when it was opened; None where it was whole.
        file_begins: The number of the first record of the last file, which may be still to come.
        placing: Is held from `next_place` to `write_frames`.
    """

    def __init__(
        self,
        directory: Path,
        written: SegmentFiles,
        *,
        durability: Durability,
        clock: Clock,
        files: LogFiles,
        segment_bytes: int,
        limit_bytes: int,
        keep_bytes: int | None,
        definitions: tuple[str, str],
    ) -> None:
        self.recovered: Recovery | None = written.recovery
        self._directory = directory
        self._sync = durability == "disk"
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._limit_bytes = limit_bytes
        self._retention = Retention(directory, written.chain, keep_bytes, clock, files)
        self._definitions = Definitions(*definitions)
        self._forks = forks[0]
        # Guards the numbers, the chain and what is pending; held for microseconds.
        self.placing = threading.Lock()
        self._last = written.last
        self._hash = written.hash
        self._chain = written.chain
        self._fill = written.fill  # of the last file
        self._fill_has_records = written.holds_records
        self.file_begins = written.first
        self._size = written.total_bytes
        self._pending: list[bytes] = []
        self._begins: list[Begin] = []
        self._pending_bytes = 0
        self._kinds: set[str] = set()  # that are known to be kinds
        self._is_full = False  # as far as the last record asked
        self._refusal: AuditError | None = None
        # Guards the files; whoever holds it writes for all. Taken before `placing`, never after it.
        self._commit = threading.Lock()
        self._written = written
        self._durable = self._first = written.last
        self._took = Histogram(_BOUNDS)
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._write_what_nobody_waits_for, name="ringfence-audit", daemon=True
        )
        self._thread.start()

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        durability: Durability,
        clock: Clock = SYSTEM_CLOCK,
        files: LogFiles = SYSTEM_FILES,
        random: Random = SYSTEM_RANDOM,
        segment_bytes: int = SEGMENT_BYTES,
        limit_bytes: int = LIMIT_BYTES,
        keep_bytes: int | None = None,
        definitions: tuple[str, str] = ("policy-set", "policy_set"),
    ) -> "AuditLog":
        """Open the log of a directory, or begin one there.

        A record that was not written to its end is cut off, and a record of kind `recovery` says so.

        Args:
            directory: Holds this log and nothing else; made where it is missing.
            durability: What `wait` waits for: `process` survives the end of this process, `disk` also
                a loss of power.
            clock: Gives each record its time.
            random: Gives a new log its name.
            segment_bytes: A file that would grow beyond this is followed by the next.
            limit_bytes: Once the log is as large as this, `append` refuses.
            keep_bytes: The oldest files are removed while the log is larger than this, but for records that
                a sink has yet to get (`audit_hold`); None keeps all.
            definitions: A kind of records, and the key of bodies with what such a record defines. A file
                that holds a record which names it holds that definition, too, before it.

        Raises:
            AuditError: another process writes this log, it cannot be read or written, or a record that
                was complete is damaged.
        """
        if durability not in ("process", "disk"):
            raise AuditError(f"`{durability}` is no durability", "give `process` or `disk`")
        written = open_files(Path(directory), files, clock, random)
        log = cls(
            Path(directory),
            written,
            durability=durability,
            clock=clock,
            files=files,
            segment_bytes=segment_bytes,
            limit_bytes=limit_bytes,
            keep_bytes=keep_bytes,
            definitions=definitions,
        )
        if (cut := log.recovered) is not None:
            about = {"segment": cut.segment, "offset": cut.offset, "bytes": cut.size}
            log._add("recovery", encode({**about, "after": cut.after}), bounded=False)
        return log

    @property
    def last(self) -> int:
        """The sequence number given last; 0 where there is none."""
        return self._last

    @property
    def durable(self) -> int:
        """Up to this sequence number all records are as durable as asked."""
        return self._durable

    @property
    def size_bytes(self) -> int:
        """Size of the log, what is pending included."""
        return self._size

    def append(self, kind: str, body: Mapping[str, Any] | bytes, beside: int = 0) -> int:
        """Add a record; it is durable once `wait` has returned.

        Args:
            kind: A lower-case letter, then such letters, digits, `-`, `_` and `.`; at most 64 in all.
            body: What `audit_codec.encode` takes, or a body that is such JSON already.
            beside: The number of an earlier record without which this one says nothing, so that both must stand in
                the same file; 0 for none.

        Returns:
            Its sequence number: one more than that of the record before. 0, and nothing was added, where it would
            stand in another file than `beside`.

        Raises:
            AuditError: the log is full, closed or has failed, or the body cannot be written. The log is
                then as it was before.
        """
        if kind not in self._kinds:
            if not KIND.fullmatch(kind):
                raise AuditError(
                    f"`{kind}` is no kind of record", "use lower-case letters, as `decision`"
                )
            self._kinds.add(kind)
        content = body if isinstance(body, bytes) else encode(body)
        if len(content) > BODY_BYTES:
            raise AuditError(
                f"this body has {len(content):,} bytes, a record holds {BODY_BYTES:,}",
                "put large things beside the log, and their hash into the record",
            )
        sequence = self._add(kind, content, bounded=True, beside=beside)
        if self._pending_bytes > _PENDING_BYTES:
            self.wait(sequence)
        return sequence

    def next_place(self, most_bytes: int) -> tuple[str, int, int] | None:
        """Where records of at most so many bytes go that somebody else writes out and frames.

        The caller holds `placing`.

        Returns:
            The hash of the record before them, the first one's number, and their time; None where more is to be
            done than to add them: then `append` each.
        """
        if (
            self._refusal is not None
            or self._forks != forks[0]
            or not self._fill_has_records
            or self._fill + most_bytes > self._segment_bytes
            or self._size + most_bytes > self._limit_bytes
            or self._pending_bytes + most_bytes > _PENDING_BYTES
            or self._definitions.absent
        ):
            return None
        return self._hash, self._last + 1, self._clock.now_ns()

    def put_frames(self, frames: bytes, count: int, digest: str) -> None:
        """Take the next records into what is pending, or leave all as it was; the caller holds `placing`.

        Args:
            frames: Each in its frame, one after the other.
            count: How many.
            digest: The last one's hash.
        """
        pending, size = len(self._pending), len(frames)
        was = self._pending_bytes, self._fill, self._size, self._hash, self._last
        try:
            self._pending.append(frames)
            self._pending_bytes += size
            self._fill += size
            self._size += size
            self._hash = digest
            self._last += count
            self._fill_has_records = True
        except BaseException:
            # What is interrupted here would break the chain.
            self._pending_bytes, self._fill, self._size, self._hash, self._last = was
            del self._pending[pending:]
            raise

    def write_frames(self, frames: bytes, count: int, digest: str) -> bool:
        """As `put_frames`, and write them where nothing else is to be written before them; the caller has held `placing`
        since `next_place`.

        Returns:
            Whether they are as durable as asked. Where not, `wait` for them, as for any record.
        """
        is_next = False
        try:
            # What takes a disk's time is done for all who wait together.
            if not (self._sync or self._pending or self._begins):
                is_next = self._commit.acquire(blocking=False)
            if not is_next:
                self.put_frames(frames, count, digest)
                return False
            self._write_out((frames,), ())
            size = len(frames)
            self._fill += size
            self._size += size
            self._hash = digest
            self._last += count
            self._durable = self._last
        except AuditError:
            # Whoever waits is told why.
            return False
        except BaseException:
            # It may be written, and what follows would not fit it.
            if is_next:
                self._refusal = self._refusal or _INTERRUPTED
            raise
        finally:
            if is_next:
                self._commit.release()
        return True

    def wait(self, sequence: int) -> None:
        """Return once record `sequence`, and each before it, is as durable as asked.

        Raises:
            AuditError: it cannot be known to be, or there is no such record.
        """
        if sequence > self._last:
            raise AuditError(f"record {sequence} was never appended", "give what `append` returned")
        if self._refusal is not None or self._forks != forks[0]:
            self._check()
        while self._durable < sequence:
            with self._commit:
                if self._durable < sequence:
                    self._write_pending()

    def drop_before(self, sequence: int) -> int:
        """Remove the oldest files, those that hold only records before `sequence`.

        A record of kind `retention` says first where the log begins from then on, so that a file which
        someone else removed shows as missing.

        Returns:
            How many files were removed.

        Raises:
            AuditError: as `append` and `wait`, a file cannot be removed, or a sink has yet to get some of
                these records.
        """
        gone, first = self._retention.before(sequence)
        if gone:
            body = encode({"first": first, "segments": len(gone)})
            self.wait(self._add("retention", body, bounded=False))
            with self._commit:
                try:
                    removed = self._written.remove(gone)
                except OSError as error:
                    raise AuditError(
                        f"an old file of the audit log cannot be removed: {reason_of(error)}",
                        f"give this user the right to change `{self._directory}`",
                    ) from None
                with self.placing:
                    self._size -= removed
        return len(gone)

    def check(self) -> None:
        """Say whether the log takes records, as far as its latest use has shown; writes nothing.

        Raises:
            AuditError: it is full, closed, or has failed.
        """
        if self._refusal is not None:
            raise AuditError(self._refusal.message, self._refusal.fix)
        if self._is_full:
            raise AuditError("the audit log is full", "raise its limit, or drop old files")

    def metrics(self) -> Iterable[Metric]:
        """Size, what is pending, and whether it takes records; see `runtime.metrics.Source`."""
        last, durable = self._last, self._durable
        yield one("ringfence_audit_log_ok", int(self._refusal is None and not self._is_full))
        yield one("ringfence_audit_log_bytes", self._size)
        yield one("ringfence_audit_log_limit_bytes", self._limit_bytes)
        yield one("ringfence_audit_log_records", last - self._first)
        yield one("ringfence_audit_log_pending_records", max(0, last - durable))
        with self._commit:
            took = self._took.value()
        yield one("ringfence_audit_log_write_seconds", took)

    def close(self) -> None:
        """Write what is pending, and let the directory go; raises AuditError where that fails."""
        self._stopping.set()
        self._thread.join()
        try:
            if self._refusal is None:
                self.wait(self._last)
                self._drop_what_is_too_much()
        finally:
            with self._commit, self.placing:
                if self._refusal is not _CLOSED:
                    self._refusal = _CLOSED
                    self._written.close()

    def __enter__(self) -> "AuditLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, kind: str, content: bytes, *, bounded: bool, beside: int = 0) -> int:
        """Add a record, behind the definitions of what it names where this file lacks them.

        Nothing is added, and the answer is 0, where it would not stand in one file with record `beside`.
        """
        with self.placing:
            if self._refusal is not None or self._forks != forks[0]:
                self._check()
            moment = self._clock.now_ns()
            payload = self._payload(kind, content, moment)
            size = FRAME_BYTES + len(payload)
            new_file = self._outgrows(size)
            known = self._definitions
            before = known.missing(kind, content, new_file=new_file)
            if before:
                bodies = [self._payload(known.kind, each, moment) for each in before]
                size += sum(FRAME_BYTES + len(each) for each in bodies)
                new_file = new_file or self._outgrows(size)
            if beside and (new_file or beside < self.file_begins):
                return 0
            header = b""
            if new_file:
                header = header_bytes(self._chain, self._last + 1, self._hash, moment)
            size += len(header)
            self._is_full = bounded and self._size + size > self._limit_bytes
            if self._is_full:
                raise AuditError(
                    f"the audit log is full: {self._size:,} of {self._limit_bytes:,} bytes",
                    "raise its limit, or drop old files",
                )
            try:
                if header:
                    self._begins.append(Begin(len(self._pending), self._last + 1, header))
                    self.file_begins = self._last + 1
                    self._fill = len(header)
                    known.file_begins()
                for each in before:
                    self._put(self._payload(known.kind, each, moment))
                    known.defined(each)
                if before:
                    payload = self._payload(kind, content, moment)
                self._put(payload)
                if kind == known.kind:
                    known.defined(content)
            except BaseException:
                if header or before or kind == known.kind:
                    # Some of it is there, and what follows might not fit it.
                    self._refusal = _INTERRUPTED
                raise
            self._pending_bytes += len(header)
            self._size += len(header)
            return self._last

    def _payload(self, kind: str, content: bytes, moment: int) -> bytes:
        return payload_of(content, kind, self._hash, self._last + 1, moment)

    def _outgrows(self, size: int) -> bool:
        return self._fill_has_records and self._fill + size > self._segment_bytes

    def _put(self, payload: bytes) -> None:
        self.put_frames(framed(payload), 1, sha256(payload).hexdigest())

    def _check(self) -> None:
        if self._refusal is not None:
            raise AuditError(self._refusal.message, self._refusal.fix)
        if self._forks != forks[0]:
            raise AuditError(
                "this audit log was opened before the process forked", "open one in each process"
            )

    def _write_pending(self) -> None:
        """Write all that is pending, in its order; the caller holds `_commit`."""
        self._check()
        try:
            with self.placing:
                frames, self._pending, self._pending_bytes = self._pending, [], 0
                begins, last = self._begins, self._last
                if begins:
                    self._begins = []
            self._write_out(frames, begins)
            self._durable = last
        except BaseException:
            # What was pending may be there no more.
            self._refusal = self._refusal or _INTERRUPTED
            raise

    def _write_out(self, frames: Sequence[bytes], begins: Sequence[Begin]) -> None:
        """Write frames; the caller holds `_commit`."""
        try:
            started = perf_counter()
            self._written.write(frames, begins, sync=self._sync)
            self._took.observe(perf_counter() - started)
        except BaseException as error:
            why = reason_of(error) if isinstance(error, OSError) else type(error).__name__
            self._refusal = AuditError(
                f"the audit log could not be written: {why}",
                f"see to the disk of `{self._directory}`, then open the log again",
            )
            if isinstance(error, OSError):
                raise AuditError(self._refusal.message, self._refusal.fix) from error
            raise

    def _write_what_nobody_waits_for(self) -> None:
        while not self._stopping.wait(_IDLE_SECONDS):
            try:
                if self._durable < self._last:
                    self.wait(self._last)
                self._drop_what_is_too_much()
            except AuditError:
                return  # whoever appends or waits from here on is told

    def _drop_what_is_too_much(self) -> None:
        try:
            if sequence := self._retention.due(self._size):
                self.drop_before(sequence)
        except (AuditError, OSError) as error:
            self._retention.failed()
            why = reason_of(error) if isinstance(error, OSError) else error.message
            self._add("retention-failed", encode({"reason": why}), bounded=False)


_CLOSED = AuditError("the audit log is closed", "open it again")
_INTERRUPTED = AuditError("a record was interrupted on its way into the log", "open the log again")
