"""Terms: a value together with whether it is known, and arithmetic on them as the language has it.

Numbers are exact reals; that float64 rounds is the one difference from the interpreter. What is constant
is folded here, so that products with a constant stay linear.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import z3

__all__ = [
    "FALSE",
    "TRUE",
    "UNKNOWN",
    "Expr",
    "Term",
    "at_most",
    "both",
    "choose",
    "compare",
    "constant",
    "either",
    "equal",
    "largest",
    "magnitude",
    "minus",
    "opposite",
    "plus",
    "quotient",
    "real",
    "smallest",
    "times",
    "truth",
]

Expr = Any
"""A formula of z3, which carries no types of its own."""

TRUE: Expr = z3.BoolVal(True)
FALSE: Expr = z3.BoolVal(False)
_KEPT = 1 - Fraction(1, 2**48)
"""What is left of a number at the edge of the tolerance: `numbers.at_most` compares by 2**-48."""


@dataclass(frozen=True, slots=True)
class Term:
    """A value that is only meant where `known` holds: a real, or a truth value for booleans."""

    known: Expr
    value: Expr


@lru_cache(maxsize=4096, typed=True)
def real(value: float | Fraction) -> Expr:
    """A finite number; a float64 as the shortest decimal that means it, so that 0.1 is a tenth."""
    exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    return z3.Q(exact.numerator, exact.denominator)


UNKNOWN = Term(FALSE, real(0))


def constant(value: float) -> Term:
    """A number; not finite is unknown."""
    return Term(TRUE, real(value)) if math.isfinite(value) else UNKNOWN


def truth(value: bool) -> Expr:
    """A truth value: always one of the two objects, which are told by identity."""
    return TRUE if value else FALSE


def both(*parts: Expr) -> Expr:
    """All of them, constants folded."""
    left = [each for each in parts if each is not TRUE]
    if any(each is FALSE for each in left):
        return FALSE
    return (left[0] if len(left) == 1 else z3.And(*left)) if left else TRUE


def either(*parts: Expr) -> Expr:
    """Any of them, constants folded."""
    left = [each for each in parts if each is not FALSE]
    if any(each is TRUE for each in left):
        return TRUE
    return (left[0] if len(left) == 1 else z3.Or(*left)) if left else FALSE


def opposite(part: Expr) -> Expr:
    """Not."""
    if part is TRUE:
        return FALSE
    return TRUE if part is FALSE else z3.Not(part)


def choose(test: Expr, then: Expr, other: Expr) -> Expr:
    """`then` where `test` holds, otherwise `other`."""
    if test is TRUE or then.eq(other):
        return then
    return other if test is FALSE else z3.If(test, then, other)


def _fraction(value: Expr) -> Fraction | None:
    return value.as_fraction() if z3.is_rational_value(value) else None


def _branches(value: Expr) -> tuple[Expr, Expr, Expr] | None:
    if z3.is_app_of(value, z3.Z3_OP_ITE):
        test, then, other = value.children()
        return test, then, other
    return None


def _constants_only(value: Expr) -> bool:
    """A number, or a choice between numbers."""
    found = _branches(value)
    if found is None:
        return bool(z3.is_rational_value(value))
    return _constants_only(found[1]) and _constants_only(found[2])


def plus(left: Expr, right: Expr) -> Expr:
    """The sum."""
    one, other = _fraction(left), _fraction(right)
    if one is not None and other is not None:
        return real(one + other)
    if one == 0:
        return right
    return left if other == 0 else left + right


def minus(left: Expr, right: Expr) -> Expr:
    """The difference."""
    return plus(left, times(real(-1), right))


def times(left: Expr, right: Expr) -> Expr:
    """The product; with a choice between constants it is a choice between products, and so linear."""
    for one, other in ((left, right), (right, left)):
        factor = _fraction(one)
        if factor is None:
            continue
        more = _fraction(other)
        if more is not None:
            return real(factor * more)
        if factor == 0:
            return real(0)
        return other if factor == 1 else one * other
    for one, other in ((left, right), (right, left)):
        found = _branches(one)
        if found is not None and _constants_only(one):
            return choose(found[0], times(found[1], other), times(found[2], other))
    return left * right


def quotient(left: Expr, right: Expr) -> Expr:
    """The quotient where the divisor is not zero; linear where it is a choice between constants."""
    divisor = _fraction(right)
    if divisor is not None:
        return times(real(1 / divisor), left) if divisor else real(0)
    found = _branches(right)
    if found is not None and _constants_only(right):
        return choose(found[0], quotient(left, found[1]), quotient(left, found[2]))
    return left / right


def magnitude(value: Expr) -> Expr:
    """The value without its sign."""
    number = _fraction(value)
    if number is not None:
        return real(abs(number))
    return choose(compare(value, real(0)), times(real(-1), value), value)


def compare(left: Expr, right: Expr) -> Expr:
    """Exactly `left <= right`."""
    one, other = _fraction(left), _fraction(right)
    if one is not None and other is not None:
        return truth(one <= other)
    return left <= right


def at_most(left: Expr, right: Expr) -> Expr:
    """`left <= right`, numbers within 2**-48 of each other being equal.

    `left - right <= t * max(|left|, |right|)` for left > right: with right not below zero left is the
    larger, otherwise right is, or the signs differ and neither will do.
    """
    near, far = compare(times(real(_KEPT), left), right), compare(left, times(real(_KEPT), right))
    return choose(compare(real(0), right), near, far)


def equal(left: Expr, right: Expr) -> Expr:
    """Equal within 2**-48."""
    return both(at_most(left, right), at_most(right, left))


def largest(values: Iterable[Expr]) -> Expr:
    """The largest."""
    first, *others = values
    for each in others:
        first = choose(compare(each, first), first, each)
    return first


def smallest(values: Iterable[Expr]) -> Expr:
    """The smallest."""
    first, *others = values
    for each in others:
        first = choose(compare(first, each), first, each)
    return first
