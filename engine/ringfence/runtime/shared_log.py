"""What guards that share books need of a store: one ordered log of events, and a snapshot to begin from.

Each guard keeps a replica: it applies the log's events in the log's order, with the function that a restart
uses. A guard decides on its replica and appends only where the log still stands where the replica does
(compare and set); otherwise it takes over what came between, and decides again.

Every event is named by who appended it and that guard's own count, so that an append whose answer was lost is
never booked twice, and events that a store lost are found and appended again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ringfence.errors import StateError

__all__ = [
    "Appended",
    "Entry",
    "Head",
    "SharedLog",
    "Start",
    "StateLostError",
    "StateUnavailableError",
]


class StateUnavailableError(StateError):
    """The store cannot be asked, or did not answer in time.

    `sent`: the request may have reached it, so that an event may be in the log.
    """

    def __init__(self, message: str, fix: str = "", *, sent: bool = False) -> None:
        super().__init__(message, fix)
        self.sent = sent


class StateLostError(StateError):
    """The log does not continue where the replica stands: the store lost events, was emptied, or has
    dropped them after a snapshot. Begin anew from `SharedLog.start`."""


@dataclass(frozen=True, slots=True)
class Head:
    """A place in the log: after `count` events, whose digest, each chained to the one before, is `digest`."""

    count: int
    digest: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the log; `head` is the place after it.

    `origin` names the guard that appended it, `number` is that guard's own count, from 1; `text` is the event as JSON.
    """

    head: Head
    origin: str
    number: int
    event: list[Any]
    text: bytes = field(compare=False)


@dataclass(frozen=True, slots=True)
class Start:
    """The latest snapshot, and the place that it was made at; `numbers` holds each guard's last number until
    then, as far as the one who made the snapshot knew it."""

    state: dict[str, Any]
    head: Head
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Appended:
    """The answer to an append: whether the event is in the log, and every event after the place that was
    known, in order; the appended one is the last of them where `accepted` and not a repetition."""

    accepted: bool
    entries: tuple[Entry, ...]


class SharedLog(Protocol):
    """The store of one set of books. Safe to use from several threads; each call is one round trip.

    Every call raises StateUnavailableError where the store cannot be asked in time.
    """

    origin: str

    def start(self) -> Start | None:
        """The latest snapshot; None where the store holds nothing."""
        ...

    def found(self, state: dict[str, Any], numbers: Mapping[str, int] | None = None) -> Start:
        """Begin a log with this snapshot, where there is none; what is there then, whoever began it.

        Args:
            state: The snapshot.
            numbers: Each guard's last number that is in it; none of them is appended again.
        """
        ...

    def after(self, known: Head) -> tuple[Entry, ...]:
        """Every event after a place, in order.

        Raises:
            StateLostError: the log does not go on from there.
        """
        ...

    def append(
        self,
        known: Head,
        number: int,
        event: list[Any],
        *,
        only_there: bool,
        origin: str | None = None,
    ) -> Appended:
        """Append an event.

        Args:
            known: Where the replica stands.
            number: The guard's own count of this event; one that the log has already is not appended again,
                and answered with `accepted`.
            event: Data for JSON.
            only_there: Append only where the log stands at `known`; otherwise wherever it stands.
            origin: Whose event it is, where it is not this guard's own: one that the store had lost.

        Raises:
            StateLostError: the log does not go on from `known`; nothing was appended.
            StateUnavailableError: besides, with `only_there`, the store may have lost events a moment ago, and waits
                for guards to give them back; facts are taken meanwhile.
        """
        ...

    def last_number(self) -> int:
        """The count of this guard's last event that the log has; 0 where there is none."""
        ...

    def last_numbers(self) -> Mapping[str, int]:
        """The same for every guard of which the log has events."""
        ...

    def keep_snapshot(self, start: Start) -> None:
        """Keep a newer snapshot; events before it may be dropped. An older one changes nothing.

        Raises:
            StateLostError: it was not made at a place of this log; nothing was kept.
        """
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...
