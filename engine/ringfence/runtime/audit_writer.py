"""The audit writer: moves the log into databases, each record once, without the log knowing.

One thread a sink: it reads the log, hands on a batch, and notes how far it has come, so that retention keeps
what the sink lacks. Where a sink fails, its thread tries again, at ever longer intervals up to a bound, and asks
the sink first where it stands: a commit whose answer was lost is not done twice. Nothing waits for a sink.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import AuditError, AuditSinkError
from ringfence.runtime.audit_feed import Feed
from ringfence.runtime.audit_head import check_there, newest
from ringfence.runtime.audit_hold import Hold, Noted
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.audit_sink import AuditSink
from ringfence.runtime.metric_table import metric
from ringfence.runtime.metrics import Metric, Sample
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_FILES, Clock, LogFiles

__all__ = ["AuditWriter", "SinkStatus", "WriterSettings"]


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """How a writer paces itself, in seconds.

    Attributes:
        look: How long it waits once it has come to the log's end.
        first_pause, longest_pause: After a failure; each one after it waits twice as long as the one before.
        note: How often at most a hold is written while records flow.
        skip_gap: Go on behind records that are gone from the log before a sink had them, rather than refuse.
    """

    look: float = 0.25
    first_pause: float = 0.25
    longest_pause: float = 10.0
    note: float = 1.0
    skip_gap: bool = False


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How far a sink has come.

    Attributes:
        sink: Its name.
        sequence: The last record that it is known to hold; 0 where there is none.
        lag_records: How many records of the log it lacks.
        lag_seconds: Age of the oldest of them; 0 where there is none.
        records: How many were written since the writer began.
        errors: How many failures there were since, by kind.
        error: The last failure in words; empty once a write has succeeded again.
    """

    sink: str
    sequence: int
    lag_records: int
    lag_seconds: float
    records: int
    errors: dict[str, int]
    error: str


class AuditWriter:
    """Feeds sinks from a log's directory; `start` and `stop`, or a `with` block.

    Args:
        log: The log's directory; another process, or this one, may be writing it.
        sinks: Where records go; their names differ.
        mask: What is hidden from all of them.

    Raises:
        AuditError: two sinks have one name.
    """

    def __init__(
        self,
        log: Path,
        sinks: Sequence[AuditSink],
        *,
        mask: Mask | None = None,
        settings: WriterSettings | None = None,
        clock: Clock = SYSTEM_CLOCK,
        files: LogFiles = SYSTEM_FILES,
    ) -> None:
        names = [sink.name for sink in sinks]
        if len(set(names)) < len(names):
            raise AuditError("two sinks have one name", "give each sink a name of its own")
        self._log, self._clock, self._files = Path(log), clock, files
        self._settings = settings or WriterSettings()
        self._stopping = threading.Event()
        mask = mask or Mask()
        self._lines = [
            _Line(self, Feed(self._log, sink, mask, files=files, skip_gap=self._settings.skip_gap))
            for sink in sinks
        ]

    def start(self) -> "AuditWriter":
        """Begin to write; from here on retention keeps what a sink lacks.

        Raises:
            AuditError: another writer feeds a sink of the same name, or the log's directory cannot be used.
        """
        try:
            for line in self._lines:
                line.hold = Hold(self._log, line.feed.sink.name, files=self._files)
        except AuditError:
            self.stop()
            raise
        for line in self._lines:
            line.thread.start()
        return self

    def stop(self, timeout: float = 10.0) -> None:
        """Stop; what was not written is still in the log.

        Args:
            timeout: Seconds after which a sink that does not answer is left to itself.
        """
        self._stopping.set()
        for line in self._lines:
            if line.thread.is_alive():
                line.feed.sink.interrupt()
        for line in self._lines:
            if line.thread.ident is not None:
                line.thread.join(timeout)
            if not line.thread.is_alive():
                line.close()

    def catch_up(self) -> int:
        """Write what the log holds and no sink has, once, in this thread, without a hold.

        Returns:
            How many records were written, over all sinks.

        Raises:
            AuditError: there is no log, or a sink failed; what was written before stays.
        """
        check_there(self._log, files=self._files)
        before = sum(line.records for line in self._lines)
        try:
            for line in self._lines:
                while line.step():
                    pass
        finally:
            for line in self._lines:
                line.feed.close()
        return sum(line.records for line in self._lines) - before

    def status(self) -> list[SinkStatus]:
        """How far each sink has come; from any thread.

        Raises:
            AuditError: the log cannot be read.
        """
        head = newest(self._log, files=self._files)
        return [
            line.status(*((head.sequence, head.ts_ns) if head else (0, 0))) for line in self._lines
        ]

    def metrics(self) -> Iterable[Metric]:
        """Lag, records and errors of each sink; no lag where the log cannot be read."""
        try:
            head = newest(self._log, files=self._files)
        except AuditError:
            head = None
        found = [
            line.status(*((head.sequence, head.ts_ns) if head else (0, 0))) for line in self._lines
        ]
        by_sink = [({"sink": each.sink}, each) for each in found]
        if head is not None:
            yield metric(
                "ringfence_audit_sink_lag_records",
                (Sample(labels, each.lag_records) for labels, each in by_sink),
            )
            yield metric(
                "ringfence_audit_sink_lag_seconds",
                (Sample(labels, each.lag_seconds) for labels, each in by_sink),
            )
        yield metric(
            "ringfence_audit_sink_ok",
            (Sample(labels, int(not each.error)) for labels, each in by_sink),
        )
        yield metric(
            "ringfence_audit_sink_records",
            (Sample(labels, each.records) for labels, each in by_sink),
        )
        yield metric(
            "ringfence_audit_sink_errors",
            (
                Sample({**labels, "kind": kind}, count)
                for labels, each in by_sink
                for kind, count in sorted(each.errors.items())
            ),
        )
        yield metric(
            "ringfence_audit_sink_write_seconds",
            (Sample({"sink": line.feed.sink.name}, line.feed.took.value()) for line in self._lines),
        )

    def __enter__(self) -> "AuditWriter":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Line:
    """A sink with its thread, its hold and its counts."""

    def __init__(self, writer: AuditWriter, feed: Feed) -> None:
        self.feed = feed
        self.hold: Hold | None = None
        self.records = 0
        self.errors: Counter[str] = Counter()
        self.error = ""
        self._noted_at = -1e9  # of a clock that only measures
        self._writer = writer
        name = f"ringfence-sink-{feed.sink.name}"
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def step(self) -> int:
        count = self.feed.step()
        self.records += count
        return count

    def status(self, newest_record: int, newest_ns: int) -> SinkStatus:
        lag = max(0, newest_record - self._sequence) if newest_record else 0
        since = self.feed.waiting_ns or newest_ns
        age = max(0, self._writer._clock.now_ns() - since) / 1e9 if lag else 0.0
        return SinkStatus(
            self.feed.sink.name,
            self._sequence,
            lag,
            age,
            self.records,
            dict(self.errors),
            self.error,
        )

    def close(self) -> None:
        if self.hold is not None:
            self._note(due=True)
            self.hold.close()
            self.hold = None
        self.feed.close()

    @property
    def _sequence(self) -> int:
        if self.feed.position is not None:
            return self.feed.position.sequence
        return self.hold.noted.sequence if self.hold is not None else 0

    def _run(self) -> None:
        settings, stopping = self._writer._settings, self._writer._stopping
        pause = 0.0
        while not stopping.is_set():
            try:
                count = self.step()
            except Exception as error:  # whatever it is, the records wait in the log
                if stopping.is_set():
                    break
                pause = min(max(2 * pause, settings.first_pause), settings.longest_pause)
                self._failed(error)
                self._note(due=True)
                stopping.wait(pause)
                continue
            pause, self.error = 0.0, ""
            self._note(due=not count)
            # Records that come one by one are gathered: each batch costs a sync, a commit, an open file.
            if not self.feed.more:
                stopping.wait(settings.look)

    def _failed(self, error: Exception) -> None:
        kind = (
            error.kind
            if isinstance(error, AuditSinkError)
            else "log" if isinstance(error, AuditError) else "failed"
        )
        self.errors[kind] += 1
        self.error = error.message if isinstance(error, AuditError) else type(error).__name__
        if self.feed.waiting_ns is None:
            self.feed.waiting_ns = self._oldest_waiting()

    def _oldest_waiting(self) -> int | None:
        reader = AuditReader(self._writer._log, after=self._sequence, files=self._writer._files)
        try:
            found = next(reader.poll_raw(), None)
        except AuditError:
            return None
        return found.ts_ns if found is not None else None

    def _note(self, *, due: bool) -> None:
        """Note how far the sink has come, where that has changed, and not too often while records flow."""
        if self.hold is None:
            return
        old, now = self.hold.noted, time.monotonic()
        if (self._sequence, self.error) == (old.sequence, old.error):
            return
        if not due and now - self._noted_at < self._writer._settings.note:
            return
        self._noted_at = now
        try:
            self.hold.note(
                Noted(
                    old.sink,
                    self._sequence,
                    self.feed.chain or old.chain,
                    self._writer._clock.now_ns(),
                    self.error,
                )
            )
        except AuditError as error:
            # The older note holds more of the log than it must, and is written again later.
            self.errors["log"] += 1
            self.error = error.message
