"""Starts of trading days for a replay, some at a time."""

import numpy as np

from ringfence.replay.batches import Times
from ringfence.runtime.trading_day import TradingDay

__all__ = ["DEFAULT_DAY", "TradingDays"]

#: Where no policy says when its day starts.
DEFAULT_DAY = ("00:00", "UTC")

_EARLIEST, _LATEST = -(2**63) + 2, 2**63 - 2
_CHUNK = 64
# Longer than any day, clocks going back included.
_BEFORE_NS = 2 * 86_400 * 10**9


class TradingDays:
    """The days from the one that holds a moment on.

    Args:
        day: Time of day (`17:00`) and IANA zone, as a policy's `day` has them.
        moment_ns: Nanoseconds since 1970, UTC; the start of its day is among the first ones.
    """

    def __init__(self, day: tuple[str, str], moment_ns: int) -> None:
        self._day = TradingDay(*day)
        # One start more than needed does no harm.
        self._latest = max(moment_ns - _BEFORE_NS, _EARLIEST)

    def following(self) -> Times:
        """The next starts in nanoseconds, shape (n,); empty past the year 2262."""
        found: list[int] = []
        while len(found) < _CHUNK:
            start = self._day.next_start(self._latest)
            if start > _LATEST:
                break
            found.append(start)
            self._latest = start
        return np.array(found, np.int64)
