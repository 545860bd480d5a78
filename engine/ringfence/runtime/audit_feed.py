"""One sink's way through the log: find where the sink stands, check that it is this log, hand on what follows.

INVARIANT: a record is on the log's disk before a sink gets it. Otherwise a loss of power could leave a sink
with records that the log lost, and whose numbers it gives to others.
"""

from contextlib import suppress
from pathlib import Path
from time import perf_counter

from ringfence.errors import AuditError, AuditSinkError, reason_of
from ringfence.runtime.audit_batches import Batches
from ringfence.runtime.audit_head import chain_of
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import AuditReader, RawRecord
from ringfence.runtime.audit_sink import AuditSink, Position
from ringfence.runtime.metrics import Histogram
from ringfence.runtime.ports import LogFiles

__all__ = ["Feed"]

# Seconds; from a few rows on this machine to a server that has to be waited for.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Feed:
    """Reads a log for one sink; not thread-safe.

    Args:
        log: The log's directory.
        sink: Who gets the records.
        mask: What is hidden from it.
        skip_gap: Go on behind records that are gone from the log, rather than refuse.
    """

    def __init__(
        self, log: Path, sink: AuditSink, mask: Mask, *, files: LogFiles, skip_gap: bool = False
    ) -> None:
        self.sink = sink
        #: Where the sink stands, as far as is known; None before it was asked.
        self.position: Position | None = None
        #: Time of the oldest record that was read and that the sink has not got; None where there is none.
        self.waiting_ns: int | None = None
        #: The last batch was full, so that more may be there already.
        self.more = False
        #: Name of the log; empty before it was read.
        self.chain = ""
        #: Seconds that the sink took for each batch.
        self.took = Histogram(_BOUNDS)
        self._log, self._mask, self._files, self._skip_gap = log, mask, files, skip_gap
        self._batches: Batches | None = None

    def step(self) -> int:
        """Hand on the next batch; returns how many records it had, 0 where the log holds no more.

        After an error the sink is asked anew where it stands.

        Raises:
            AuditError: the log cannot be read, the sink does not take it, or holds what is not in the log.
        """
        try:
            if self._batches is None:
                self._batches = self._attached()
            if self._batches is None or self.position is None:
                return 0
            records, rows, self.more = self._batches.next()
            if not records:
                self.waiting_ns = None
                self.sink.rest()
                return 0
            self.waiting_ns = records[0].ts_ns
            self._follow(records, self.position)
            self._sync(records[-1].segment)
            started = perf_counter()
            try:
                self.sink.write(self.chain, self.position, rows)
            finally:
                self.took.observe(perf_counter() - started)
        except BaseException:
            self._detach()
            # Whatever it was, nobody is kept from the sink meanwhile; a second failure is none to tell of.
            with suppress(AuditSinkError):
                self.sink.rest()
            raise
        self.position = Position(records[-1].sequence, records[-1].hash)
        self.waiting_ns = None
        if not self.more:
            self.sink.rest()
        return len(records)

    def close(self) -> None:
        """Let log and sink go; `step` begins anew."""
        self._detach()
        self.sink.close()

    def _detach(self) -> None:
        batches, self._batches = self._batches, None
        if batches is not None:
            batches.close()

    def _attached(self) -> Batches | None:
        header = chain_of(self._log, files=self._files)
        if header is None:
            return None
        self.chain = header.chain
        self.position = last = self.sink.last(header.chain)
        if self._skip_gap and header.first > last.sequence + 1:
            return self._after(header.first - 1)
        if last.sequence:
            self._compare(last, header.first)
        return self._after(last.sequence)

    def _after(self, sequence: int) -> Batches:
        return Batches(AuditReader(self._log, after=sequence, files=self._files), self._mask)

    def _compare(self, last: Position, first: int) -> None:
        """Refuse a sink that ends with a record which this log does not have."""
        # Where the record itself was dropped, the next one names its hash.
        after = last.sequence if first == last.sequence + 1 else last.sequence - 1
        record = next(AuditReader(self._log, after=after, files=self._files).poll_raw(), None)
        name = self.sink.name
        if record is None:
            if first == last.sequence + 1:
                return
            raise AuditSinkError(
                "conflict",
                f"`{name}` holds records up to {last.sequence}, and the log `{self._log}` ends before that",
                "the log lost its end, or was restored: begin a new log in another directory",
            )
        if last.hash != (record.hash if record.sequence == last.sequence else record.prev):
            raise AuditSinkError(
                "conflict",
                f"`{name}` holds another record {last.sequence} than the log `{self._log}`",
                "it holds records of another log: give this one a database of its own",
            )

    def _follow(self, records: list[RawRecord], last: Position) -> None:
        """Refuse a record that does not name the hash of the one before it."""
        before, digest = last.sequence, last.hash
        for record in records:
            if before and record.sequence == before + 1 and record.prev != digest:
                raise AuditError(
                    f"record {before} of `{self._log}` was changed: record {record.sequence} names another "
                    "hash",
                    f"`ringfence audit verify --log {self._log}` finds all that is wrong with it",
                )
            before, digest = record.sequence, record.hash

    def _sync(self, segment: str) -> None:
        path = self._log / segment
        try:
            # The log syncs each other file itself before it begins the next.
            self._files.sync(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise AuditError(
                f"`{path}` cannot be synced: {reason_of(error)}", "see to the disk of the log"
            ) from None
