"""Starts of trading days: a wall-clock time in a zone, as nanoseconds since 1970."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ringfence.replay.batches import Times

__all__ = ["DEFAULT_DAY", "TradingDays"]

#: Where no policy says when its day starts.
DEFAULT_DAY = ("00:00", "UTC")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 2**63 - 2
_CHUNK = 64


class TradingDays:
    """The days from the one before a moment on, some at a time.

    A start that the clocks skip is taken as long after the change as it would have been after it was
    due; one that comes twice is taken when it comes first.

    Args:
        day: Time of day (`17:00`) and IANA zone, as a policy's `day` has them.
        moment_ns: Nanoseconds since 1970, UTC; the start of its day is among the first ones.
    """

    def __init__(self, day: tuple[str, str], moment_ns: int) -> None:
        self._time = time.fromisoformat(day[0])
        self._zone = ZoneInfo(day[1])
        moment = _EPOCH + timedelta(microseconds=moment_ns // 1000)
        # A day's start may lie on the date before it; one start more than needed does no harm.
        self._date: date | None = moment.astimezone(self._zone).date() - timedelta(days=2)

    def following(self) -> Times:
        """The next starts in nanoseconds, shape (n,); empty past the year 2262."""
        found: list[int] = []
        while self._date is not None and len(found) < _CHUNK:
            start = datetime.combine(self._date, self._time, self._zone).astimezone(UTC) - _EPOCH
            start_ns = (start.days * 86_400 + start.seconds) * 10**9 + start.microseconds * 1000
            if start_ns > _LATEST:
                self._date = None
                break
            # Numbers below the range belong to the first days that a nanosecond can name.
            found.append(max(start_ns, -_LATEST))
            self._date += timedelta(days=1)
        return np.array(found, np.int64)
