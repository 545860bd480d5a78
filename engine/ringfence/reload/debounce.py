"""When to act on changes: once they have stopped, and not later than a bound."""

from dataclasses import dataclass

__all__ = ["Debounce"]


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
