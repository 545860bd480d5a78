"""The shared log in Redis: each operation is one script, and one round trip."""

from collections.abc import Mapping
from typing import Any

from ringfence.adapters.state_redis.coding import (
    entry_text,
    event_text,
    first_digest,
    read_entries,
    read_snapshot,
    require_origin,
    snapshot_text,
)
from ringfence.adapters.state_redis.scripts import AFTER, APPEND, FOUND, KEEP_SNAPSHOT, START
from ringfence.adapters.state_redis.settings import RedisSettings
from ringfence.adapters.state_redis.store import RedisStore
from ringfence.runtime.shared_log import (
    Appended,
    Entry,
    Head,
    Start,
    StateLostError,
    StateUnavailableError,
)

__all__ = ["RedisSharedLog"]

# What scripts answer first.
_SETTLES, _LOST, _REFUSED, _ALONE = -2, -1, 0, 2
_GONE = "the shared log does not go on from where this guard stands"


class RedisSharedLog:
    """`SharedLog` in Redis. Safe to use from several threads.

    Args:
        store: Where the server is, as settings or as a store that others use, too; its `namespace` names the
            set of books.
        origin: Names this guard among those that share the books, and after a restart, too.

    Raises:
        InputError: the origin is no name.
    """

    def __init__(self, store: RedisStore | RedisSettings, origin: str) -> None:
        self.origin = require_origin(origin)
        if isinstance(store, RedisSettings):
            store = RedisStore(store)
        self.store = store
        self._quick, self._patient = store.quick, store.patient
        self._keys = tuple(store.settings.key(name) for name in ("log", "entries", "snapshot"))

    def start(self) -> Start | None:
        """As `SharedLog.start`."""
        text = self._patient.run("start", START, self._keys)
        return None if text is None else read_snapshot(text)

    def found(self, state: dict[str, Any], numbers: Mapping[str, int] | None = None) -> Start:
        """As `SharedLog.found`."""
        given = dict(numbers or {})
        start = Start(state, Head(0, first_digest(state, given)), given)
        values = [start.head.digest, snapshot_text(start), self.store.settings.settle_ms]
        for origin, number in given.items():
            values += [require_origin(origin), str(number)]
        text = self._patient.run("found", FOUND, self._keys, values)
        return start if text is None else read_snapshot(text)

    def after(self, known: Head) -> tuple[Entry, ...]:
        """As `SharedLog.after`."""
        answer = self._quick.run("after", AFTER, self._keys, (known.count, known.digest))
        return _entries(known, answer)

    def append(
        self,
        known: Head,
        number: int,
        event: list[Any],
        *,
        only_there: bool,
        origin: str | None = None,
    ) -> Appended:
        """As `SharedLog.append`."""
        name = self.origin if origin is None else require_origin(origin)
        text = event_text(event)
        settle_ms = self.store.settings.settle_ms
        values = (known.count, known.digest, name, number, text, int(only_there), settle_ms)
        answer = self._quick.run("append", APPEND, self._keys, values)
        if answer[0] == _ALONE:
            # The server need not send back what it was sent.
            answer[1] = entry_text(answer[1], number, name, text)
        if answer[0] == _SETTLES:
            self.store.counts.error("settles")
            raise StateUnavailableError(
                "the store was restarted or taken over a moment ago; "
                "until every guard has given back what it may have lost, no order is taken"
            )
        if answer[0] == _REFUSED:
            self.store.counts.conflict()
        return Appended(answer[0] != _REFUSED, _entries(known, answer))

    def last_number(self) -> int:
        """As `SharedLog.last_number`."""
        return self.last_numbers().get(self.origin, 0)

    def last_numbers(self) -> dict[str, int]:
        """As `SharedLog.last_numbers`."""
        fields = self._quick.command("last_numbers", ("HGETALL", self._keys[0]))
        pairs = zip(fields[::2], fields[1::2], strict=True)
        return {
            name.removeprefix(b"origin ").decode(): int(value)
            for name, value in pairs
            if name.startswith(b"origin ")
        }

    def keep_snapshot(self, start: Start) -> None:
        """As `SharedLog.keep_snapshot`."""
        head = start.head
        values = (head.count, head.digest, snapshot_text(start), self.store.settings.kept_entries)
        answer = self._patient.run("keep_snapshot", KEEP_SNAPSHOT, self._keys, values)
        if answer[0] == _LOST:
            raise StateLostError(_GONE)

    def close(self) -> None:
        """Give the connections back; the store stays usable."""
        self.store.close()


def _entries(known: Head, answer: list[Any]) -> tuple[Entry, ...]:
    if answer[0] == _LOST:
        raise StateLostError(_GONE, "begin anew from the latest snapshot")
    return read_entries(known, answer[1:])
