"""Numbers and times in words: each number with its unit, each time with its zone."""

import math
from datetime import UTC, datetime
from decimal import Decimal

from ringfence.backends.explain.amounts import Words, plain_number
from ringfence.review.explaining.explanation_data import moment

__all__ = [
    "age",
    "amount",
    "bytes_text",
    "counted",
    "iso",
    "number",
    "percent",
    "short_time",
    "utc",
]

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_BYTES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def number(value: float | Decimal | int | None, places: int | None = None) -> str:
    """A number with thousands apart; `unknown` where there is none.

    Args:
        value: The number.
        places: Digits after the point; as many as mean something where not given.
    """
    if value is None or not math.isfinite(value):
        return "unknown"
    if isinstance(value, Decimal):
        return f"{value.normalize():,f}" if places is None else f"{value:,.{places}f}"
    if places is not None:
        return f"{value:,.{places}f}"
    return plain_number(float(value))


def percent(ratio: float | None, places: int = 1) -> str:
    """A ratio as a percentage with its sign."""
    if ratio is None or not math.isfinite(ratio):
        return "unknown"
    return f"{ratio * 100:,.{places}f}%"


def amount(value: float | None, unit: str, currency: str = "") -> str:
    """A value in a unit of the language, such as `4,040,000 USDT`, `95%`, `5s`."""
    return "unknown" if value is None else Words(currency, None).amount(value, unit)


def iso(ns: int) -> str:
    """A time in ns since 1970 for machines."""
    return moment(ns)


def utc(ns: int, places: int = 0) -> str:
    """A time in ns since 1970 for people: `2026-01-31 08:00:00 UTC`.

    Args:
        ns: The time.
        places: Digits of a second, cut and not rounded: 0 or 3.
    """
    try:
        at = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{ns} ns"
    part = f".{ns % 1_000_000_000 // 1_000_000:03d}" if places else ""
    return f"{at:%Y-%m-%d %H:%M:%S}{part} UTC"


def age(seconds: float | None) -> str:
    """A length of time in its two largest units: `3 d 4 h`, `12 s`."""
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    said: list[str] = []
    left = int(seconds)
    for length, name in _UNITS:
        if left >= length and len(said) < 2:
            said.append(f"{left // length} {name}")
            left %= length
        elif said:
            break
    return " ".join(said)


def short_time(seconds: float | None) -> str:
    """A short length of time in the unit that suits it: `16 µs`, `1.3 ms`, `2.1 s`."""
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    for length, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= length:
            return f"{seconds / length:.3g} {name}"
    return f"{seconds * 1e9:.0f} ns"


def counted(count: int, name: str, many: str = "") -> str:
    """How many of something: `1 record`, `2,000 records`; `many` is the plural where it is not the name and an s."""
    return f"{count:,} {name if count == 1 else many or f'{name}s'}"


def bytes_text(count: int) -> str:
    """A number of bytes, with a unit that suits it."""
    for size, name in _BYTES:
        if count >= size:
            return f"{count / size:,.1f} {name}"
    return f"{count:,} bytes"
