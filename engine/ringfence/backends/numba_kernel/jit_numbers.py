"""Numbers as the reference treats them, compiled: comparison at the limit, quanta, three-valued logic."""

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import intrinsic

__all__ = [
    "and_",
    "counted",
    "divide",
    "equal",
    "fin",
    "if_",
    "larger",
    "less",
    "less_equal",
    "lost",
    "lower",
    "money_of",
    "natural",
    "nearer",
    "not_",
    "or_",
    "outcome_of",
    "quanta_down",
    "quanta_up",
    "reaches",
    "share_of",
    "usable",
]

QUANTA = 1e6
COUNTABLE = 2.0**53
DIGITS = 1e15
TOLERANCE = 2.0**-48
NAN = np.nan

# No array is made in compiled code, so none is counted: that halves what LLVM must read.
inline = njit(forceinline=True, error_model="numpy", nogil=True, _nrt=False)
plain = njit(error_model="numpy", nogil=True, _nrt=False)


@inline
def natural(place):
    """A place in an array, as never below zero: numba then leaves out counting from the end."""
    return place & np.int64(0x7FFFFFFFFFFFFFFF)


@inline
def fin(value):
    """The value of a field: unknown where it is not finite."""
    return value if abs(value) < np.inf else NAN


@inline
def usable(price):
    return price > 0.0 and price < np.inf


@inline
def quanta_up(amount):
    value = amount * QUANTA
    nearest = np.rint(value)
    off = value - nearest
    above = nearest + 1.0 if off > 0.0 else nearest
    found = nearest if abs(off) <= TOLERANCE * abs(value) else above
    return found if abs(value) <= COUNTABLE else NAN


@inline
def quanta_down(amount):
    value = amount * QUANTA
    nearest = np.rint(value)
    off = value - nearest
    below = nearest - 1.0 if off < 0.0 else nearest
    found = nearest if abs(off) <= TOLERANCE * abs(value) else below
    return found if abs(value) <= COUNTABLE else NAN


@inline
def counted(quanta):
    return quanta if abs(quanta) <= COUNTABLE else NAN


@intrinsic
def _fused(typing_context, left, right, plus):
    """`left * right + plus`, rounded once."""

    def codegen(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), codegen


@inline
def money_of(quanta):
    """`quanta / QUANTA` to the last bit, without a division, which takes thrice as long.

    By Markstein's theorem: 1e-6 is the reciprocal to the nearest double, the first product lies within one
    unit in the last place, so the product with what it lacks added is the quotient to the nearest double.
    (P. W. Markstein, Computation of elementary functions on the IBM RISC System/6000 processor, 1990.)
    """
    about = quanta * 1e-6
    found = _fused(_fused(-about, QUANTA, quanta), 1e-6, about)
    # Zero keeps its sign.
    return found if found != 0.0 else about


@inline
def divide(left, right):
    if right == 0.0 or not (abs(left) < np.inf and abs(right) < np.inf):
        return NAN
    return left / right


@inline
def share_of(difference, whole):
    """`differences.share_of`: a difference of two prices as a share."""
    share = divide(difference, whole)
    # A zero has no sign.
    return np.rint(share * DIGITS) / DIGITS + 0.0 if abs(share) < 1.0 else share


@inline
def lost(before, now, moved):
    """`differences.lost`: `before - (now - moved)`, of money, and never below zero."""
    loss = before - (now - moved)
    if not abs(loss) < np.inf:
        return NAN
    if not abs(loss) < COUNTABLE / QUANTA:
        return max(0.0, loss)
    nearest = np.rint(loss * QUANTA) / QUANTA
    close = abs(loss - nearest) <= TOLERANCE * max(abs(before), max(abs(now), abs(moved)))
    return max(0.0, nearest if close else loss)


@inline
def reaches(value, least):
    """`differences.reaches`: `value >= least`, or equal to it."""
    return value >= least or least - value <= TOLERANCE * abs(least)


@inline
def less_equal(left, right):
    if not (abs(left) < np.inf and abs(right) < np.inf):
        return NAN
    if left <= right:
        return 1.0
    return 1.0 if left - right <= TOLERANCE * max(abs(left), abs(right)) else 0.0


@inline
def less(left, right):
    return 1.0 - less_equal(right, left)


@inline
def equal(left, right):
    return less_equal(left, right) * less_equal(right, left)


@inline
def larger(left, right):
    """`max`; unknown where either side is."""
    if not (abs(left) < np.inf and abs(right) < np.inf):
        return NAN
    return right if right > left else left


@inline
def lower(left, right):
    """`min`; unknown where either side is."""
    if not (abs(left) < np.inf and abs(right) < np.inf):
        return NAN
    return right if right < left else left


@inline
def and_(left, right):
    return left if left != left or left == 0.0 else right


@inline
def or_(left, right):
    return left if left != left or left == 1.0 else right


@inline
def not_(value):
    return 1.0 - value


@inline
def if_(test, then, otherwise):
    if test != test:
        return NAN
    return then if test != 0.0 else otherwise


@inline
def outcome_of(left, right):
    """1 pass, 3 breach, 5 unknown for the check `left <= right`."""
    # `&` and `|` take no branch: what an order's numbers decide, no processor foresees.
    known = (abs(left) < np.inf) & (abs(right) < np.inf)
    holds = (left <= right) | (left - right <= TOLERANCE * max(abs(left), abs(right)))
    return (1 if holds else 3) if known else 5


@inline
def nearer(measure, limit, other_measure, other_limit):
    """Whether a measure is nearer its limit than another, in shares of the limits.

    Multiplied out, so that nothing is divided. Where there is no share (no limit above zero, no known
    measure) it counts as zero.
    """
    shares = (limit > 0.0) & (abs(measure) < np.inf)
    other_shares = (other_limit > 0.0) & (abs(other_measure) < np.inf)
    part, whole = (measure, limit) if shares else (0.0, 1.0)
    other_part, other_whole = (other_measure, other_limit) if other_shares else (0.0, 1.0)
    return part * other_whole > other_part * whole
