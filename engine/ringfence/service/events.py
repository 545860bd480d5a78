"""What happens, as it happens: the audit log is followed, and whoever listens is told.

The log is read once for all. It says what happened in one order, with a number for each record, so that a
listener which was away can go on where it stopped. A listener that does not keep up is dropped: its records
would pile up otherwise, and nothing that decides orders ever waits for one.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from sys import intern
from typing import Any

from ringfence.errors import AuditError
from ringfence.runtime.audit_codec import decode
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.audit_head import newest
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader, RawRecord

__all__ = ["Event", "EventHub", "Subscription", "TooManyError"]

#: So many decisions, and so many other records, are kept in memory, and so many bytes of each: a decision of an account
#: with a thousand positions has 180 kB. Older ones are asked of the sink.
KEPT = 10_000
KEPT_BYTES = 64_000_000
# Bytes of a page, which is large enough for malloc to have it from the system alone; larger records lie by themselves.
_PAGE, _LARGE = 1 << 20, 1 << 16
# Records that wait for one listener, and listeners.
_MOST_WAITING = 2_000
MOST_LISTENERS = 100
_GATHER_SECONDS = 0.05
# The same while nobody listens; whoever asks has the log looked at first.
_ALONE_SECONDS = 0.5
_LOOK_SECONDS = 0.1
# The log is read in steps of so many records, some tenths of a millisecond, with pauses: on one core a thread that has
# more to do is not put aside for one that has an order for some milliseconds.
_STEP = 16
_PAUSE_SECONDS = 0.0003
# How far back the log is read when the service starts.
_BEHIND = 20_000


class Event:
    """A record of the log."""

    __slots__ = ("_at", "_page", "kind", "sequence", "size", "ts_ns")

    def __init__(self, record: RawRecord) -> None:
        self.sequence, self.ts_ns, self.kind = record.sequence, record.ts_ns, intern(record.kind)
        self._page: bytes | bytearray = record.body
        self._at, self.size = 0, len(record.body)

    def move(self, page: bytearray, at: int) -> None:
        """Let what was recorded lie in a page, from a place on."""
        page[at : at + self.size] = self._page
        self._page, self._at = page, at

    @property
    def content(self) -> bytes:
        """What was recorded, as JSON."""
        if isinstance(self._page, bytes):
            return self._page
        return bytes(memoryview(self._page)[self._at : self._at + self.size])

    @property
    def body(self) -> dict[str, Any]:
        """What was recorded; read each time, for it takes several times the memory that its text does."""
        found: dict[str, Any] = decode(self.content)
        return found


class TooManyError(Exception):
    """There are listeners enough."""


@dataclass(eq=False)
class Subscription:
    """What one listener is to be told; used in its event loop alone.

    Attributes:
        missed: Records between those it knew and the first that it is told are gone from memory.
        dropped: It did not keep up, and is told nothing more.
    """

    decisions: bool
    loop: asyncio.AbstractEventLoop
    missed: bool = False
    dropped: bool = False
    ended: bool = False
    waiting: deque[Event] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, events: list[Event]) -> None:
        """Take what happened."""
        if self.dropped or self.ended:
            return
        if len(self.waiting) + len(events) > _MOST_WAITING:
            self.dropped = True
            self.waiting.clear()
        else:
            self.waiting.extend(events)
        self._news.set()

    def end(self) -> None:
        """The service stops."""
        self.ended = True
        self._news.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for news; False where there is none for so long."""
        if self.waiting or self.dropped or self.ended:
            return True
        self._news.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
            return True
        return False


class _Newest:
    """The newest records of one sort; all after the number `after`.

    They lie in pages, one behind the other, and a page goes back to the system once its last record has gone. Blocks of their
    own, of many sizes and freed a while later, would leave holes between all that lives on.
    """

    def __init__(self, after: int) -> None:
        self.after = after
        self.events: deque[Event] = deque()
        self._bytes = 0
        self._page, self._used = bytearray(), 0

    def add(self, event: Event) -> None:
        events = self.events
        self._put_away(event)
        events.append(event)
        self._bytes += event.size
        while len(events) > KEPT or (self._bytes > KEPT_BYTES and len(events) > 1):
            gone = events.popleft()
            self._bytes -= gone.size
            self.after = gone.sequence

    def _put_away(self, event: Event) -> None:
        if event.size > _LARGE:
            return
        if self._used + event.size > len(self._page):
            self._page, self._used = bytearray(_PAGE), 0
        event.move(self._page, self._used)
        self._used += event.size


class EventHub:
    """Follows a log, remembers its newest records and tells listeners.

    Args:
        folder: The log's directory.
        log: The log itself: what nobody waited for is written before it is asked for.
        stopping: Set once the service stops: streams end then, for the server waits for them.
    """

    def __init__(self, folder: Path, log: AuditLog, stopping: threading.Event) -> None:
        self._log, self._stopping = log, stopping
        # Held by whoever reads the log; taken before `_lock`, never after it.
        self._reading = threading.Lock()
        self._lock = threading.Lock()
        self._listeners: set[Subscription] = set()
        self._wake, self._closed = threading.Event(), threading.Event()
        last = newest(folder)
        first = max(0, (0 if last is None else last.sequence) - _BEHIND)
        self._decisions, self._others = _Newest(first), _Newest(first)
        self._reader = AuditReader(folder, after=first)
        self._thread = threading.Thread(target=self._follow, name="ringfence-events", daemon=True)

    def start(self) -> None:
        """Follow from now on, in a thread."""
        self._look()
        self._thread.start()

    def end_streams(self) -> None:
        """Tell listeners that it is over: their streams end, so that the server can."""
        with self._lock:
            listeners, self._listeners = self._listeners, set()
        for each in listeners:
            with suppress(RuntimeError):  # its loop has ended before
                each.loop.call_soon_threadsafe(each.end)

    def close(self) -> None:
        """Follow no further."""
        self._closed.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self.end_streams()

    def news(self, _: object) -> None:
        """Something happened: look soon. For `guard.listen`; costs next to nothing."""
        if not self._wake.is_set():
            self._wake.set()

    def look(self) -> None:
        """Take in now what was recorded until now."""
        with suppress(AuditError):  # then what is written has to do
            self._log.wait(self._log.last)
        self._look()

    @property
    def last(self) -> int:
        """Number of the newest record that is known."""
        return self._reader.after

    @property
    def first_decision(self) -> int:
        """From which number on every decision is in memory."""
        with self._lock:
            return self._decisions.after + 1

    def decisions(self, before: int | None) -> list[Event]:
        """Decisions in memory, the newest first; those before a number."""
        with self._lock:
            found = list(self._decisions.events)
        found.reverse()
        return found if before is None else [each for each in found if each.sequence < before]

    def recent(
        self, kind: str, limit: int, test: Callable[[Mapping[str, Any]], bool] | None = None
    ) -> list[Event]:
        """Other records of a kind in memory, the newest first."""
        with self._lock:
            found = list(self._others.events)
        fit = (
            each
            for each in reversed(found)
            if each.kind == kind and (test is None or test(each.body))
        )
        return [each for each, _ in zip(fit, range(limit), strict=False)]

    def subscribe(self, *, decisions: bool, after: int | None) -> Subscription:
        """Listen, in the running event loop, to decisions or to all else.

        Args:
            after: The last record that is known; None for those that are still to come.

        Raises:
            TooManyError: others listen already.
        """
        made = Subscription(decisions, asyncio.get_running_loop(), ended=self._stopping.is_set())
        with self._lock:
            if len(self._listeners) >= MOST_LISTENERS:
                raise TooManyError
            if after is not None:
                kept = self._decisions if decisions else self._others
                missing = [each for each in kept.events if each.sequence > after]
                made.missed = after < kept.after or len(missing) > _MOST_WAITING
                made.waiting.extend(missing[-_MOST_WAITING:])
            self._listeners.add(made)
        return made

    def leave(self, subscription: Subscription) -> None:
        """Listen no more."""
        with self._lock:
            self._listeners.discard(subscription)

    def _follow(self) -> None:
        while not self._closed.is_set():
            if self._wake.wait(_LOOK_SECONDS):
                # Thousands of orders a second are looked at some times a second, and not one by one.
                self._closed.wait(_GATHER_SECONDS if self._listeners else _ALONE_SECONDS)
            self._wake.clear()
            self._look(gently=True)
            if self._stopping.is_set():
                self.end_streams()

    def _look(self, *, gently: bool = False) -> None:
        """Take in what is new; `gently` in small steps, between which whoever decides orders has the processor."""
        with self._reading:
            records = self._records()
            while some := [Event(each) for each in islice(records, _STEP)]:
                self._take(some)
                if gently:
                    self._closed.wait(_PAUSE_SECONDS)

    def _take(self, events: list[Event]) -> None:
        with self._lock:
            for each in events:
                (self._decisions if each.kind == DECISION else self._others).add(each)
            listeners = tuple(self._listeners)
        for listener in listeners:
            news = [each for each in events if (each.kind == DECISION) is listener.decisions]
            if news:
                with suppress(RuntimeError):  # its loop has ended
                    listener.loop.call_soon_threadsafe(listener.put, news)

    def _records(self) -> Iterator[RawRecord]:
        try:
            yield from self._reader.poll_raw()
        except AuditError:
            # The audit's own checks and health tell of it; here the next look goes on.
            return
