"""Books that several guards share: a replica that follows one ordered log (`shared_log`).

An order is decided on the replica, and its event is appended only where the log still stands where the
replica does; so no two guards use the same headroom. All else that happens is appended wherever the log stands,
and applied in the log's order. What could not be appended waits, under its number, until it can: while it waits
nothing is decided.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter_ns
from typing import Any

from ringfence.errors import LedgerError, RingfenceError, StateError
from ringfence.language.linking import LinkedSet
from ringfence.runtime.garbage import no_collection
from ringfence.runtime.guard_books import Event, GuardBooks, Remembered
from ringfence.runtime.ledger import trading_day_of
from ringfence.runtime.metric_table import one
from ringfence.runtime.metrics import Metric
from ringfence.runtime.shared_log import (
    Entry,
    Head,
    SharedLog,
    Start,
    StateLostError,
    StateUnavailableError,
)

__all__ = ["SharedBooks"]

_RETRY_NS = 100_000_000
_MILLISECOND = 1_000_000
# Events from one snapshot to the next; more where what a snapshot holds is much, so that each event pays for a few of its
# rows, however many there are.
_SNAPSHOT_EVERY, _SNAPSHOT_ROWS = 5_000, 50_000
# Events that a store may have lost and this guard can give back: whose, their number, and their text, which takes a
# quarter of the memory that they do.
_REMEMBERED = 20_000
_Kept = tuple[str, int, bytes]
_FIRST = Head(0, "")
_COUNTS = ("conflicts", "failures", "rebuilt", "refused")
Build = Callable[[dict[str, Any] | None], GuardBooks]
Told = Callable[[Event], None]


class SharedBooks:
    """The replica of one guard.

    Args:
        log: The store.
        build: Makes books of a snapshot, or fresh ones.
        told: Is called with each event, this guard's and others', in the log's order.
        tries: How often an order may be decided anew.

    Raises:
        StateError: the store cannot be asked, or its books do not fit.
    """

    is_shared = True

    def __init__(self, log: SharedLog, build: Build, told: Told, tries: int) -> None:
        self._log, self._build, self._told, self.tries = log, build, told, tries
        self.books = build(None)
        self._head = _FIRST
        self._numbers: dict[str, int] = {}
        self._own = 0
        # In the order of their numbers; only the first can have been sent.
        self._waiting: deque[tuple[int, Event]] = deque()
        self._awaited, self._result = 0, None
        self._recent: deque[_Kept] = deque(maxlen=_REMEMBERED)
        self._lost: list[_Kept] = []
        self._is_lost, self._now_ns, self._retry_ns = False, 0, 0
        self._snapshot_is_due = False
        # Of a symbol that the policy set does not know, the money is unknown: no snapshot for others.
        self._is_partial = False
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._begin()
        self._own = max(self._numbers.get(log.origin, 0), log.last_number())

    # What a guard asks

    def ready(self, now_ns: int) -> int:
        self._now_ns = now_ns
        if self.is_down(now_ns):
            raise StateUnavailableError("the store did not answer a moment ago")
        if self._is_lost:
            self._begin()
        self._flush()
        if self.books.ledger.day_ends_by(now_ns):
            self._append(["time", now_ns])
        if self._snapshot_is_due:
            self.renew()
        return max(now_ns, self.books.now_ns)

    def advance(self, now_ns: int) -> int:
        return now_ns

    def is_down(self, now_ns: int) -> bool:
        """Whether the store failed a moment ago, so that it is not asked again yet."""
        return now_ns < self._retry_ns

    def current(self) -> bool:
        try:
            entries = self._ask(self._log.after, self._head)
        except StateLostError:
            self._begin()
            return False
        self._follow(entries)
        self._counts["conflicts"] += bool(entries)
        return not entries

    def take_market(self, market: list[Any]) -> None:
        self._append(["mark", self._now_ns, *market])

    def note_market(self, market: list[Any]) -> None:
        """It is in the log already."""
        del market

    def keep_answer(self, client: str, market: list[Any] | None, answer: Remembered) -> bool:
        del market
        event = ["order", answer.at_ns, client, None, *answer.fields]
        try:
            return self._append_here(event)
        except StateUnavailableError as error:
            if error.sent:
                self._end_unheard(answer, client)
            raise
        except RingfenceError:
            raise
        except BaseException:
            # Interrupted, a signal's handler that raises for one: also between the log and the replica.
            self._end_unheard(answer, client)
            raise

    def _end_unheard(self, answer: Remembered, client: str) -> None:
        """End an order that may have arrived: its end takes the same number, and the log takes one of them."""
        self._own += 1
        self._waiting.append((self._own, ["undo", answer.at_ns, answer.decision_id, client]))

    def keep_repeat(self, client: str) -> bool:
        if client in self.books.repeated:
            return self.current()
        event = ["repeat", self._now_ns, client]
        try:
            return self._append_here(event)
        except StateUnavailableError as error:
            if error.sent:
                self._own += 1
                self._waiting.append((self._own, event))
            raise

    def undo(self, order_id: str, client: str) -> None:
        try:
            self._append(["undo", self._now_ns, order_id, client])
        except StateUnavailableError:
            # It waits, and nothing is decided before it was taken.
            return

    def keep(self, event: Event) -> Any:
        return self._append(event)

    def keep_here(self, event: Event) -> bool:
        """Append an event where the log still stands at the replica; False, and nothing was, where it does not.

        Raises:
            StateUnavailableError: nobody knows whether it was; a later look at the books tells.
        """
        try:
            return self._append_here(event)
        except StateUnavailableError:
            # The log takes one event of a number: if this one arrived, the one that only lets time pass does not.
            self._own += 1
            self._waiting.append((self._own, ["time", event[1]]))
            raise

    def renew(self) -> None:
        """Keep a snapshot; none of books that are known in part only."""
        self._snapshot_is_due = False
        if not self._is_partial:
            with no_collection():
                start = Start(self._state(), self._head, dict(self._numbers))
                self._ask(self._log.keep_snapshot, start)

    def adopt(self, linked: LinkedSet) -> None:
        if trading_day_of(linked) != self.books.trading_day:
            raise StateError(
                "guards that share books agree on the trading day",
                fix="end them all, and start them with the new one",
            )
        known = self.books.ledger.arrays.instruments
        for each in linked.desk.instruments.values():
            before = known.get(each.symbol)
            if before is not None and before.lot_step != each.lot_step:
                # What the others are told of is counted in lots.
                raise StateError(
                    f"guards that share books agree on the lot step: of `{each.symbol}` it is {before.lot_step}, "
                    f"and not {each.lot_step}",
                    fix="end them all, and start them with the new one and books of their own",
                )
        self.books.adopt(linked)
        # What was unknown may be known now.
        self._is_lost = self._is_lost or self._is_partial

    def close(self) -> None:
        try:
            if self._is_lost:
                self._begin()
            self._flush()
        except StateUnavailableError as error:
            if self._waiting:
                raise StateError(
                    f"{len(self._waiting)} events were never booked: {error.message}",
                    fix="reconcile every account with its venue",
                ) from error
        finally:
            self.release()

    def release(self) -> None:
        self._log.close()

    def metrics(self) -> Iterable[Metric]:
        for name in _COUNTS:
            yield one(f"ringfence_shared_books_{name}", self._counts[name])
        yield one("ringfence_shared_books_waiting", len(self._waiting))

    # How it is done

    def _ask(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        started = perf_counter_ns()
        try:
            return call(*arguments, **named)
        except StateUnavailableError:
            self._counts["failures"] += 1
            # From the end of what may have been seconds: else whoever waited for the guard meanwhile waits as long again.
            taken = (perf_counter_ns() - started) // _MILLISECOND * _MILLISECOND
            self._retry_ns = self._now_ns + taken + _RETRY_NS
            raise

    def _append_here(self, event: Event) -> bool:
        """Append where the log stands at the replica; False where it does not."""
        if self._waiting:
            # INVARIANT: numbers reach the log in their order; it takes none below its last.
            self._flush()
            return False
        number = self._own + 1
        try:
            found = self._ask(self._log.append, self._head, number, event, only_there=True)
        except StateLostError:
            self._begin()
            return False
        if found.accepted:
            self._own = number
        else:
            self._counts["conflicts"] += 1
        self._follow(found.entries)
        return bool(found.accepted)

    def _append(self, event: Event) -> Any:
        """Append wherever the log stands; the result of applying it."""
        self._now_ns = max(self._now_ns, event[1])
        self._wait_for(event)
        try:
            if self.is_down(self._now_ns):
                raise StateUnavailableError("the store did not answer a moment ago")
            self._awaited, self._result = self._own, None
            if self._is_lost:
                self._begin()
            self._flush()
        except StateUnavailableError as error:
            raise StateUnavailableError(
                "not booked yet, for the store does not answer; it is booked once it does",
                sent=error.sent,
            ) from error
        finally:
            self._awaited = 0
        if isinstance(self._result, LedgerError):
            raise self._result
        return self._result

    def _wait_for(self, event: Event) -> None:
        if event[0] == "mark":
            for at in range(1, len(self._waiting)):
                number, other = self._waiting[at]
                if other[0] == "mark" and other[2] == event[2]:
                    self._waiting[at] = number, event
                    return
        self._own += 1
        self._waiting.append((self._own, event))

    def _flush(self) -> None:
        while self._waiting:
            number, event = self._waiting[0]
            try:
                found = self._ask(self._log.append, self._head, number, event, only_there=False)
            except StateLostError:
                self._begin()
                continue
            self._waiting.popleft()
            self._follow(found.entries, instead=(number, event))

    def _follow(self, entries: Iterable[Entry], instead: tuple[int, Event] | None = None) -> None:
        """Apply what the log holds after the replica; `instead` is what was appended last."""
        for entry in entries:
            try:
                self._take(entry, instead)
            except BaseException:
                # Half of it may have been applied: the next decision reads the books anew.
                self._is_lost = True
                raise

    def _take(self, entry: Entry, instead: tuple[int, Event] | None) -> None:
        result = self._apply(entry.event)
        self._head = entry.head
        self._numbers[entry.origin] = entry.number
        self._recent.append((entry.origin, entry.number, entry.text))
        if entry.origin == self._log.origin:
            if entry.number == self._awaited:
                self._result = result
            self._snapshot_is_due |= entry.head.count % self._snapshot_every == 0
            self._end_what_arrived(entry, instead)
        if isinstance(result, LedgerError):
            self._counts["refused"] += 1
        else:
            self._told(entry.event)

    @property
    def _snapshot_every(self) -> int:
        return _SNAPSHOT_EVERY * (1 + self.books.rows // _SNAPSHOT_ROWS)

    def _end_what_arrived(self, entry: Entry, instead: tuple[int, Event] | None) -> None:
        """An order whose answer was lost had arrived: its end needs a number of its own."""
        if entry.event[0] != "order":
            return
        for number, event in (*self._waiting, *([instead] if instead else [])):
            if number == entry.number and event[0] == "undo":
                self._own += 1
                self._waiting.append((self._own, event))
                return

    def _apply(self, event: Event) -> Any:
        found: Any
        try:
            found = self.books.apply(event)
        except LedgerError as error:
            # Refused by each replica alike: nothing has moved.
            found = error
        arrays = self.books.ledger.arrays
        if len(arrays.symbols) > len(arrays.instruments):
            self._is_partial = True
        return found

    def _begin(self) -> None:
        """Take the store's books, and give back to it what it has lost."""
        self._is_lost = True
        start = self._ask(self._log.start)
        if start is None:
            start = self._ask(self._log.found, self._state(), self._numbers)
        if start.state["day"] != list(self.books.trading_day):
            raise StateError(
                f"the shared books have the trading day {start.state['day']}",
                fix="guards that share books agree on the trading day",
            )
        # Kept until all of it is given back, however often this is begun.
        self._lost += self._recent
        self._recent.clear()
        self.books = self._build(start.state["books"])
        self._numbers, self._head = dict(start.numbers), start.head
        self._is_partial = False
        self._follow(self._ask(self._log.after, self._head))
        for kept in self._lost:
            self._give_back(*kept)
        self._lost, self._is_lost = [], False
        self._counts["rebuilt"] += 1

    def _give_back(self, origin: str, number: int, text: bytes) -> None:
        known = self._numbers.get(origin, 0)
        if number > known + 1:
            raise StateError(
                f"the store has lost more than this guard remembers, before {number} of {origin}",
                fix="restore the store's newest copy, or begin anew and reconcile every account",
            )
        if number == known + 1:
            found = self._ask(
                self._log.append,
                self._head,
                number,
                json.loads(text),
                only_there=False,
                origin=origin,
            )
            self._follow(found.entries)

    def _state(self) -> dict[str, Any]:
        return {"books": self.books.dump(), "day": list(self.books.trading_day)}
