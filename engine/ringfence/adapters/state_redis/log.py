"""The shared log in Redis: each operation is one script, and one round trip."""

from collections.abc import Iterable, Mapping
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
from ringfence.adapters.state_redis.counts import Counts
from ringfence.adapters.state_redis.scripts import AFTER, APPEND, FOUND, KEEP_SNAPSHOT, START
from ringfence.adapters.state_redis.servers import Servers
from ringfence.adapters.state_redis.settings import RedisSettings
from ringfence.adapters.state_redis.setup_check import setup_warnings
from ringfence.runtime.metrics import Metric
from ringfence.runtime.shared_log import Appended, Entry, Head, Start, StateLostError

__all__ = ["RedisSharedLog"]

# What scripts answer first.
_LOST, _REFUSED, _ALONE = -1, 0, 2
_GONE = "the shared log does not go on from where this guard stands"


class RedisSharedLog:
    """`SharedLog` in Redis 7.0 or newer, alone or as a cluster. Safe to use from several threads.

    It connects when it is first asked, and again by itself after a failure.

    Args:
        settings: Where the server is; `settings.namespace` names the set of books.
        origin: Names this guard among those that share the books, and after a restart, too.

    Raises:
        InputError: the origin is no name.
    """

    def __init__(self, settings: RedisSettings, origin: str) -> None:
        self.origin = require_origin(origin)
        self._settings = settings
        self._counts = Counts()
        self._quick = Servers(settings, settings.timeout_ms, self._counts)
        self._patient = Servers(settings, settings.snapshot_timeout_ms, self._counts)
        self._keys = tuple(settings.key(name) for name in ("log", "entries", "snapshot"))

    def start(self) -> Start | None:
        """As `SharedLog.start`."""
        text = self._patient.run("start", START, self._keys)
        return None if text is None else read_snapshot(text)

    def found(self, state: dict[str, Any], numbers: Mapping[str, int] | None = None) -> Start:
        """As `SharedLog.found`."""
        given = dict(numbers or {})
        start = Start(state, Head(0, first_digest(state, given)), given)
        values = [start.head.digest, snapshot_text(start)]
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
        values = (known.count, known.digest, name, number, text, int(only_there))
        answer = self._quick.run("append", APPEND, self._keys, values)
        if answer[0] == _ALONE:
            # The server need not send back what it was sent.
            answer[1] = entry_text(answer[1], number, name, text)
        if answer[0] == _REFUSED:
            self._counts.conflict()
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
        values = (head.count, head.digest, snapshot_text(start), self._settings.kept_entries)
        answer = self._patient.run("keep_snapshot", KEEP_SNAPSHOT, self._keys, values)
        if answer[0] == _LOST:
            raise StateLostError(_GONE)

    def warnings(self) -> tuple[str, ...]:
        """What of the server's settings may lose books, and how to mend it; asks the server.

        Raises:
            StateUnavailableError: it cannot be asked.
        """
        return setup_warnings(self._patient, self._settings)

    def metrics(self) -> Iterable[Metric]:
        """As `runtime.metrics.Source.metrics`."""
        return self._counts.metrics()

    def close(self) -> None:
        """Close the connections."""
        self._quick.close()
        self._patient.close()


def _entries(known: Head, answer: list[Any]) -> tuple[Entry, ...]:
    if answer[0] == _LOST:
        raise StateLostError(_GONE, "begin anew from the latest snapshot")
    return read_entries(known, answer[1:])
