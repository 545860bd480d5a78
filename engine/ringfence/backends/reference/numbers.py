"""Numbers as every backend must treat them: comparison at the limit, and money in whole quanta.

Money amounts of positions are kept in quanta of a millionth of the currency. Exposures round up,
values of positions round down, so rounding errs towards rejecting; an amount within 2**-48 of a whole
quantum is that quantum, so that float64's last bits make no difference (440 x 0.6110 is 268.84).
"""

import math

__all__ = ["QUANTA", "at_most", "divide", "quanta_down", "quanta_up"]

QUANTA = 1e6
TOLERANCE = 2.0**-48
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


def _snap(value: float, rounding) -> float:  # type: ignore[no-untyped-def]  # math.ceil or math.floor
    if not math.isfinite(value):
        return NAN
    nearest = float(round(value))
    if abs(value - nearest) <= TOLERANCE * abs(value):
        return nearest
    return float(rounding(value))
