"""Differences of numbers close to each other: what float64 lost in them makes nothing unequal to its limit.

10.05 - 9.95 is 0.10000000000000142, which over 10 is more than 1 %. The numbers themselves are exact to the last
bit; their difference is off by such a bit, which is much where it is small. So differences are taken to the
digit that they can have. Every backend does the same, to the last bit.
"""

import math

__all__ = ["lost", "reaches", "share_of"]

QUANTA = 1e6
DIGITS = 1e15
TOLERANCE = 2.0**-48
NAN = math.nan


def share_of(difference: float, whole: float) -> float:
    """A difference of two prices as a share, to 15 digits after the point; unknown where a number is."""
    if whole == 0 or not (math.isfinite(difference) and math.isfinite(whole)):
        return NAN
    share = difference / whole
    return float(round(share * DIGITS)) / DIGITS if abs(share) < 1 else share


def reaches(value: float, least: float) -> bool:
    """`value >= least`, numbers within 2**-48 of each other being equal; not where either is NaN."""
    return value >= least or least - value <= TOLERANCE * abs(least)


def lost(before: float, now: float, moved: float = 0.0) -> float:
    """`before - (now - moved)`, of money, and never below zero; unknown where a number is.

    It is whole millionths where it lies as close to them as its parts are exact.
    """
    loss = before - (now - moved)
    if not abs(loss) < math.inf:
        return NAN
    if not abs(loss) < 2.0**53 / QUANTA:
        return max(0.0, loss)
    nearest = float(round(loss * QUANTA)) / QUANTA
    off = abs(loss - nearest)
    close = off <= TOLERANCE * max(abs(before), abs(now), abs(moved))
    return max(0.0, nearest if close else loss)
