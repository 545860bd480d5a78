"""Gates and decisions as formulas: what passes at a size, what is approved, what is reduced to what."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ringfence.backends.smt.formula import formula, multiplied_fields
from ringfence.backends.smt.inputs import Inputs, Reading, Size
from ringfence.backends.smt.terms import (
    FALSE,
    TRUE,
    Expr,
    Term,
    at_most,
    both,
    either,
    opposite,
)
from ringfence.language import ir
from ringfence.language.canonical import expression_text
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.instruments import convert
from ringfence.language.linking import MANDATORY, Bound, LinkedSet
from ringfence.language.parameters import Money
from ringfence.language.rules import Check, walk

__all__ = ["BoundGate", "GateSet", "bound_gates", "plain_values", "reduce_only_true"]


def plain_values(row: LimitRow, linked: LinkedSet) -> dict[str, Any]:
    """The row's parameters; money in the policy set's currency."""
    return {name: _plain(value, linked) for name, value in row.values.items()}


def _plain(value: Any, linked: LinkedSet) -> Any:
    if isinstance(value, Money):
        rate = convert(linked.desk.fx, value.currency, linked.currency)
        return math.nan if rate is None else value.amount * rate
    return value


@dataclass(frozen=True, slots=True, eq=False)
class BoundGate:
    """A gate with the limits that are in force, and the oldest mark that leaves its book known."""

    gate: Gate
    row: LimitRow
    params: Mapping[str, Any]
    numeric: Mapping[str, float]
    max_age: float

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks that bind: every parameter in their `when` is given."""
        given = self.row.values
        return tuple(
            check for check in self.gate.rule.checks if all(name in given for name in check.when)
        )

    @property
    def reduces(self) -> bool:
        """Whether a breach asks for a smaller size."""
        return self.gate.on_breach == "reduce"

    @property
    def enforced(self) -> bool:
        """Whether it can block; a shadow gate does not."""
        return self.gate.mode == "enforce"

    def reading(self, size: Size) -> Reading:
        """For whom this gate reads its fields."""
        return Reading(self.gate.level, self.params, self.max_age, size)

    def term(self, node: ir.Node, inputs: Inputs, size: Size) -> Term:
        """The value of one of its expressions."""
        reading = self.reading(size)
        return formula(node, lambda name: inputs.read(name, reading), self.numeric)

    def exempt(self, inputs: Inputs, size: Size) -> Expr:
        """Whether the order only reduces risk, which this gate lets through unasked."""
        if self.gate.applies_to != "risk_increasing":
            return FALSE
        return inputs.read("order.risk_reducing", self.reading(size)).value

    def check(self, check: Check, inputs: Inputs, size: Size) -> Term:
        """Whether a check holds; unknown where its measure or its limit is."""
        key = (self, check.name, size)
        if key not in inputs.memo:
            inputs.memo[key] = self._check(check, inputs, size)
        found: Term = inputs.memo[key]
        return found

    def _check(self, check: Check, inputs: Inputs, size: Size) -> Term:
        measure = self.term(check.measure, inputs, size)
        limit = self.term(check.limit, inputs, size)
        left, right = (measure, limit) if check.compare == "<=" else (limit, measure)
        return Term(both(left.known, right.known), at_most(left.value, right.value))

    def passes(self, inputs: Inputs, size: Size) -> Expr:
        """Whether the outcome is `pass` or `exempt`."""
        found = [self.check(each, inputs, size) for each in self.checks]
        hold = both(*(both(each.known, each.value) for each in found)) if found else FALSE
        return either(self.exempt(inputs, size), hold)

    def judges(self, inputs: Inputs, size: Size) -> Expr:
        """Whether the outcome is not `unknown`."""
        found = [self.check(each, inputs, size) for each in self.checks]
        known = both(*(each.known for each in found)) if found else FALSE
        return either(self.exempt(inputs, size), known)

    @property
    def fields(self) -> frozenset[str]:
        """The input fields that its checks read."""
        return frozenset(
            node.name
            for check in self.checks
            for side in (check.measure, check.limit)
            for node in walk(side)
            if isinstance(node, ir.Field)
        )

    @property
    def products(self) -> list[str]:
        """The terms that no linear solver can be sure of, as text."""
        return [
            f"`{expression_text(node)}` in gate `{self.gate.name}`"
            for check in self.checks
            for side in (check.measure, check.limit)
            for node in multiplied_fields(side)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class GateSet:
    """The gates of one policy set that bind an order, with the limits in force at its time.

    `covered` is false where every order is refused for want of a mandatory gate, or of any.
    """

    gates: tuple[BoundGate, ...]
    covered: bool

    @property
    def enforced(self) -> tuple[BoundGate, ...]:
        """The gates that can block."""
        return tuple(each for each in self.gates if each.enforced)

    @property
    def products(self) -> list[str]:
        """As `BoundGate.products`, of all gates that can block."""
        return [text for each in self.enforced for text in each.products]

    def all_pass(self, inputs: Inputs, size: Size) -> Expr:
        """Every enforced gate passes, or lets the order through as one that only reduces risk."""
        if not self.covered:
            return FALSE
        return both(*(each.passes(inputs, size) for each in self.enforced))

    def approves(self, inputs: Inputs, size: Size = Size.ASKED) -> Expr:
        """An order of this size is approved as it is asked."""
        return both(reduce_only_true(inputs), self.all_pass(inputs, size))

    def leaves_open(self, inputs: Inputs) -> Expr:
        """Nothing at the size asked rules out a smaller one: gates that reject pass, the others judge."""
        if not self.covered:
            return FALSE
        parts = [
            each.judges(inputs, Size.ASKED) if each.reduces else each.passes(inputs, Size.ASKED)
            for each in self.enforced
        ]
        return both(reduce_only_true(inputs), *parts)

    def reducing_pass(self, inputs: Inputs, size: Size) -> Expr:
        """Every enforced gate that reduces passes."""
        return both(*(each.passes(inputs, size) for each in self.enforced if each.reduces))

    def reduces(self, inputs: Inputs, size: Size = Size.GIVEN) -> Expr:
        """An order asked at `ASKED` is reduced to `size` (for `GIVEN`, one lot below `NEXT`)."""
        if not any(each.reduces for each in self.enforced):
            return FALSE
        after = Size.NEXT if size is Size.GIVEN else None
        largest = opposite(self.reducing_pass(inputs, after)) if after else TRUE
        return both(
            self.leaves_open(inputs),
            opposite(self.reducing_pass(inputs, Size.ASKED)),
            self.all_pass(inputs, size),
            opposite(inputs.too_small(size)),
            largest,
        )


def reduce_only_true(inputs: Inputs) -> Expr:
    """An order that is flagged reduce-only is so in truth, in its account's book."""
    reading = Reading("account", {}, math.inf, Size.ASKED)
    flag = inputs.read("order.reduce_only", reading).value
    return either(opposite(flag), inputs.read("order.risk_reducing", reading).value)


def bound_gates(
    linked: LinkedSet,
    pairs: Sequence[tuple[Bound, LimitRow]],
    *,
    check_mandatory: bool = True,
    max_age: float | None = None,
) -> GateSet:
    """The gates that bind, ready to be put into formulas.

    Args:
        linked: Their policy set.
        pairs: Each gate with the limits in force.
        check_mandatory: Whether an order without all mandatory gates is refused.
        max_age: Oldest mark in seconds; left out, the smallest that a gate among them asks for.
    """
    fresh = [
        float(row.values[bound.gate.rule.freshness])  # type: ignore[arg-type]  # a duration
        for bound, row in pairs
        if bound.gate.rule.freshness in row.values
    ]
    oldest = min(fresh, default=math.inf) if max_age is None else max_age
    enforced = {bound.gate.rule.name for bound, _ in pairs if bound.gate.mode == "enforce"}
    covered = bool(pairs) and (not check_mandatory or enforced >= set(MANDATORY))
    return GateSet(tuple(_bound_gate(linked, *pair, oldest) for pair in pairs), covered)


def _bound_gate(linked: LinkedSet, bound: Bound, row: LimitRow, max_age: float) -> BoundGate:
    params = plain_values(row, linked)
    declared = bound.gate.rule.parameters.parameters
    numeric = {
        name: (
            float(declared[name].allowed.index(value))
            if isinstance(value, str)
            else float(value) if isinstance(value, int | float) else math.nan
        )
        for name, value in params.items()
    }
    return BoundGate(bound.gate, row, params, numeric, max_age)
