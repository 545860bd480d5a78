"""Does an invariant hold of one decision? The claim, read by the interpreter at the size approved."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ringfence.backends.reference.books import build_book
from ringfence.backends.reference.decide import AskedGate, asked_gates, decide
from ringfence.backends.reference.inputs import Inputs
from ringfence.backends.reference.interpreter import evaluate
from ringfence.backends.reference.numbers import at_most
from ringfence.language import ir
from ringfence.language.canonical import expression_text
from ringfence.language.decision import Decision, Outcome, RiskDecision
from ringfence.language.invariants import EXPOSURE_RULE, Invariant
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.orders import Case
from ringfence.language.rules import walk
from ringfence.language.scopes import ScopeIndex
from ringfence.language.tickets import Ticket, read_ticket
from ringfence.language.units import Unit

__all__ = ["broken", "claim_values"]


@dataclass(slots=True)
class _Decided:
    """One order with its decision, and what its gates read at any size."""

    linked: LinkedSet
    case: Case
    ticket: Ticket
    bounds: Sequence[Bound]
    decision: Decision

    @property
    def approved(self) -> bool:
        return self.decision.decision is not RiskDecision.REJECT

    @property
    def lots(self) -> int:
        """The size that was approved, in lots; for a rejection the size asked."""
        if not self.approved:
            return self.ticket.lots
        return int(self.decision.size / self.ticket.instrument.lot_step)

    def gates(self) -> list[AskedGate]:
        """The gates that bind the order."""
        return asked_gates(self.linked, self.case, self.bounds, self.ticket)

    def enforced(self) -> Iterator[AskedGate]:
        """The gates that decide."""
        return (each for each in self.gates() if each.gate.mode == "enforce")

    def inputs(self, level: str, lots: int) -> Inputs:
        """The fields of a level's book, with the order at a size; marks as old as its gates allow."""
        name = getattr(self.case.order, level, "")
        book = self.case.books.get("firm" if level == "firm" else f"{level}/{name}")
        state = build_book(book, self.case, self.linked) if book is not None else None
        max_age = min((each.inputs.max_age for each in self.gates()), default=math.inf)
        return Inputs(self.case, self.ticket, level, state, max_age, lots)

    def value(self, node: ir.Node, invariant: Invariant) -> float:
        """A part of an invariant, at the size approved."""
        inputs = self.inputs(invariant.level, self.lots)
        params = invariant.plain(self.linked)
        numeric = invariant.numeric(params)
        return evaluate(node, lambda name: inputs.read(name, params), numeric)


def broken(
    invariant: Invariant,
    linked: LinkedSet,
    case: Case,
    *,
    base: LinkedSet | None = None,
    check_mandatory: bool = True,
) -> str:
    """Return in words how the decision on an order breaks an invariant; empty where it does not.

    Args:
        invariant: The claim; an order outside its scope or its assumptions cannot break it.
        linked: The policy set that decides.
        case: The order and everything the decision depends on.
        base: The policy set before the change, for `as-strict-as-base`.
        check_mandatory: As in `decide`.
    """
    decided = _decided(linked, case, check_mandatory)
    if decided is None or not ScopeIndex([invariant.scope]).match(*_names(case)):
        return ""
    if not all(decided.value(each, invariant) == 1.0 for each in invariant.assume):
        return ""
    if invariant.standard == "closing-orders-pass":
        return _closing(decided)
    if not decided.approved:
        return ""
    if invariant.standard == "as-strict-as-base":
        if base is None:
            return ""
        return _as_strict(decided, decide(base, case, check_mandatory=check_mandatory))
    if invariant.claim is None:
        return _STANDARDS[invariant.standard](decided)
    value = decided.value(invariant.claim, invariant)
    if value == 1.0:
        return ""
    return "the claim is unknown" if math.isnan(value) else "the claim is false"


def claim_values(
    invariant: Invariant, linked: LinkedSet, case: Case, *, check_mandatory: bool = True
) -> dict[str, tuple[float, Unit]]:
    """What the fields and parameters that a claim names are for one order, at the size approved.

    Returns:
        By the name that the claim has for it the value, NaN where unknown, and its unit; nothing for
        a standard claim, or an order that cannot be read.
    """
    decided = _decided(linked, case, check_mandatory)
    if decided is None or invariant.claim is None:
        return {}
    named = [node for node in walk(invariant.claim) if isinstance(node, ir.Field | ir.Param)]
    return {
        expression_text(node): (decided.value(node, invariant), node.unit)
        for node in reversed(named)
    }


def _names(case: Case) -> tuple[str, str, str, str]:
    order = case.order
    return order.account, order.strategy, order.venue, order.symbol


def _decided(linked: LinkedSet, case: Case, check_mandatory: bool) -> _Decided | None:
    """The order with its decision; None where it cannot be read."""
    ticket, _ = read_ticket(case, linked)
    if ticket is None:
        return None
    decision = decide(linked, case, check_mandatory=check_mandatory)
    return _Decided(linked, case, ticket, linked.bind(*_names(case)), decision)


def _closing(decided: _Decided) -> str:
    if decided.decision.decision is RiskDecision.APPROVE:
        return ""
    lots = decided.ticket.lots
    for gate in decided.enforced():
        outcome = gate.at(lots).outcome
        if (
            outcome not in (Outcome.PASS, Outcome.EXEMPT)
            and gate.gate.applies_to != "all"
            and decided.inputs(gate.gate.level, lots).risk_reducing
        ):
            return f"gate `{gate.gate.name}` blocks an order that only reduces risk"
    return ""


def _as_strict(decided: _Decided, before: Decision) -> str:
    now = decided.decision
    if before.size >= now.size:
        return ""
    was = f"{before.decision} of {before.size}" if before.size else str(before.decision)
    return f"{now.decision} of {now.size}, where the base says {was}"


def _limits_hold(decided: _Decided) -> str:
    for gate in decided.enforced():
        outcome = gate.at(decided.lots).outcome
        if outcome not in (Outcome.PASS, Outcome.EXEMPT):
            return f"gate `{gate.gate.name}` finds {outcome} at the size approved"
    return ""


def _known_inputs(decided: _Decided) -> str:
    for gate in decided.enforced():
        if gate.at(decided.lots).outcome is Outcome.EXEMPT:
            continue
        for check in gate.binding:
            for node in (*walk(check.measure), *walk(check.limit)):
                if isinstance(node, ir.Field):
                    value = gate.read(node.name)
                    if not math.isfinite(value):
                        return f"`{node.name}` is unknown, which gate `{gate.gate.name}` names"
    return ""


def _size_never_grows(decided: _Decided) -> str:
    asked = decided.ticket.lots * decided.ticket.instrument.lot_step
    size = decided.decision.size
    if 0 < size <= asked:
        return ""
    return f"the size approved is {size}, {asked} were asked"


def _exposure(decided: _Decided) -> str:
    for gate in decided.enforced():
        inputs = decided.inputs(gate.gate.level, decided.lots)
        if gate.gate.rule.name != EXPOSURE_RULE or inputs.risk_reducing:
            continue
        exposure = inputs.read("book.exposure_after", gate.params)
        equity = inputs.read("book.equity", gate.params)
        limits = {
            "max": gate.params.get("max"),
            "max_of_equity": gate.params.get("max_of_equity", math.nan) * equity,
        }
        for name, limit in limits.items():
            if name in gate.params and limit is not None and at_most(exposure, limit) != 1.0:
                book = gate.gate.level
                return f"the {book}'s exposure is {exposure:,.10g}, its limit {limit:,.10g}"
    return ""


_STANDARDS: Mapping[str, Callable[[_Decided], str]] = {
    "limits-hold": _limits_hold,
    "known-inputs": _known_inputs,
    "size-never-grows": _size_never_grows,
    "exposure-within-limits": _exposure,
}
