"""Walks an expression tree. Values are float64, booleans 1.0 and 0.0, NaN is 'unknown'."""

import math
from collections.abc import Callable, Iterator, Mapping

from ringfence.backends.reference.numbers import at_most, divide
from ringfence.language import ir

__all__ = ["evaluate"]

NAN = float("nan")
ReadField = Callable[[str], float]


def evaluate(node: ir.Node, read: ReadField, params: Mapping[str, float]) -> float:
    """The value of `node`.

    Args:
        node: A typed tree.
        read: Gives the value of an input field; NaN where missing.
        params: Value of each numeric or choice parameter; NaN where not given.
    """

    def value_of(part: ir.Node) -> float:
        return evaluate(part, read, params)

    match node:
        case ir.Literal(value=value):
            return value
        case ir.Choice(name=name, of=of):
            return float(of.choices.index(name))
        case ir.Field(name=name):
            value = read(name)
            return value if math.isfinite(value) else NAN
        case ir.Param(name=name):
            return params.get(name, NAN)
        case ir.Negate(value=part):
            return -value_of(part)
        case ir.Absolute(value=part):
            return abs(value_of(part))
        case ir.Not(value=part):
            return 1.0 - value_of(part)
        case ir.Arithmetic(op=op, left=left, right=right):
            return _arithmetic(op, value_of(left), value_of(right))
        case ir.Extreme(op=op, values=values):
            found = [value_of(part) for part in values]
            if not all(map(math.isfinite, found)):
                return NAN
            return min(found) if op == "min" else max(found)
        case ir.Compare(op=op, left=left, right=right):
            return _compare(op, value_of(left), value_of(right))
        case ir.Logic(op=op, values=values):
            return _logic(1.0 if op == "or" else 0.0, (value_of(part) for part in values))
        case ir.Conditional(test=test, then=then, otherwise=other):
            chosen = value_of(test)
            if math.isnan(chosen):
                return NAN
            return value_of(then) if chosen else value_of(other)
    raise TypeError(type(node).__name__)


def _arithmetic(op: str, left: float, right: float) -> float:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    return divide(left, right)


def _compare(op: str, left: float, right: float) -> float:
    below, above = at_most(left, right), at_most(right, left)
    if math.isnan(below):
        return NAN
    answers = {
        "<=": below,
        ">=": above,
        "<": 1.0 - above,
        ">": 1.0 - below,
        "==": below * above,
        "!=": 1.0 - below * above,
    }
    return answers[op]


def _logic(settles: float, values: Iterator[float]) -> float:
    """From left to right; stops at an operand that settles the answer, or that is unknown."""
    for value in values:
        if math.isnan(value) or value == settles:
            return value
    return 1.0 - settles
