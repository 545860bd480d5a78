"""When to look: once changes have stopped, again where it may pass later, and now and then in any case."""

from dataclasses import dataclass
from typing import Literal

from ringfence.reload.settings import ReloadSettings

__all__ = ["Debounce", "Due", "Pace"]

Due = Literal["changed", "retry", "poll"]
# How often the source and requests are looked at where the system does not tell of changes.
_UNTOLD_NS = 1_000_000_000


@dataclass(slots=True)
class Debounce:
    """Tells when a burst of changes is over.

    Attributes:
        quiet_ns: So long nothing must have changed.
        most_ns: So long after the first change of a burst it is over in any case.
    """

    quiet_ns: int
    most_ns: int
    _first: int | None = None
    _last: int = 0

    def note(self, now_ns: int) -> None:
        """Something changed."""
        if self._first is None:
            self._first = now_ns
        self._last = now_ns

    @property
    def due_ns(self) -> int | None:
        """When to act; None where nothing changed."""
        if self._first is None:
            return None
        return min(self._last + self.quiet_ns, self._first + self.most_ns)

    def clear(self) -> None:
        """Act; what changes from now on is a new burst."""
        self._first = None


class Pace:
    """When to look at a source next; times are of one clock that never goes back, in ns."""

    def __init__(self, settings: ReloadSettings) -> None:
        self._settings = settings
        self._debounce = Debounce(settings.debounce_ns, settings.debounce_most_ns)
        self._poll_at = 0
        self._retry_at: int | None = None
        self._retry_ns = settings.retry_ns

    def note(self, now_ns: int) -> None:
        """Something changed, or was found that may still change."""
        self._debounce.note(now_ns)

    def looked(self, now_ns: int, *, told: bool) -> None:
        """The source was looked at; `told` where the system tells of changes."""
        poll_ns = self._settings.poll_ns
        self._poll_at = now_ns + (poll_ns if told else min(poll_ns, _UNTOLD_NS))

    def ended(self, now_ns: int, *, may_pass_later: bool) -> None:
        """A look came to an end; where it failed, but need not again, it is tried again, ever more rarely."""
        if may_pass_later:
            self._retry_at = now_ns + self._retry_ns
            self._retry_ns = min(2 * self._retry_ns, self._settings.retry_most_ns)
        else:
            self._retry_at, self._retry_ns = None, self._settings.retry_ns

    @property
    def next_ns(self) -> int:
        """When something is due."""
        moments = (self._debounce.due_ns, self._retry_at, self._poll_at)
        return min(each for each in moments if each is not None)

    def take(self, now_ns: int) -> Due | None:
        """What is due; it is not any more."""
        due = self._debounce.due_ns
        if due is not None and due <= now_ns:
            self._debounce.clear()
            return "changed"
        if self._retry_at is not None and self._retry_at <= now_ns:
            self._retry_at = None
            return "retry"
        if self._poll_at <= now_ns:
            self._poll_at = now_ns + self._settings.poll_ns
            return "poll"
        return None
