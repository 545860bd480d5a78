"""Does an invariant hold of one decision? The claim, read by the interpreter at the size approved."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ringfence.backends.reference.decide import Gate, book_of, decide, gates_of, oldest_mark, plain
from ringfence.backends.reference.inputs import Inputs
from ringfence.backends.reference.interpreter import evaluate
from ringfence.backends.reference.numbers import at_most
from ringfence.language import ir
from ringfence.language.decision import Decision, Outcome, RiskDecision
from ringfence.language.invariants import EXPOSURE_RULE, Invariant
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.orders import Case
from ringfence.language.rules import walk
from ringfence.language.scopes import ScopeIndex
from ringfence.language.tickets import Ticket, read_ticket

__all__ = ["broken"]


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

    def enforced(self) -> Iterator[Gate]:
        """The gates that decide."""
        gates = gates_of(self.linked, self.case, self.bounds, self.ticket)
        return (each for each in gates if each.gate.mode == "enforce")

    def inputs(self, level: str, lots: int) -> Inputs:
        """The fields of a level's book, with the order at a size."""
        book = book_of(self.linked, self.case, level)
        max_age = oldest_mark(self.bounds, self.case.clock_ns)
        return Inputs(self.case, self.ticket, level, book, max_age, lots)

    def value(self, node: ir.Node, invariant: Invariant) -> float:
        """A part of an invariant, at the size approved."""
        inputs = self.inputs(invariant.level, self.lots)
        params = {name: plain(each, self.linked) for name, each in invariant.values.items()}
        numeric = {
            name: _number(each, invariant.choices.get(name)) for name, each in params.items()
        }
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
    order = case.order
    names = (order.account, order.strategy, order.venue, order.symbol)
    ticket, _ = read_ticket(case, linked)
    if ticket is None or not ScopeIndex([invariant.scope]).match(*names):
        return ""
    decision = decide(linked, case, check_mandatory=check_mandatory)
    decided = _Decided(linked, case, ticket, linked.bind(*names), decision)
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
        for check in gate.gate.rule.checks:
            if not all(name in gate.row.values for name in check.when):
                continue
            for node in (*walk(check.measure), *walk(check.limit)):
                if isinstance(node, ir.Field):
                    value = gate.inputs.read(node.name, gate.params)
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


def _number(value: Any, choices: tuple[str, ...] | None) -> float:
    if isinstance(value, str):
        return float(choices.index(value)) if choices else math.nan
    return float(value) if isinstance(value, int | float) else math.nan
