"""Does a measure rise with the order's size? Needed before a gate may reduce.

Every node gets a direction in the size (constant, rising, falling, either) and what is known of its
sign. A gate may reduce only where `limit - measure` never rises with the size (for `<=`): then 'the
largest size that passes' is one number, and each smaller size passes too.
"""

from enum import Enum

from ringfence.language import ir
from ringfence.language.fields import FIELDS

__all__ = ["Slope", "slope"]


class Slope(Enum):
    """How a value moves as the order's size grows."""

    CONSTANT = 0
    RISING = 1
    FALLING = 2
    EITHER = 3

    def flipped(self) -> "Slope":
        """The slope of minus the value."""
        swap = {Slope.RISING: Slope.FALLING, Slope.FALLING: Slope.RISING}
        return swap.get(self, self)


def slope(node: ir.Node, positive_params: frozenset[str] = frozenset()) -> Slope:
    """Direction of `node` as the order's size grows; parameters count as not negative if named."""
    match node:
        case ir.Field(name=name):
            if name in ("order.risk_reducing", "order.full_close", "order.on_lot_step"):
                return Slope.EITHER
            return Slope.RISING if FIELDS[name].rises else Slope.CONSTANT
        case ir.Literal() | ir.Param() | ir.Choice():
            return Slope.CONSTANT
        case ir.Negate(value=value):
            return slope(value, positive_params).flipped()
        case ir.Arithmetic():
            return _arithmetic(node, positive_params)
        case ir.Extreme(values=values):
            return _join(*(slope(value, positive_params) for value in values))
        case ir.Absolute(value=value):
            inner = slope(value, positive_params)
            return inner if _nonnegative(value, positive_params) else _unless_constant(inner)
        case ir.Conditional(test=test, then=then, otherwise=other):
            if slope(test, positive_params) is not Slope.CONSTANT:
                return Slope.EITHER
            return _join(slope(then, positive_params), slope(other, positive_params))
        case ir.Compare(left=left, right=right):
            return _unless_constant(
                _join(slope(left, positive_params), slope(right, positive_params))
            )
        case ir.Logic(values=values):
            return _unless_constant(_join(*(slope(value, positive_params) for value in values)))
        case ir.Not(value=value):
            return _unless_constant(slope(value, positive_params))
    return Slope.EITHER


def _arithmetic(node: ir.Arithmetic, params: frozenset[str]) -> Slope:
    left, right = slope(node.left, params), slope(node.right, params)
    if node.op == "+":
        return _join(left, right)
    if node.op == "-":
        return _join(left, right.flipped())
    if left is right is Slope.CONSTANT:
        return Slope.CONSTANT
    if node.op == "/":
        return (
            left if right is Slope.CONSTANT and _nonnegative(node.right, params) else Slope.EITHER
        )
    if _nonnegative(node.left, params) and _nonnegative(node.right, params):
        return _join(left, right)
    return Slope.EITHER


def _nonnegative(node: ir.Node, params: frozenset[str]) -> bool:
    match node:
        case ir.Field(name=name):
            return FIELDS[name].nonnegative
        case ir.Literal(value=value):
            return value >= 0
        case ir.Param(name=name):
            return name in params
        case ir.Absolute():
            return True
        case ir.Arithmetic(op=op, left=left, right=right) if op != "-":
            return _nonnegative(left, params) and _nonnegative(right, params)
        case ir.Extreme(op="max", values=values):
            return any(_nonnegative(value, params) for value in values)
        case ir.Extreme(values=values):
            return all(_nonnegative(value, params) for value in values)
        case ir.Conditional(then=then, otherwise=other):
            return _nonnegative(then, params) and _nonnegative(other, params)
    return False


def _join(*slopes: Slope) -> Slope:
    moving = {part for part in slopes if part is not Slope.CONSTANT}
    if not moving:
        return Slope.CONSTANT
    return moving.pop() if len(moving) == 1 else Slope.EITHER


def _unless_constant(inner: Slope) -> Slope:
    return Slope.CONSTANT if inner is Slope.CONSTANT else Slope.EITHER
