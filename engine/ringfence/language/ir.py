"""The typed expression tree. A node with units that do not fit cannot be built.

Values are float64; a boolean is 1.0 or 0.0; NaN is 'unknown'. Unknown never turns into an answer:
arithmetic, comparisons, `min`, `max`, `and`, `or` and conditions with an unknown (or infinite)
operand are unknown, and a gate whose measure or limit is unknown does not pass. Of a conditional
only the chosen branch counts; `and` and `or` stop at the first operand that settles them.
"""

from dataclasses import dataclass, field

from ringfence.errors import Span
from ringfence.language.fields import FIELDS
from ringfence.language.units import (
    BOOLEAN,
    Unit,
    UnitMismatchError,
    add_units,
    divide_units,
    multiply_units,
)

__all__ = [
    "Absolute",
    "Arithmetic",
    "Choice",
    "Compare",
    "Conditional",
    "Extreme",
    "Field",
    "Literal",
    "Logic",
    "Negate",
    "Node",
    "Not",
    "Param",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Base of all nodes; `span` is where the text stands, left out of equality and hash."""

    span: Span | None = field(default=None, compare=False)

    @property
    def unit(self) -> Unit:
        """Unit of the node's value."""
        raise TypeError("abstract node")


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number, or True/False."""

    value: float
    literal_unit: Unit

    @property
    def unit(self) -> Unit:
        return self.literal_unit


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """A name compared with a choice; its value is the name's place in the list."""

    name: str
    of: Unit

    @property
    def unit(self) -> Unit:
        return self.of


@dataclass(frozen=True, slots=True)
class Field(Node):
    """An input field of the table."""

    name: str

    @property
    def unit(self) -> Unit:
        return FIELDS[self.name].unit


@dataclass(frozen=True, slots=True)
class Param(Node):
    """A parameter of the rule; the gate gives its value."""

    name: str
    param_unit: Unit

    @property
    def unit(self) -> Unit:
        return self.param_unit


@dataclass(frozen=True, slots=True)
class Negate(Node):
    """Minus the value."""

    value: Node

    def __post_init__(self) -> None:
        _numeric(self.value, "negate")

    @property
    def unit(self) -> Unit:
        return self.value.unit


@dataclass(frozen=True, slots=True)
class Absolute(Node):
    """The value without its sign."""

    value: Node

    def __post_init__(self) -> None:
        _numeric(self.value, "take the absolute value of")

    @property
    def unit(self) -> Unit:
        return self.value.unit


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """`left op right` with op one of + - * /; division by zero is unknown."""

    op: str
    left: Node
    right: Node
    result: Unit = field(init=False)

    def __post_init__(self) -> None:
        left, right = self.left.unit, self.right.unit
        if self.op == "*":
            unit = multiply_units(left, right)
        elif self.op == "/":
            unit = divide_units(left, right)
        else:
            unit = add_units(left, right, "add" if self.op == "+" else "subtract")
        object.__setattr__(self, "result", unit)

    @property
    def unit(self) -> Unit:
        return self.result


@dataclass(frozen=True, slots=True)
class Extreme(Node):
    """`min` or `max` of two values or more of one unit."""

    op: str
    values: tuple[Node, ...]
    result: Unit = field(init=False)

    def __post_init__(self) -> None:
        unit = self.values[0].unit
        for value in self.values:
            unit = add_units(unit, value.unit, "compare")
        object.__setattr__(self, "result", unit)

    @property
    def unit(self) -> Unit:
        return self.result


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """`left op right`, op one of < <= > >= == !=; numbers within 2**-48 of each other are equal."""

    op: str
    left: Node
    right: Node

    def __post_init__(self) -> None:
        left, right = self.left.unit, self.right.unit
        if left.kind == "choice" or right.kind == "choice" or left.kind == "boolean":
            if left.kind != right.kind or left.choices != right.choices:
                raise UnitMismatchError(f"cannot compare {left} and {right}")
            if self.op not in ("==", "!="):
                raise UnitMismatchError(f"{left.kind} has no order: use == or !=")
            return
        add_units(left, right, "compare")

    @property
    def unit(self) -> Unit:
        return BOOLEAN


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """`and` or `or` over two booleans or more, from left to right."""

    op: str
    values: tuple[Node, ...]

    def __post_init__(self) -> None:
        for value in self.values:
            _boolean(value)

    @property
    def unit(self) -> Unit:
        return BOOLEAN


@dataclass(frozen=True, slots=True)
class Not(Node):
    """The opposite."""

    value: Node

    def __post_init__(self) -> None:
        _boolean(self.value)

    @property
    def unit(self) -> Unit:
        return BOOLEAN


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`then if test else otherwise`; both branches share one unit."""

    test: Node
    then: Node
    otherwise: Node
    result: Unit = field(init=False)

    def __post_init__(self) -> None:
        _boolean(self.test)
        then, otherwise = self.then.unit, self.otherwise.unit
        same = not then.numeric and then == otherwise
        unit = then if same else add_units(then, otherwise, "choose between")
        object.__setattr__(self, "result", unit)

    @property
    def unit(self) -> Unit:
        return self.result


def _numeric(node: Node, verb: str) -> None:
    if not node.unit.numeric:
        raise UnitMismatchError(f"cannot {verb} {node.unit}")


def _boolean(node: Node) -> None:
    if node.unit.kind != "boolean":
        raise UnitMismatchError(f"needs a condition that is true or false, not {node.unit}")
