"""The branches of an expression, and which of them an evaluation took.

Nothing of it is in the interpreter: the values of the parts are asked from it again, one by one.
"""

import math
from collections.abc import Callable, Iterator, Mapping

from ringfence.backends.reference.interpreter import evaluate
from ringfence.errors import Span
from ringfence.language import ir
from ringfence.language.rules import walk

__all__ = ["branches", "taken"]

SETTLED = {"order.on_lot_step": True}
"""Fields that have one value wherever a gate is asked: an order off the lot step never gets that far."""

ReadField = Callable[[str], float]
Branch = tuple[int, str]
"""A node by its place in the tree, and what comes of it."""


def branches(root: ir.Node) -> Iterator[tuple[Branch, Span | None]]:
    """Every branch that an expression can take, with the place of the part that it belongs to."""
    for place, node in enumerate(walk(root)):
        for label in _labels(node):
            yield (place, label), node.span


def taken(root: ir.Node, read: ReadField, params: Mapping[str, float]) -> Iterator[Branch]:
    """The branches that an evaluation takes; parts that are not evaluated take none.

    Args:
        root: The expression.
        read: Gives the value of a field.
        params: Value of each numeric or choice parameter.
    """
    # By identity: two equal parts of one expression are two places in it.
    places = {id(node): place for place, node in enumerate(walk(root))}

    def value_of(node: ir.Node) -> float:
        return evaluate(node, read, params)

    pending = [root]
    while pending:
        node = pending.pop()
        label = ""
        match node:
            case ir.Conditional(test=test, then=then, otherwise=other):
                holds = value_of(test)
                pending.append(test)
                if not math.isnan(holds):
                    label = "true" if holds else "false"
                    pending.append(then if holds else other)
            case ir.Logic(op=op, values=values):
                label, asked = _settling(op, [value_of(each) for each in values])
                pending.extend(values[:asked])
            case ir.Extreme(op=op, values=values):
                found = [value_of(each) for each in values]
                if all(map(math.isfinite, found)):
                    chosen = min(found) if op == "min" else max(found)
                    label = _nth(found.index(chosen))
                pending.extend(values)
            case ir.Compare(left=left, right=right):
                holds = value_of(node)
                label = "" if math.isnan(holds) else "true" if holds else "false"
                pending += [left, right]
            case ir.Arithmetic(left=left, right=right):
                pending += [left, right]
            case ir.Negate(value=part) | ir.Absolute(value=part) | ir.Not(value=part):
                pending.append(part)
        if label:
            yield places[id(node)], label


def _labels(node: ir.Node) -> list[str]:
    match node:
        case ir.Conditional(test=test):
            settled = _settled(test)
            return ["true", "false"] if settled is None else ["true" if settled else "false"]
        case ir.Compare():
            return ["true", "false"]
        case ir.Logic(values=values):
            return [*(_nth(place) for place in range(len(values))), "none"]
        case ir.Extreme(values=values):
            return [_nth(place) for place in range(len(values))]
    return []


def _settling(op: str, values: list[float]) -> tuple[str, int]:
    """Which operand settled an `and` or `or`, and how many were asked."""
    settles = 1.0 if op == "or" else 0.0
    for place, value in enumerate(values):
        if math.isnan(value):
            return "", place + 1
        if value == settles:
            return _nth(place), place + 1
    return "none", len(values)


def _settled(node: ir.Node) -> bool | None:
    if isinstance(node, ir.Field):
        return SETTLED.get(node.name)
    if isinstance(node, ir.Not):
        inner = _settled(node.value)
        return None if inner is None else not inner
    return None


def _nth(place: int) -> str:
    return f"part {place + 1}"
