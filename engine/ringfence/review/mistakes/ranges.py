"""What values an expression can take: an interval for each, from what is known of the input fields.

All inputs are taken as known, for a missing one makes a gate not pass whatever its limit, and market data as
sane: no price and no share below zero. The interval may be wider than the values that occur, never narrower,
so that 'always' and 'never' can be trusted.
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from ringfence.language import ir
from ringfence.language.fields import FIELDS, MESSAGES

__all__ = ["LOSS_SHARES", "Range", "field_range", "range_of", "solvent_range"]

Range: TypeAlias = tuple[float, float]
"""The least and the greatest value; either may be infinite."""

_ANY: Range = (-math.inf, math.inf)
_QUANTUM = 1e-6
# An order adds something: a size above zero, money of a millionth or more, one to every count it is in.
_KNOWN: dict[str, Range] = {
    "order.size": (5e-324, math.inf),
    "order.notional": (_QUANTUM, math.inf),
    **dict.fromkeys(MESSAGES, (1.0, math.inf)),
    "book.positions_after": (1.0, math.inf),
    "book.exposure_after": (_QUANTUM, math.inf),
    "book.net_exposure_after": (_QUANTUM, math.inf),
    "book.position_after": (_QUANTUM, math.inf),
    "book.correlated_after": (_QUANTUM, math.inf),
    "book.open_orders_after": (1.0, math.inf),
    "book.open_orders_symbol_after": (1.0, math.inf),
    "market.completeness": (0.0, 1.0),
    # (ask - bid) / mid, both above zero.
    "market.spread": (-2.0, 2.0),
    "control.kill_state": (0.0, 2.0),
}
LOSS_SHARES = ("book.drawdown", "book.day_loss_ratio")
"""Fields that pass 1 only once more is lost than there was."""


def field_range(name: str) -> Range:
    """What a field can be, where it is known."""
    if name in _KNOWN:
        return _KNOWN[name]
    declared = FIELDS[name]
    if declared.unit.kind == "boolean":
        return 0.0, 1.0
    if declared.unit.kind == "choice":
        return 0.0, len(declared.unit.choices) - 1.0
    return (0.0, math.inf) if declared.nonnegative else _ANY


def solvent_range(name: str) -> Range:
    """As `field_range`, of a book that has not lost all it had."""
    return (0.0, 1.0) if name in LOSS_SHARES else field_range(name)


def range_of(
    node: ir.Node,
    params: Mapping[str, float],
    fields: Callable[[str], Range] = field_range,
) -> Range:
    """What values an expression can take.

    Args:
        node: A typed tree.
        params: Values of the numeric parameters; one that is missing may be anything.
        fields: Gives what a field can be.
    """

    def of(part: ir.Node) -> Range:
        return range_of(part, params, fields)

    match node:
        case ir.Literal(value=value):
            return value, value
        case ir.Choice(name=name, of=unit):
            place = float(unit.choices.index(name))
            return place, place
        case ir.Field(name=name):
            return fields(name)
        case ir.Param(name=name):
            return (params[name], params[name]) if name in params else _ANY
        case ir.Negate(value=part):
            low, high = of(part)
            return -high, -low
        case ir.Absolute(value=part):
            low, high = of(part)
            least = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
            return least, max(abs(low), abs(high))
        case ir.Not(value=part):
            low, high = of(part)
            return 1.0 - high, 1.0 - low
        case ir.Arithmetic(op=op, left=left, right=right):
            return _arithmetic(op, of(left), of(right))
        case ir.Extreme(op=op, values=values):
            parts = [of(part) for part in values]
            choose = min if op == "min" else max
            return choose(low for low, _ in parts), choose(high for _, high in parts)
        case ir.Compare(op=op, left=left, right=right):
            return _compare(op, of(left), of(right))
        case ir.Logic(op=op, values=values):
            parts = [of(part) for part in values]
            choose = max if op == "or" else min
            return choose(low for low, _ in parts), choose(high for _, high in parts)
        case ir.Conditional(test=test, then=then, otherwise=other):
            chosen, one, two = of(test), of(then), of(other)
            if chosen == (1.0, 1.0):
                return one
            if chosen == (0.0, 0.0):
                return two
            return min(one[0], two[0]), max(one[1], two[1])
    return _ANY


def _arithmetic(op: str, left: Range, right: Range) -> Range:
    found = _ends(op, left, right)
    # Infinite ends that meet say nothing.
    return _ANY if math.isnan(found[0]) or math.isnan(found[1]) else found


def _ends(op: str, left: Range, right: Range) -> Range:
    match op:
        case "+":
            return left[0] + right[0], left[1] + right[1]
        case "-":
            return left[0] - right[1], left[1] - right[0]
        case "*":
            ends = [_times(one, two) for one in left for two in right]
            return min(ends), max(ends)
    if right[0] <= 0 <= right[1]:
        return _ANY
    ends = [_over(one, two) for one in left for two in right]
    return min(ends), max(ends)


def _times(left: float, right: float) -> float:
    # An end that is infinite stands for values that grow without bound: none of them times 0 is other than 0.
    return 0.0 if left == 0 or right == 0 else left * right


def _over(left: float, right: float) -> float:
    if math.isinf(right):
        # The quotient comes as near to zero as one likes, or is anything.
        return 0.0 if not math.isinf(left) else math.copysign(math.inf, left * right)
    return left / right


def _compare(op: str, left: Range, right: Range) -> Range:
    # Numbers that are nearly equal are equal here, so that only ends that lie clearly apart settle it.
    below = left[1] < right[0] and not _near(left[1], right[0])
    above = left[0] > right[1] and not _near(left[0], right[1])
    always = {"<": below, "<=": below, ">": above, ">=": above, "!=": below or above}
    never = {"<": above, "<=": above, ">": below, ">=": below, "==": below or above}
    if always.get(op):
        return 1.0, 1.0
    return (0.0, 0.0) if never.get(op) else (0.0, 1.0)


def _near(left: float, right: float) -> bool:
    return abs(left - right) <= 2.0**-40 * max(abs(left), abs(right))
