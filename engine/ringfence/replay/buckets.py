"""Buckets of time for a series: at most 240, of a round width, without knowing the end beforehand."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MOST", "Buckets"]

MOST = 240

_US, _S, _M, _H, _D = 1_000, 10**9, 60 * 10**9, 3600 * 10**9, 86400 * 10**9
# Each divides the next, so that old buckets merge into new ones without being cut.
_WIDTHS: tuple[int, ...] = (
    *(unit * 10**power for power in range(6) for unit in (_US, 5 * _US)),
    *(_S, 5 * _S, 15 * _S, 30 * _S),
    *(_M, 5 * _M, 15 * _M, 30 * _M),
    *(_H, 3 * _H, 6 * _H, 12 * _H),
    *(_D << power for power in range(24)),
)


class Buckets:
    """Where a time falls; widened as the span grows, which depends on the first and last time alone."""

    def __init__(self) -> None:
        self._level = 0
        self._first: int | None = None
        self._latest = 0

    @property
    def count(self) -> int:
        """Buckets up to the latest time; 0 before the first."""
        return 0 if self._first is None else self._of(self._latest) + 1

    @property
    def width_ns(self) -> int:
        """Width of a bucket in nanoseconds."""
        return _WIDTHS[self._level]

    def start_ns(self, place: int) -> int:
        """When a bucket starts, in nanoseconds since 1970."""
        return ((self._first or 0) // self.width_ns + place) * self.width_ns

    def place(self, moment_ns: int) -> tuple[int, npt.NDArray[Any] | None]:
        """The bucket of a time not before the first.

        Returns:
            The place, and, where the buckets had to be widened for it, the new place of each old one.
        """
        if self._first is None:
            self._first = self._latest = moment_ns
        moved: npt.NDArray[Any] | None = None
        while self._of(moment_ns) >= MOST:
            old = [self.start_ns(place) for place in range(MOST)]
            self._level += 1
            into = np.array([self._of(start) for start in old])
            moved = into if moved is None else into[moved]
        self._latest = max(self._latest, moment_ns)
        return self._of(moment_ns), moved

    def _of(self, moment_ns: int) -> int:
        width = self.width_ns
        return moment_ns // width - (self._first or 0) // width
