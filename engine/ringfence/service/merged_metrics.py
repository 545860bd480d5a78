"""Metrics of several worker processes as those of one service: one scrape tells all of them.

Each worker connects to a socket of its parent, and tells its metrics when the parent asks, which it does when
Prometheus asks it; before a worker ends it tells them once more. What a worker counted outlives it, so that no
counter goes back: of one that was killed that is what it told last.
"""

import contextlib
import math
import os
import socket
import threading
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

import msgspec

from ringfence.runtime.metric_table import METRICS, metric, one
from ringfence.runtime.metrics import HistogramValue, Metric, Sample, Source

__all__ = ["PARENT", "MergedMetrics", "Publisher", "merged", "read_all"]

#: The parent, in the label `worker`.
PARENT = "parent"
_ASK = b"?"
_Key = tuple[str, tuple[tuple[str, str], ...]]
_Value = float | HistogramValue


def read_all(sources: Iterable[Source], errors: dict[str, int]) -> list[Metric]:
    """What sources tell now. One that fails is counted in `errors`, by its kind, and keeps none of the others back."""
    found: list[Metric] = []
    for source in sources:
        # At zero from the first scrape on: of a series that begins with its first error nobody sees a rise.
        errors.setdefault(type(source).__name__, 0)
        try:
            found += list(source.metrics())
        except Exception:  # whatever it is, the other parts must be seen, now more than ever
            name = type(source).__name__
            errors[name] += 1
    found.append(
        metric(
            "ringfence_metric_source_errors",
            (Sample({"source": name}, count) for name, count in errors.items()),
        )
    )
    return found


class _Told(msgspec.Struct):
    """What a worker tells."""

    worker: str
    metrics: list[Metric]


class Publisher:
    """The end of a worker: tells the metrics of its sources to the parent, whenever that asks.

    Args:
        address: `MergedMetrics.address` of the parent.
        worker: The worker's name among its siblings, as `1`; who follows a worker that ended takes over its name.
        sources: What counts in this process.

    Raises:
        OSError: the parent does not listen.
    """

    def __init__(self, address: str, worker: str, sources: Sequence[Source]) -> None:
        self._worker, self._sources = worker, sources
        self._errors: dict[str, int] = {}
        self._sending = threading.Lock()
        self._connection: Connection[Any, Any] = Client(address, "AF_UNIX")
        # So that the parent knows of the worker, and of what it counted if it is killed at once.
        self._tell()
        self._thread = threading.Thread(target=self._answer, name="ringfence-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tell the last values and let the parent go; call it once nothing counts any more."""
        # The parent may be gone.
        with contextlib.suppress(OSError):
            self._tell()
        _hang_up(self._connection)
        self._thread.join()
        self._connection.close()

    def _answer(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while self._connection.recv_bytes():
                self._tell()

    def _tell(self) -> None:
        told = _Told(self._worker, read_all(self._sources, self._errors))
        with self._sending:
            self._connection.send_bytes(msgspec.msgpack.encode(told))


class _Worker:
    """The parent's end of one worker."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self.connection = connection
        self.told: _Told | None = None
        self.is_asked = False


class MergedMetrics:
    """The parent's end: the metrics of all workers as those of one service; see `runtime.metrics.Source`.

    How values of several workers become one stands in `runtime.metric_table`.

    Args:
        own: What counts in the parent itself; it stands beside the workers as `parent`.
        patience_s: For so long a scrape waits for workers; of those that have not answered by then, it tells what
            they told last.
    """

    def __init__(self, own: Sequence[Source] = (), *, patience_s: float = 1.0) -> None:
        # A name in a directory that only this user can read.
        self._listener = Listener(family="AF_UNIX")
        self._patience_s = patience_s
        self._own, self._errors = own, dict[str, int]()
        self._news = threading.Condition()
        self._workers: list[_Worker] = []
        self._gone: dict[_Key, _Value] = {}
        self._exits = 0
        self._closing = False
        threading.Thread(target=self._accept, name="ringfence-workers", daemon=True).start()

    @property
    def address(self) -> str:
        """Where workers find it."""
        return str(self._listener.address)

    def close(self) -> None:
        """Ask nobody any more, and remove the socket."""
        self._closing = True
        # Closing the listener does not wake the thread that waits for a worker; a call does.
        with contextlib.suppress(OSError):
            Client(self.address, "AF_UNIX").close()
        self._listener.close()
        with self._news:
            for each in self._workers:
                _hang_up(each.connection)

    def metrics(self) -> Iterable[Metric]:
        """As `runtime.metrics.Source.metrics`."""
        with self._news:
            for each in self._workers:
                self._ask(each)
            self._news.wait_for(
                lambda: not any(each.is_asked for each in self._workers), self._patience_s
            )
            told = [each.told for each in self._workers if each.told is not None]
            gone, exits = dict(self._gone), self._exits
        all_told = [(each.worker, each.metrics) for each in told]
        yield from merged([*all_told, (PARENT, read_all(self._own, self._errors))], gone)
        yield one("ringfence_workers", len(told))
        yield one("ringfence_worker_exits", exits)

    def _ask(self, worker: _Worker) -> None:
        """Ask a worker, unless it owes an answer: nobody reads what is sent to one that stands still."""
        if not worker.is_asked:
            with contextlib.suppress(OSError):
                worker.connection.send_bytes(_ASK)
                worker.is_asked = True

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:
                return
            if self._closing:
                connection.close()
                return
            worker = _Worker(connection)
            with self._news:
                self._workers.append(worker)
            threading.Thread(
                target=self._hear, args=(worker,), name="ringfence-worker", daemon=True
            ).start()

    def _hear(self, worker: _Worker) -> None:
        decoder = msgspec.msgpack.Decoder(_Told)
        with contextlib.suppress(OSError, EOFError, msgspec.DecodeError):
            while True:
                told = decoder.decode(worker.connection.recv_bytes())
                with self._news:
                    worker.told, worker.is_asked = told, False
                    self._news.notify_all()
        with self._news:
            self._workers.remove(worker)
            worker.connection.close()
            if worker.told is not None:
                self._exits += 1
                self._gone = _with(self._gone, _counted(worker.told.metrics))
            self._news.notify_all()


def _hang_up(connection: "Connection[Any, Any]") -> None:
    """End a connection; the thread that reads it hears of that, and both ends get what was sent before."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


def merged(
    workers: Sequence[tuple[str, Iterable[Metric]]], gone: dict[_Key, _Value] | None = None
) -> list[Metric]:
    """Metrics of several workers as one list.

    Args:
        workers: The name of each, and what it told.
        gone: What workers counted that have ended, by metric and labels.
    """
    values: dict[_Key, _Value] = dict(gone or {})
    about: dict[str, Metric] = {}
    for worker, told in workers:
        for each in told:
            about.setdefault(each.name, each)
            for sample in each.samples:
                key = _key(each, sample, worker)
                if key in values:
                    values[key] = _together(each, values[key], sample.value)
                else:
                    values[key] = sample.value
    samples: dict[str, list[Sample]] = {name: [] for name in about}
    for (name, labels), value in values.items():
        if name not in about:
            # Of workers that are gone, while none runs.
            about[name] = metric(name, ())
            samples[name] = []
        samples[name].append(Sample(dict(labels), value))
    return [
        Metric(name, each.kind, each.help, tuple(samples[name])) for name, each in about.items()
    ]


def _across(told: Metric) -> str:
    declared = METRICS.get(told.name)
    if declared is not None:
        return declared.across
    return "max" if told.kind == "gauge" else "sum"


def _key(told: Metric, sample: Sample, worker: str) -> _Key:
    own = {"worker": worker} if _across(told) == "each" else {}
    return told.name, tuple(sorted({**sample.labels, **own}.items()))


def _together(told: Metric, left: _Value, right: _Value) -> _Value:
    if isinstance(left, HistogramValue) or isinstance(right, HistogramValue):
        return _summed(left, right)
    way = "sum" if told.kind == "counter" else _across(told)
    if way == "sum":
        return left + right
    # An unknown value of one worker does not hide what another one knows.
    if math.isnan(left):
        return right
    if math.isnan(right):
        return left
    return min(left, right) if way == "min" else max(left, right)


def _summed(left: _Value, right: _Value) -> _Value:
    """Two histograms as one; the latter alone where their bounds differ, as while workers of two versions run."""
    if not (isinstance(left, HistogramValue) and isinstance(right, HistogramValue)):
        return right
    if left.bounds != right.bounds:
        return right
    counts = tuple(ours + theirs for ours, theirs in zip(left.counts, right.counts, strict=True))
    return HistogramValue(left.bounds, counts, left.total + right.total)


def _counted(told: Iterable[Metric]) -> Iterable[tuple[Metric, Sample]]:
    """What must not go back when its worker ends: sums of counters and histograms."""
    for each in told:
        if each.kind != "gauge" and _across(each) == "sum":
            for sample in each.samples:
                yield each, sample


def _with(gone: dict[_Key, _Value], more: Iterable[tuple[Metric, Sample]]) -> dict[_Key, _Value]:
    found = dict(gone)
    for told, sample in more:
        key = _key(told, sample, "")
        found[key] = _together(told, found[key], sample.value) if key in found else sample.value
    return found
