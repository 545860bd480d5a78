"""Numbers and times as the API tells them."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

__all__ = ["moment", "money", "number"]


def moment(at_ns: int) -> str:
    """A time (ns since 1970) as RFC 3339 in UTC, to the nanosecond."""
    seconds, rest = divmod(at_ns, 1_000_000_000)
    return f"{_second(seconds)}.{rest:09d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def number(value: Decimal) -> str:
    """A size or price as plain text, every digit of it."""
    return f"{value:f}"


def money(value: float) -> str | None:
    """An amount or ratio as text that reads back as the same float; None where it is not known."""
    return repr(value) if math.isfinite(value) else None
