"""Invariants as formulas: the orders, books and markets in which one is broken."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ringfence.backends.smt.formula import formula, multiplied_fields
from ringfence.backends.smt.gates import BoundGate, GateSet, reduce_only_true
from ringfence.backends.smt.inputs import Inputs, Reading, Size
from ringfence.backends.smt.terms import (
    FALSE,
    Expr,
    Term,
    at_most,
    both,
    constant,
    either,
    opposite,
    times,
)
from ringfence.errors import Span
from ringfence.language import ir
from ringfence.language.canonical import expression_text
from ringfence.language.invariants import EXPOSURE_RULE, Invariant
from ringfence.language.linking import LinkedSet
from ringfence.language.rules import walk

__all__ = ["Blame", "Claim", "Decisions", "blamed"]


@dataclass(frozen=True, slots=True)
class Blame:
    """A term that the solver cannot be sure of, and where it stands."""

    text: str
    span: Span | None
    gate: str = ""


class Decisions:
    """What is approved and what is reduced, for the orders of one cell: formulas that claims share.

    Args:
        linked: The policy set.
        gates: Its gates that bind these orders.
        inputs: What the formulas read.
    """

    def __init__(self, linked: LinkedSet, gates: GateSet, inputs: Inputs) -> None:
        self.linked, self.gates, self.inputs = linked, gates, inputs
        ages = [each.max_age for each in gates.gates]
        self.max_age = min(ages, default=float("inf"))
        self._holds: dict[tuple[BoundGate, Size], Expr] = {}

    def over(self, inputs: Inputs) -> "Decisions":
        """The same gates over other inputs."""
        return Decisions(self.linked, self.gates, inputs)

    @cached_property
    def approved(self) -> Expr:
        """The order is approved as it is asked."""
        passing = [self.holds(each, Size.ASKED) for each in self.gates.enforced]
        return both(reduce_only_true(self.inputs), *passing) if self.gates.covered else FALSE

    @cached_property
    def reduced(self) -> Expr:
        """The order is reduced, to the size `GIVEN`."""
        return self.gates.reduces(self.inputs)

    def holds(self, gate: BoundGate, size: Size) -> Expr:
        """The gate passes, or lets the order through as one that only reduces risk."""
        found = self._holds.get((gate, size))
        if found is None:
            found = self._holds[gate, size] = gate.passes(self.inputs, size)
        return found

    def read(self, name: str, gate: BoundGate) -> Term:
        """A field as a gate sees it, at the size asked."""
        return self.inputs.read(name, gate.reading(Size.ASKED))


@dataclass(frozen=True, slots=True)
class Claim:
    """An invariant about the orders of one cell.

    Every size that may be approved is spoken of as the size asked: an order that is reduced to a size
    passes every gate there, as one that asked for no more would. `base` is what the policy set before the
    change decides of the same orders, which `as-strict-as-base` compares with.
    """

    invariant: Invariant
    decisions: Decisions
    base: Decisions | None = None

    def over(self, inputs: Inputs) -> "Claim":
        """The same claim over other inputs."""
        base = self.base.over(inputs) if self.base is not None else None
        return Claim(self.invariant, self.decisions.over(inputs), base)

    @property
    def spoken_of(self) -> Expr:
        """Where an order is approved, and is as the invariant assumes."""
        return both(self.decisions.approved, self._assumed)

    @property
    def broken(self) -> Expr:
        """Where the invariant does not hold."""
        if self.invariant.standard == "as-strict-as-base":
            return both(self._assumed, _wider(self.decisions, self.base))
        if self.invariant.claim is None:
            return both(self._assumed, _STANDARDS[self.invariant.standard](self.decisions))
        claim = self._term(self.invariant.claim)
        return both(self.spoken_of, opposite(both(claim.known, claim.value)))

    @property
    def _assumed(self) -> Expr:
        terms = [self._term(each) for each in self.invariant.assume]
        return both(*(part for each in terms for part in (each.known, each.value)))

    def _term(self, node: ir.Node) -> Term:
        inputs, plain = self.decisions.inputs, self.invariant.plain(self.decisions.linked)
        reading = Reading(self.invariant.level, plain, self.decisions.max_age, Size.ASKED)
        return formula(node, lambda name: inputs.read(name, reading), self.invariant.numeric(plain))


def _wider(head: Decisions, base: Decisions | None) -> Expr:
    """The head approves what the base does not, or leaves a larger size than the base does."""
    if base is None:
        return FALSE
    inputs, gates = base.inputs, base.gates

    # The base leaves the largest size that its reducing gates let pass. That is this one, or a larger one
    # at which the other gates have to pass as well; what is not too small here is not too small there.
    larger = either(
        opposite(gates.reducing_pass(inputs, Size.MORE)), gates.all_pass(inputs, Size.MORE)
    )
    leaves_as_much = both(
        gates.leaves_open(inputs),
        gates.all_pass(inputs, Size.GIVEN),
        opposite(inputs.too_small(Size.GIVEN)),
        larger,
    )
    return either(
        both(head.approved, opposite(base.approved)),
        both(head.reduced, opposite(either(base.approved, leaves_as_much))),
    )


def _limits_hold(decisions: Decisions) -> Expr:
    """Of what is approved as asked, and of what is reduced, at the size that is left."""
    sizes = ((decisions.approved, Size.ASKED), (decisions.reduced, Size.GIVEN))
    return either(
        *(
            both(passed, either(*(opposite(decisions.holds(each, size)) for each in gates)))
            for passed, size in sizes
            if (gates := decisions.gates.enforced)
        )
    )


def _known_inputs(decisions: Decisions) -> Expr:
    unknown = [
        both(
            opposite(gate.exempt(decisions.inputs, Size.ASKED)),
            opposite(decisions.read(name, gate).known),
        )
        for gate in decisions.gates.enforced
        for name in _fields_of(gate)
    ]
    return both(decisions.approved, either(*unknown))


def _fields_of(gate: BoundGate) -> list[str]:
    nodes = (
        node
        for check in gate.checks
        for side in (check.measure, check.limit)
        for node in walk(side)
    )
    return list(dict.fromkeys(node.name for node in nodes if isinstance(node, ir.Field)))


def _size_never_grows(decisions: Decisions) -> Expr:
    asked, given = (
        decisions.inputs.read("order.size", Reading("account", {}, float("inf"), size)).value
        for size in (Size.ASKED, Size.GIVEN)
    )
    return both(decisions.reduced, opposite(given <= asked))


def _closing_orders_pass(decisions: Decisions) -> Expr:
    blocking = [
        both(
            opposite(decisions.holds(gate, Size.ASKED)),
            decisions.read("order.risk_reducing", gate).value,
        )
        for gate in decisions.gates.enforced
        if gate.gate.applies_to != "all"
    ]
    return either(*blocking)


def _exposure_within_limits(decisions: Decisions) -> Expr:
    above = [
        both(
            opposite(decisions.read("order.risk_reducing", gate).value),
            opposite(both(*_within(gate, decisions))),
        )
        for gate in decisions.gates.enforced
        if gate.gate.rule.name == EXPOSURE_RULE
    ]
    return both(decisions.approved, either(*above))


def _within(gate: BoundGate, decisions: Decisions) -> Iterator[Expr]:
    exposure = decisions.read("book.exposure_after", gate)
    equity = decisions.read("book.equity", gate)
    for name in ("max", "max_of_equity"):
        if name not in gate.numeric:
            continue
        limit = constant(gate.numeric[name])
        if name == "max_of_equity":
            limit = Term(both(limit.known, equity.known), times(limit.value, equity.value))
        yield both(exposure.known, limit.known, at_most(exposure.value, limit.value))


_STANDARDS: Mapping[str, Callable[[Decisions], Expr]] = {
    "limits-hold": _limits_hold,
    "known-inputs": _known_inputs,
    "size-never-grows": _size_never_grows,
    "closing-orders-pass": _closing_orders_pass,
    "exposure-within-limits": _exposure_within_limits,
}


def blamed(claim: Claim) -> list[Blame]:
    """The products and quotients of fields that the claim, its assumptions and the gates hold."""
    invariant = claim.invariant
    own = [*([invariant.claim] if invariant.claim is not None else []), *invariant.assume]
    found = [
        Blame(expression_text(node), node.span) for part in own for node in multiplied_fields(part)
    ]
    found += [
        Blame(expression_text(node), node.span, gate.gate.name)
        for gate in claim.decisions.gates.enforced
        for check in gate.checks
        for side in (check.measure, check.limit)
        for node in multiplied_fields(side)
    ]
    return found
