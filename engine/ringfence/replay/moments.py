"""Times and numbers as a summary's JSON has them."""

import math
from datetime import UTC, datetime

__all__ = ["finite", "iso", "whole_times"]

# 1990: nothing that is replayed is older.
_LIKELY_NS = 631_152_000 * 10**9


def iso(moment_ns: int) -> str:
    """Nanoseconds since 1970 as ISO 8601 in UTC, with as many decimals as carry meaning."""
    seconds, rest = divmod(moment_ns, 10**9)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, ValueError, OSError):
        # Beyond the years that a datetime knows; its edge is the closest that can be said.
        return "9999-12-31T23:59:59Z" if seconds > 0 else "0001-01-01T00:00:00Z"
    if not rest:
        return f"{text}Z"
    # Microseconds are what every reader of ISO 8601 takes.
    decimals = f"{rest:09d}"[:6].rstrip("0")
    return f"{text}.{decimals}Z" if decimals else f"{text}Z"


def finite(value: float) -> float | None:
    """The number, or None where JSON has no word for it."""
    number = float(value)
    return number if math.isfinite(number) else None


def whole_times(units: str, first_ns: int) -> str:
    """What a summary says of times that were whole numbers; of improbable ones, what they may have been meant for."""
    said = f"whole-number times are {units} since 1970, by their magnitude"
    if first_ns >= _LIKELY_NS:
        return said
    return f"{said}: the first is {iso(first_ns)}; write days as 2026-01-31, for 20260131 is no date here"
