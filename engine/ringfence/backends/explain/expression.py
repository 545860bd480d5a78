"""An expression written out: with names, with numbers, and each step on the way to its value."""

import math
from collections.abc import Callable

from ringfence.backends.explain.amounts import Words
from ringfence.language import ir

__all__ = ["Writer"]

_SIGNS = {"*": "x", "/": "/", "+": "+", "-": "-"}
_LEAVES = (ir.Literal, ir.Choice, ir.Field, ir.Param)
# How tightly each kind binds; what binds less stands in brackets.
_TIGHT = {"+": 1, "-": 1, "*": 2, "/": 2}


class Writer:
    """Writes the expressions of one gate.

    Args:
        value_of: The value of a node.
        words: How amounts are said.
        multiples: Parameters that are multiples (`3x`), not shares.
    """

    def __init__(
        self,
        value_of: Callable[[ir.Node], float],
        words: Words,
        multiples: frozenset[str] = frozenset(),
    ) -> None:
        self.value_of, self._words, self._multiples = value_of, words, multiples

    def value(self, node: ir.Node) -> str:
        """The value of a node, with its unit."""
        value = self.value_of(node)
        if isinstance(node, ir.Param) and node.name in self._multiples and math.isfinite(value):
            return f"{value:.10g}x"
        unit = node.unit
        if unit.kind == "number" and isinstance(node, ir.Literal):
            return f"{value:.10g}"
        return self._words.amount(value, unit.kind, unit.choices)

    def named(self, node: ir.Node) -> str:
        """The expression in names, as a person would say it: `max of equity x equity`."""
        return self._write(node, self._name)

    def numbered(self, node: ir.Node) -> str:
        """The expression with each name replaced by its value."""
        return self._write(node, self.value)

    def written(self, node: ir.Node) -> str:
        """The arithmetic and what comes of it: `95% x 6,000,000 USDT = 5,700,000 USDT`."""
        if isinstance(node, _LEAVES):
            return self.value(node)
        if isinstance(node, ir.Conditional):
            # The steps say which branch was taken.
            return self.value(node)
        return f"{self.numbered(node)} = {self.value(node)}"

    def steps(self, node: ir.Node) -> list[str]:
        """Each step, the innermost first; of a condition the chosen branch alone."""
        match node:
            case ir.Conditional(test=test, then=then, otherwise=other):
                return self._conditional(test, then, other)
            case ir.Logic(values=values):
                return [step for part in self._looked_at(node, values) for step in self.steps(part)]
            case ir.Arithmetic(left=left, right=right) | ir.Compare(left=left, right=right):
                inner = [*self.steps(left), *self.steps(right)]
            case ir.Extreme(values=values):
                inner = [step for part in values for step in self.steps(part)]
            case ir.Negate(value=part) | ir.Absolute(value=part) | ir.Not(value=part):
                inner = self.steps(part)
            case _:
                return []
        return [*inner, self._step(node)]

    def _step(self, node: ir.Node) -> str:
        named, numbered = self.named(node), self.numbered(node)
        joined = "is" if node.unit.kind == "boolean" else "="
        middle = f" = {numbered}" if numbered != named else ""
        return f"{named}{middle} {joined} {self.value(node)}"

    def _conditional(self, test: ir.Node, then: ir.Node, other: ir.Node) -> list[str]:
        said = self.steps(test) if not isinstance(test, _LEAVES) else []
        holds = self.value_of(test)
        if math.isnan(holds):
            return [*said, f"whether {self.named(test)} is not known"]
        chosen = then if holds else other
        whether = f"{self.named(test)} is {'true' if holds else 'false'}"
        inner = [] if isinstance(chosen, _LEAVES) else self.steps(chosen)
        return [*said, *inner, f"{whether}, so what counts is {self.written_name(chosen)}"]

    def written_name(self, node: ir.Node) -> str:
        """A node's name and value; of a literal the value alone."""
        if isinstance(node, ir.Literal | ir.Conditional):
            return self.value(node)
        return f"{self.named(node)} = {self.value(node)}"

    def _looked_at(self, node: ir.Node, values: tuple[ir.Node, ...]) -> list[ir.Node]:
        """The operands up to the one that settles the answer, or that is unknown."""
        settles = 1.0 if isinstance(node, ir.Logic) and node.op == "or" else 0.0
        found: list[ir.Node] = []
        for part in values:
            found.append(part)
            value = self.value_of(part)
            if math.isnan(value) or value == settles:
                break
        return found

    def _name(self, node: ir.Node) -> str:
        match node:
            case ir.Field(name=name):
                return name.partition(".")[2].replace("_", " ")
            case ir.Param(name=name):
                return name.replace("_", " ")
            case ir.Choice(name=name):
                return name
        return self.value(node)

    def _write(self, node: ir.Node, leaf: Callable[[ir.Node], str], above: int = 0) -> str:
        match node:
            case ir.Arithmetic(op=op, left=left, right=right):
                tight = _TIGHT[op]
                # What is subtracted or divided by needs its brackets as well.
                text = f"{self._write(left, leaf, tight)} {_SIGNS[op]} {self._write(right, leaf, tight + 1)}"
                return f"({text})" if tight < above else text
            case ir.Extreme(op=op, values=values):
                return f"{op}({', '.join(self._write(part, leaf) for part in values)})"
            case ir.Compare(op=op, left=left, right=right):
                text = f"{self._write(left, leaf, 1)} {op} {self._write(right, leaf, 1)}"
                return f"({text})" if above else text
            case ir.Logic(op=op, values=values):
                text = f" {op} ".join(self._write(part, leaf, 1) for part in values)
                return f"({text})" if above else text
            case ir.Negate(value=part):
                return f"-{self._write(part, leaf, 3)}"
            case ir.Absolute(value=part):
                return f"abs({self._write(part, leaf)})"
            case ir.Not(value=part):
                return f"not {self._write(part, leaf, 3)}"
            case ir.Conditional() if leaf == self.value:
                # The steps say which branch was taken.
                return leaf(node)
            case ir.Conditional(test=test, then=then, otherwise=other):
                parts = (self._write(then, leaf), self._write(test, leaf), self._write(other, leaf))
                text = f"{parts[0]} if {parts[1]} else {parts[2]}"
                return f"({text})" if above else text
        return leaf(node)
