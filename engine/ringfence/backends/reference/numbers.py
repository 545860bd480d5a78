"""Numbers as every backend must treat them: comparison at the limit, and money in whole quanta.

Money amounts of positions are kept in quanta of a millionth of the currency. Exposures round up,
values of positions round down, so rounding errs towards rejecting; an amount within 2**-48 of a whole
quantum is that quantum, so that float64's last bits make no difference (440 x 0.6110 is 268.84).
Past 2**53 quanta (9.0e9 of the currency) float64 cannot count them one by one: such an amount is unknown.
"""

import math
from collections.abc import Iterable

from ringfence.language.differences import QUANTA, TOLERANCE

__all__ = ["QUANTA", "added", "at_most", "counted", "divide", "quanta_down", "quanta_up"]

COUNTABLE = 2.0**53
NAN = float("nan")


def at_most(left: float, right: float) -> float:
    """1.0 where left <= right, numbers within 2**-48 of each other being equal; NaN if unknown."""
    if not (math.isfinite(left) and math.isfinite(right)):
        return NAN
    if left <= right:
        return 1.0
    return 1.0 if left - right <= TOLERANCE * max(abs(left), abs(right)) else 0.0


def divide(left: float, right: float) -> float:
    """Quotient; unknown where the divisor is zero or either side is not finite."""
    if right == 0 or not (math.isfinite(left) and math.isfinite(right)):
        return NAN
    return left / right


def quanta_up(amount: float) -> float:
    """An amount of money in whole quanta, rounded up."""
    return _snap(amount * QUANTA, math.ceil)


def quanta_down(amount: float) -> float:
    """An amount of money in whole quanta, rounded down."""
    return _snap(amount * QUANTA, math.floor)


def added(amounts: Iterable[float]) -> float:
    """A sum, each amount added to those before it and rounded.

    Not by `sum`, which from Python 3.12 on carries along what rounding loses: past 2**53 quanta that is another
    number than the kernel's, and than that of Python 3.11.
    """
    total = 0.0
    for amount in amounts:
        total += amount
    return total


def counted(quanta: float) -> float:
    """A sum of quanta; unknown where it is too large to be exact."""
    return quanta if abs(quanta) <= COUNTABLE else NAN


def _snap(value: float, rounding) -> float:  # type: ignore[no-untyped-def]  # math.ceil or math.floor
    if not math.isfinite(value) or abs(value) > COUNTABLE:
        return NAN
    nearest = float(round(value))
    if abs(value - nearest) <= TOLERANCE * abs(value):
        return nearest
    return float(rounding(value))
