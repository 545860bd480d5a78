"""Numbers that people can say: few digits, rounded to the side that is asked for, and written as policies write."""

import math
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from ringfence.language.parameters import DURATIONS, NUMBER, Money, Value

__all__ = ["as_value", "in_style", "number_of", "sayable", "sayable_value"]

#: Digits of a number that is suggested: it overshoots by less than one in a hundred.
DIGITS = 3
# Float64's last bits are no reason for another digit.
_NOISE = Decimal("1e-9")
_WHOLE = ("count",)


def sayable(value: float, *, up: bool, digits: int = DIGITS) -> float:
    """The nearest number of so many digits at or above `value` (or at or below it).

    Raises:
        ValueError: `value` is not finite, or below zero.
    """
    if not math.isfinite(value) or value < 0:
        raise ValueError(value)
    if value == 0:
        return 0.0
    exact = Decimal(repr(float(value)))
    step = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    noise = exact * _NOISE
    moved = exact - noise if up else exact + noise
    whole = (moved / step).to_integral_value(rounding=ROUND_CEILING if up else ROUND_FLOOR)
    return float(whole * step)


def sayable_value(number: float, kind: str, *, up: bool) -> float:
    """A number for a parameter of a type: counts are whole, shares are said in percent."""
    if kind in _WHOLE:
        moved = number - 1e-9 if up else number + 1e-9
        return float(math.ceil(moved) if up else math.floor(moved))
    return sayable(number, up=up)


def number_of(value: Value) -> float | None:
    """The number in a parameter's value; None for names and lists."""
    if isinstance(value, Money):
        return value.amount
    return float(value) if isinstance(value, int | float) else None


def as_value(number: float, like: Value) -> Value:
    """A number as a value of the same type, and the same currency."""
    return Money(number, like.currency) if isinstance(like, Money) else number


def in_style(number: float, value: Value, kind: str, written: str = "") -> str:
    """A number as a policy writes it; in the style of `written`, the text that it replaces, where there is one.

    `4_000_000 USDT` keeps its grouping and currency, `95%` its sign, `250 bps` its unit, `10/s` its window.
    """
    found = re.match(rf"\s*({NUMBER})(.*)", written, re.DOTALL)
    old, rest = (found[1], found[2]) if found else ("", "")
    unit = rest.strip()
    if isinstance(value, Money):
        grouped = "_" in old or (not old and abs(number) >= 10_000)
        return f"{_digits(number, grouped)}{rest or f' {value.currency}'}"
    if kind == "ratio" or (kind == "multiple" and unit == "%"):
        if unit in ("bps", "bp"):
            return f"{_digits(number * 10_000, '_' in old)}{rest}"
        if unit == "%" or not old:
            return f"{_digits(number * 100, '_' in old)}{rest or '%'}"
        # A bare number above 1 is refused, and a bare 1 could mean 1 %.
        bare = _digits(number, False)
        if number > 1:
            return f"{_digits(number * 100, False)}%"
        return bare if "." in bare else f"{bare}.0"
    if kind == "multiple":
        return f"{_digits(number, '_' in old)}{rest or ('x' if not old else '')}"
    if kind == "duration":
        seconds = DURATIONS.get(unit, 1.0)
        return f"{_digits(number / seconds, '_' in old)}{rest or 's'}"
    return f"{_digits(number, '_' in old or (not old and abs(number) >= 10_000))}{rest}"


def _digits(number: float, grouped: bool) -> str:
    exact = Decimal(f"{number:.12g}")
    # Decimals have no grouping but that by commas.
    return f"{exact:,f}".replace(",", "_") if grouped else f"{exact:f}"
