"""A typed expression as a term: the same walk as the reference interpreter's, over terms."""

from collections.abc import Callable, Mapping

from ringfence.backends.smt.terms import (
    TRUE,
    Expr,
    Term,
    at_most,
    both,
    choose,
    constant,
    either,
    equal,
    largest,
    magnitude,
    minus,
    opposite,
    plus,
    quotient,
    real,
    smallest,
    times,
    truth,
)
from ringfence.language import ir

__all__ = ["ReadTerm", "formula", "multiplied_fields"]

ReadTerm = Callable[[str], Term]


def formula(node: ir.Node, read: ReadTerm, params: Mapping[str, float]) -> Term:
    """The value of `node` over all inputs.

    Args:
        node: A typed tree.
        read: Gives the term of an input field.
        params: Value of each numeric or choice parameter; NaN, or left out, where not given.

    Returns:
        A real for numbers and choices (the place in the list), a truth value for booleans.
    """

    def value_of(part: ir.Node) -> Term:
        return formula(part, read, params)

    match node:
        case ir.Literal(value=value):
            if node.unit.kind == "boolean":
                return Term(TRUE, truth(value != 0))
            return constant(value)
        case ir.Choice(name=name, of=of):
            return constant(float(of.choices.index(name)))
        case ir.Field(name=name):
            return read(name)
        case ir.Param(name=name):
            return constant(params.get(name, float("nan")))
        case ir.Negate(value=part):
            inner = value_of(part)
            return Term(inner.known, times(real(-1), inner.value))
        case ir.Absolute(value=part):
            inner = value_of(part)
            return Term(inner.known, magnitude(inner.value))
        case ir.Not(value=part):
            inner = value_of(part)
            return Term(inner.known, opposite(inner.value))
        case ir.Arithmetic(op=op, left=left, right=right):
            return _arithmetic(op, value_of(left), value_of(right))
        case ir.Extreme(op=op, values=values):
            found = [value_of(part) for part in values]
            pick = smallest if op == "min" else largest
            known = both(*(each.known for each in found))
            return Term(known, pick(each.value for each in found))
        case ir.Compare(op=op, left=left, right=right):
            known, value = _compare(op, value_of(left), value_of(right), left.unit.kind)
            return Term(known, value)
        case ir.Logic(op=op, values=values):
            return _logic(op == "or", [value_of(part) for part in values])
        case ir.Conditional(test=test, then=then, otherwise=other):
            return _conditional(value_of(test), value_of(then), value_of(other))
    raise TypeError(type(node).__name__)


def _arithmetic(op: str, left: Term, right: Term) -> Term:
    known = both(left.known, right.known)
    if op == "+":
        return Term(known, plus(left.value, right.value))
    if op == "-":
        return Term(known, minus(left.value, right.value))
    if op == "*":
        return Term(known, times(left.value, right.value))
    divisible = opposite(_is_zero(right.value))
    return Term(both(known, divisible), quotient(left.value, right.value))


def _is_zero(value: Expr) -> Expr:
    return value == real(0) if not value.eq(real(0)) else TRUE


def _compare(op: str, left: Term, right: Term, kind: str) -> tuple[Expr, Expr]:
    known = both(left.known, right.known)
    one, other = left.value, right.value
    if kind == "boolean":
        same = either(both(one, other), both(opposite(one), opposite(other)))
        return known, same if op == "==" else opposite(same)
    if op in ("==", "!="):
        same = equal(one, other)
        return known, same if op == "==" else opposite(same)
    if op in ("<=", ">"):
        below = at_most(one, other)
        return known, below if op == "<=" else opposite(below)
    above = at_most(other, one)
    return known, above if op == ">=" else opposite(above)


def _logic(settles: bool, values: list[Term]) -> Term:
    """From left to right: a value that settles the answer hides what follows, an unknown one does not."""
    result = Term(TRUE, truth(not settles))
    for each in reversed(values):
        if settles:
            known = both(each.known, either(each.value, result.known))
            result = Term(known, either(each.value, result.value))
        else:
            known = both(each.known, either(opposite(each.value), result.known))
            result = Term(known, both(each.value, result.value))
    return result


def _conditional(test: Term, then: Term, other: Term) -> Term:
    known = both(test.known, choose(test.value, then.known, other.known))
    return Term(known, choose(test.value, then.value, other.value))


def multiplied_fields(node: ir.Node) -> list[ir.Node]:
    """Products and quotients of two parts that both hold fields: what makes a formula non-linear."""
    found: list[ir.Node] = []
    match node:
        case ir.Arithmetic(op=op, left=left, right=right):
            if op == "*" and _moves(left) and _moves(right):
                found.append(node)
            if op == "/" and _moves(right):
                found.append(node)
            found += multiplied_fields(left) + multiplied_fields(right)
        case ir.Compare(left=left, right=right):
            found += multiplied_fields(left) + multiplied_fields(right)
        case ir.Negate(value=value) | ir.Absolute(value=value) | ir.Not(value=value):
            found += multiplied_fields(value)
        case ir.Extreme(values=values) | ir.Logic(values=values):
            found += [each for value in values for each in multiplied_fields(value)]
        case ir.Conditional(test=test, then=then, otherwise=other):
            found += [each for part in (test, then, other) for each in multiplied_fields(part)]
    return found


def _moves(node: ir.Node) -> bool:
    """Whether a number depends on a field in another way than by choosing between constants."""
    match node:
        case ir.Field():
            return True
        case ir.Negate(value=value) | ir.Absolute(value=value):
            return _moves(value)
        case ir.Arithmetic(left=left, right=right):
            return _moves(left) or _moves(right)
        case ir.Extreme(values=values):
            return any(map(_moves, values))
        case ir.Conditional(then=then, otherwise=other):
            return _moves(then) or _moves(other)
    return False
