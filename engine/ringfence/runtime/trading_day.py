"""When a trading day starts: a wall-clock time in a time zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ringfence.errors import InputError

__all__ = ["TradingDay"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 1_000_000_000


class TradingDay:
    """Starts of trading days.

    Where the clocks go forward over the time, the day starts as if they had not (02:30 becomes 03:30);
    where they show it twice, at the first. So RFC 5545 has it.

    Args:
        clock_time: Hours and minutes, `HH:MM`.
        zone: Name in the IANA database.

    Raises:
        InputError: there is no such time or zone.
    """

    def __init__(self, clock_time: str = "00:00", zone: str = "UTC") -> None:
        try:
            self._time = time.fromisoformat(clock_time)
            self._zone = ZoneInfo(zone)
        except (ValueError, KeyError, OSError) as error:
            raise InputError(
                f"a trading day cannot start at `{clock_time}` in `{zone}`",
                fix="give HH:MM and a name of the IANA database such as Europe/London",
            ) from error

    def next_start(self, after_ns: int) -> int:
        """The first start later than `after_ns`; both in ns since 1970, UTC."""
        here = (_EPOCH + timedelta(seconds=after_ns // _SECOND_NS)).astimezone(self._zone).date()
        # A day early and late: where the zone leaps over the date line, dates are missing.
        for days in range(-1, 4):
            start = self._start_ns(here + timedelta(days=days))
            if start > after_ns:
                return start
        raise AssertionError("five dates in a row without a start")

    def _start_ns(self, on: date) -> int:
        local = datetime.combine(on, self._time, tzinfo=self._zone)
        since = local.astimezone(UTC) - _EPOCH
        return (since.days * 86_400 + since.seconds) * _SECOND_NS
