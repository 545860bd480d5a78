"""One decision: every gate on the order as asked, a smaller size where gates reduce, every gate again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

from ringfence.backends.reference.books import BookState, build_book
from ringfence.backends.reference.inputs import Inputs
from ringfence.backends.reference.interpreter import evaluate
from ringfence.backends.reference.numbers import at_most
from ringfence.language import ir
from ringfence.language.answers import (
    approved,
    denied,
    gate_result,
    not_evaluated,
    reduced,
    refused,
    too_small,
)
from ringfence.language.decision import Decision, GateResult, Outcome
from ringfence.language.gates import LimitRow
from ringfence.language.instruments import convert
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.orders import Case
from ringfence.language.parameters import Money, Value
from ringfence.language.rules import Check
from ringfence.language.tickets import (
    REDUCE_ONLY_UNTRUE,
    Refusal,
    Ticket,
    not_covered,
    read_ticket,
)

__all__ = ["AskedGate", "Finding", "asked_gates", "decide"]

NAN = float("nan")


@dataclass(slots=True)
class Finding:
    """A gate, or one check of it, at one size: its outcome and its closest check."""

    outcome: Outcome
    check: str = ""
    measure: float = NAN
    limit: float = NAN
    unit: str = ""
    reason: str = ""


class AskedGate:
    """A bound gate with the limits in force, ready to be asked at any size."""

    def __init__(self, bound: Bound, row: LimitRow, inputs: Inputs, linked: LinkedSet) -> None:
        self.gate, self.row, self.inputs = bound.gate, row, inputs
        self.params = {name: _plain(value, linked) for name, value in row.values.items()}
        self.numeric = {name: self._number(name, value) for name, value in self.params.items()}

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, str):
            return float(self.gate.rule.parameters.parameters[name].allowed.index(value))
        return float(value) if isinstance(value, int | float) else NAN

    def at(self, lots: int) -> Finding:
        """What the gate finds at a size in lots."""
        self.inputs.lots = lots
        if self.gate.applies_to == "risk_increasing" and self.inputs.risk_reducing:
            return Finding(Outcome.EXEMPT, reason="the order only reduces risk")
        checks = self.binding
        if not checks:
            return Finding(Outcome.UNKNOWN, reason="no limit is set")
        return reduce(_worse, map(self.found, checks))

    def value_of(self, node: ir.Node) -> float:
        """The value of an expression of the rule, at the size that was asked last."""
        return evaluate(node, self.read, self.numeric)

    def read(self, name: str) -> float:
        """The value of an input field, computed with the gate's parameters."""
        return self.inputs.read(name, self.params)

    @property
    def binding(self) -> list[Check]:
        """The checks that every parameter they need is given for."""
        given = self.row.values
        return [
            check for check in self.gate.rule.checks if all(name in given for name in check.when)
        ]

    def found(self, check: Check) -> Finding:
        """What one check finds, at the size that was asked last."""
        measure, limit = self.value_of(check.measure), self.value_of(check.limit)
        left, right = (measure, limit) if check.compare == "<=" else (limit, measure)
        holds = at_most(left, right)
        outcome = (
            Outcome.UNKNOWN if math.isnan(holds) else Outcome.PASS if holds else Outcome.BREACH
        )
        margin_blind = "" if outcome is not Outcome.UNKNOWN else "an input is missing or stale"
        return Finding(outcome, check.name, measure, limit, check.unit.kind, margin_blind)

    def headroom(self, asked: int) -> int:
        """The largest size in lots, at most what is asked, that passes; by bisection.

        The measure only rises with the size (the language checks it), so sizes that pass end at
        one boundary.
        """
        low, high = 0, asked
        while low < high:
            middle = (low + high + 1) // 2
            if self.at(middle).outcome in (Outcome.PASS, Outcome.EXEMPT):
                low = middle
            else:
                high = middle - 1
        return low


def decide(linked: LinkedSet, case: Case, *, check_mandatory: bool = True) -> Decision:
    """Decide one order.

    Args:
        linked: The policy set.
        case: The order and everything the decision depends on.
        check_mandatory: Refuse an order that lacks a mandatory gate (off for lone test policies).

    Returns:
        The decision, with one result for every gate that binds the order.
    """
    order = case.order
    bounds = linked.bind(order.account, order.strategy, order.venue, order.symbol)
    ticket, refusal = read_ticket(case, linked)
    if refusal is None and ticket is not None:
        refusal = not_covered(bounds, check_mandatory)
    if ticket is None:
        refusal = refusal or Refusal("INVALID_ORDER", "the order cannot be read")
        return refused(linked, refusal, [not_evaluated(bound, case.clock_ns) for bound in bounds])
    gates = asked_gates(linked, case, bounds, ticket)
    account = Inputs(case, ticket, "account", _book(linked, case, "account"), math.inf, ticket.lots)
    if refusal is None and ticket.reduce_only and not account.risk_reducing:
        refusal = REDUCE_ONLY_UNTRUE
    first = [gate.at(ticket.lots) for gate in gates]
    results, allowed = _results(gates, first, ticket)
    if refusal is not None:
        return refused(linked, refusal, results)
    blocking = [
        result
        for result in results
        if result.mode == "enforce" and result.outcome in (Outcome.BREACH, Outcome.UNKNOWN)
    ]
    if blocking:
        return denied(linked, blocking[0], results)
    if allowed == ticket.lots:
        return approved(linked, ticket.lots * ticket.instrument.lot_step, results)
    return _reduce(linked, gates, results, ticket, allowed)


def _book(linked: LinkedSet, case: Case, level: str) -> BookState | None:
    name = getattr(case.order, level, "")
    book = case.books.get("firm" if level == "firm" else f"{level}/{name}")
    return build_book(book, case, linked) if book is not None else None


def asked_gates(
    linked: LinkedSet, case: Case, bounds: Sequence[Bound], ticket: Ticket
) -> list[AskedGate]:
    """The gates of an order with the limits in force, ready to be asked at any size."""
    rows = [bound.row_at(case.clock_ns) for bound in bounds]
    fresh = [
        float(row.values[bound.gate.rule.freshness])  # type: ignore[arg-type]  # a duration
        for bound, row in zip(bounds, rows, strict=True)
        if bound.gate.rule.freshness in row.values
    ]
    max_age = min(fresh, default=math.inf)
    books = {level: _book(linked, case, level) for level in ("account", "strategy", "firm")}
    return [
        AskedGate(
            bound,
            row,
            Inputs(case, ticket, bound.gate.level, books[bound.gate.level], max_age),
            linked,
        )
        for bound, row in zip(bounds, rows, strict=True)
    ]


def _results(
    gates: Sequence[AskedGate], findings: Sequence[Finding], ticket: Ticket
) -> tuple[list[GateResult], int]:
    """Each gate's result at the size asked, and the smallest headroom of those that reduce."""
    results, allowed = [], ticket.lots
    for gate, finding in zip(gates, findings, strict=True):
        headroom: Decimal | None = None
        outcome = finding.outcome
        if outcome is Outcome.BREACH and gate.gate.on_breach == "reduce":
            lots = gate.headroom(ticket.lots)
            headroom = lots * ticket.instrument.lot_step
            if lots > 0:
                outcome = Outcome.REDUCE
                if gate.gate.mode == "enforce":
                    allowed = min(allowed, lots)
        results.append(_result(gate, finding, outcome, headroom))
    return results, allowed


def _reduce(
    linked: LinkedSet,
    gates: Sequence[AskedGate],
    results: list[GateResult],
    ticket: Ticket,
    lots: int,
) -> Decision:
    size = lots * ticket.instrument.lot_step
    cause = min(
        (each for each in results if each.outcome is Outcome.REDUCE and each.mode == "enforce"),
        key=lambda each: each.headroom or Decimal(0),
    )
    if note := too_small(ticket.instrument, size, ticket.valuation_price):
        return denied(linked, cause, results, note)
    for gate in gates:
        again = gate.at(lots)
        if gate.gate.mode == "enforce" and again.outcome not in (Outcome.PASS, Outcome.EXEMPT):
            failed = _result(gate, again, again.outcome, None)
            return denied(linked, failed, results, f"at the reduced size {size}")
    return reduced(linked, cause, size, results)


def _result(
    gate: AskedGate, finding: Finding, outcome: Outcome, headroom: Decimal | None
) -> GateResult:
    return gate_result(
        gate.gate,
        outcome,
        check=finding.check,
        measure=finding.measure,
        limit=finding.limit,
        unit=finding.unit,
        headroom=headroom,
        reason=finding.reason,
        source=gate.row.span,
    )


def _plain(value: Value, linked: LinkedSet) -> Any:
    """A parameter's value; money in the policy set's currency."""
    if isinstance(value, Money):
        rate = convert(linked.desk.fx, value.currency, linked.currency)
        return NAN if rate is None else value.amount * rate
    return value


_RANKS = {Outcome.UNKNOWN: 2, Outcome.BREACH: 1}


def _worse(one: Finding, other: Finding) -> Finding:
    """Of two checks the one that a gate shows: unknown before breach before the one nearest its limit."""
    ranks = _RANKS.get(one.outcome, 0), _RANKS.get(other.outcome, 0)
    if ranks[0] != ranks[1]:
        return one if ranks[0] > ranks[1] else other
    part, whole = _share(one)
    other_part, other_whole = _share(other)
    # Multiplied out, so that nothing is divided.
    return other if other_part * whole > part * other_whole else one


def _share(finding: Finding) -> tuple[float, float]:
    """The part of the limit that is used, as a fraction; zero where there is none."""
    if finding.limit > 0 and math.isfinite(finding.measure):
        return finding.measure, finding.limit
    return 0.0, 1.0
