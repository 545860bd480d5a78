"""A shared log in memory, which can fail as a real store does: before an append, after it, and by losing events."""

import copy
import hashlib
import json
import threading
from collections.abc import Mapping
from typing import Any

from ringfence.runtime.shared_log import (
    Appended,
    Entry,
    Head,
    Start,
    StateLostError,
    StateUnavailableError,
)


class Store:
    """What all logs share."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.entries: list[Entry] = []
        self.numbers: dict[str, int] = {}
        self.snapshot: Start | None = None

    def head(self) -> Head:
        if self.entries:
            return self.entries[-1].head
        return Head(0, "") if self.snapshot is None else self.snapshot.head

    def lose(self, count: int) -> None:
        """Forget the last events, as a server without a disk does when it restarts from an older copy."""
        for _ in range(count):
            gone = self.entries.pop()
            self.numbers[gone.origin] = gone.number - 1

    def lose_all(self) -> None:
        self.entries, self.numbers, self.snapshot = [], {}, None


class MemoryLog:
    """One guard's way to the store; `broken` is `before` or `after` an append, or `down` for every call."""

    def __init__(self, store: Store, origin: str) -> None:
        self.store, self.origin, self.broken = store, origin, ""
        self.calls = 0

    def start(self) -> Start | None:
        self._check()
        return copy.deepcopy(self.store.snapshot)

    def found(self, state: dict[str, Any], numbers: Mapping[str, int] | None = None) -> Start:
        self._check()
        with self.store.lock:
            if self.store.snapshot is None:
                text = json.dumps([state, numbers])
                head = Head(0, hashlib.sha1(text.encode()).hexdigest())
                self.store.snapshot = Start(json.loads(text)[0], head, dict(numbers or {}))
                self.store.numbers = dict(numbers or {})
            return copy.deepcopy(self.store.snapshot)

    def after(self, known: Head) -> tuple[Entry, ...]:
        self._check()
        with self.store.lock:
            return self._after(known)

    def append(
        self,
        known: Head,
        number: int,
        event: list[Any],
        *,
        only_there: bool,
        origin: str | None = None,
    ) -> Appended:
        self._check()
        if self.broken == "before":
            raise StateUnavailableError("lost on the way", sent=True)
        store, who = self.store, origin or self.origin
        with store.lock:
            between = self._after(known)
            if number <= store.numbers.get(who, 0):
                return Appended(True, between)
            if only_there and between:
                return Appended(False, between)
            text = json.dumps([store.head().digest, who, number, event])
            head = Head(store.head().count + 1, hashlib.sha1(text.encode()).hexdigest())
            kept = json.dumps(event).encode()
            entry = Entry(head, who, number, json.loads(kept), kept)
            store.entries.append(entry)
            store.numbers[who] = number
        if self.broken == "after":
            raise StateUnavailableError("the answer was lost", sent=True)
        return Appended(True, (*between, entry))

    def last_number(self) -> int:
        self._check()
        return self.store.numbers.get(self.origin, 0)

    def last_numbers(self) -> dict[str, int]:
        self._check()
        return dict(self.store.numbers)

    def keep_snapshot(self, start: Start) -> None:
        self._check()
        with self.store.lock:
            if self.store.snapshot is None or start.head.count > self.store.snapshot.head.count:
                state = json.loads(json.dumps(start.state))
                self.store.snapshot = Start(state, start.head, start.numbers)
                self.store.entries = [
                    each for each in self.store.entries if each.head.count > start.head.count
                ]

    def close(self) -> None:
        self.broken = "down"

    def _check(self) -> None:
        self.calls += 1
        if self.broken == "down":
            raise StateUnavailableError("nobody answers")

    def _after(self, known: Head) -> tuple[Entry, ...]:
        store = self.store
        first = Head(0, "") if store.snapshot is None else store.snapshot.head
        places = [first, *(each.head for each in store.entries)]
        if known not in places:
            raise StateLostError("the log does not go on from there")
        return tuple(copy.deepcopy(store.entries[places.index(known) :]))
