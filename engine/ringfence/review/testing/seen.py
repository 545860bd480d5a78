"""What one case shows of a policy set and of the rules behind it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ringfence.backends.reference.decide import AskedGate, Finding, asked_gates
from ringfence.backends.reference.interpreter import evaluate
from ringfence.backends.reference.numbers import at_most
from ringfence.language import ir
from ringfence.language.decision import Decision, Outcome, RiskDecision
from ringfence.language.fields import FIELDS
from ringfence.language.instruments import convert
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.orders import Case
from ringfence.language.parameters import Money, Value
from ringfence.language.rules import Check, walk
from ringfence.language.scopes import DIMENSIONS
from ringfence.language.tickets import REDUCE_ONLY_UNTRUE, Ticket, not_covered, read_ticket
from ringfence.review.testing.branches import taken
from ringfence.review.testing.items import Key, holds, limits_of, scope_holds
from ringfence.review.testing.written import Written, limits_as_given

__all__ = ["seen_in"]


def seen_in(
    linked: LinkedSet,
    question: Case,
    decision: Decision,
    expected: Mapping[str, Any],
    *,
    of_set: bool,
) -> Iterator[Key]:
    """The items that a case shows; the same one may come more than once.

    Args:
        linked: The set that was asked.
        question: What it was asked.
        decision: Its answer, as expected.
        expected: What the case says must come out.
        of_set: Whether the set is the one under test; of another one only what it shows of rules counts.
    """
    order = question.order
    names = (order.account, order.strategy, order.venue, order.symbol)
    bounds = linked.bind(*names)
    if of_set:
        yield from _of_scopes(linked, names)
        yield from _of_overrides(bounds, question.clock_ns)
    ticket, refusal = read_ticket(question, linked)
    if ticket is None or refusal is not None or decision.code == REDUCE_ONLY_UNTRUE.code:
        return
    if not_covered(bounds, of_set) is not None:
        return
    gates = asked_gates(linked, question, bounds, ticket)
    reduced = _reduced_lots(decision, expected, ticket)
    for gate, bound in zip(gates, bounds, strict=True):
        yield from _of_rule(gate, ticket.lots)
        if of_set:
            number = bound.gate.rows.index(gate.row)
            yield from _of_gate(gate, number, _sizes(gate, ticket, reduced), linked)


def _reduced_lots(decision: Decision, expected: Mapping[str, Any], ticket: Ticket) -> int | None:
    """The size of a reduction in lots, where the case says what it must be."""
    if decision.decision is not RiskDecision.REDUCE_SIZE or "size" not in expected:
        return None
    return int(decision.size / ticket.instrument.lot_step)


def _sizes(gate: AskedGate, ticket: Ticket, reduced: int | None) -> Sequence[int]:
    """The sizes at which a case shows a gate: as asked; where the size of a reduction is expected, at that
    size; and one lot above it, of the gate that left no more."""
    if reduced is None:
        return (ticket.lots,)
    if gate.gate.on_breach == "reduce" and gate.headroom(ticket.lots) == reduced:
        return (ticket.lots, reduced, reduced + 1)
    return (ticket.lots, reduced)


def _of_scopes(linked: LinkedSet, names: tuple[str, ...]) -> Iterator[Key]:
    for policy in linked.policies:
        for place, (dimension, name) in enumerate(zip(DIMENSIONS, names, strict=True)):
            included, excluded = policy.scope.parts(place)
            if not scope_holds(policy.scope, place, name):
                yield (policy.label, "scope", dimension, "outside")
            for kind, globs in (("in", included), ("out", excluded)):
                for glob in globs:
                    if holds((glob,), name):
                        yield (policy.label, "scope", dimension, kind, glob)


def _of_overrides(bounds: Sequence[Bound], clock_ns: int) -> Iterator[Key]:
    for bound in bounds:
        inforce = bound.row_at(clock_ns)
        for number, row in enumerate(bound.gate.rows[1:], start=1):
            at = (bound.gate.label, "override", str(number))
            if row not in bound.rows:
                yield (*at, "elsewhere")
            elif row is inforce:
                yield (*at, "in force")
            elif clock_ns < row.from_ns:
                yield (*at, "before")
            elif clock_ns >= row.until_ns:
                yield (*at, "after")


def _of_gate(
    gate: AskedGate, number: int, sizes: Sequence[int], linked: LinkedSet
) -> Iterator[Key]:
    label = gate.gate.label
    for lots in sizes:
        finding = gate.at(lots)
        if finding.outcome is Outcome.EXEMPT:
            yield (label, "exempt")
            continue
        if finding.outcome is Outcome.PASS:
            yield (label, "passes")
        if finding.outcome is Outcome.BREACH:
            yield (label, "breaches")
            yield (label, "limit", str(number), finding.check, "decides")
        for check in gate.binding:
            written = limits_of(gate.gate, number, check)
            where = _place(gate, check, written, lots, linked) if written else ""
            if where:
                yield (label, "limit", str(number), check.name, where)


def _place(
    gate: AskedGate, check: Check, written: Mapping[str, Written], lots: int, linked: LinkedSet
) -> str:
    """Whether a check stands `at` its limit, or one step `inside` or `outside` of it."""
    gate.inputs.lots = lots
    found = gate.found(check)
    if not (math.isfinite(found.measure) and math.isfinite(found.limit)):
        return ""
    if at_most(found.measure, found.limit) and at_most(found.limit, found.measure):
        return "at"
    gap = abs(found.limit - found.measure)
    step = _step(gate, check, written, found, linked)
    if not at_most(gap, step):
        return ""
    return "inside" if found.outcome is Outcome.PASS else "outside"


def _step(
    gate: AskedGate,
    check: Check,
    written: Mapping[str, Written],
    found: Finding,
    linked: LinkedSet,
) -> float:
    """How far from the limit is one step.

    What one lot moves, where the measure moves with the size; and what one unit of the limit's last digit
    moves, unless a share of something else is the limit of a measure that moves with the size.
    """
    sized = any(
        isinstance(node, ir.Field) and FIELDS[node.name].rises
        for node in (*walk(check.measure), *walk(check.limit))
    )
    steps = [_digit(gate, check, name, each, found, linked) for name, each in written.items()]
    if not sized:
        return max(steps)
    one_lot = _lot(gate, check, found)
    return max(one_lot, *steps) if isinstance(check.limit, ir.Param) else one_lot


def _lot(gate: AskedGate, check: Check, found: Finding) -> float:
    gate.inputs.lots += 1
    try:
        more = gate.found(check)
    finally:
        gate.inputs.lots -= 1
    moved = abs((more.measure - more.limit) - (found.measure - found.limit))
    return moved if math.isfinite(moved) else 0.0


def _digit(
    gate: AskedGate,
    check: Check,
    name: str,
    written: Written,
    found: Finding,
    linked: LinkedSet,
) -> float:
    """What one unit of a limit's last digit moves between the measure and the limit."""
    given = limits_as_given(gate.gate, gate.row)
    for steps in (1, -1):
        other = written.stepped(steps).value
        values, _ = gate.gate.rule.parameters.read({**given, name: other})
        number = _number(values.get(name), linked)
        if number is not None:
            numeric = {**gate.numeric, name: number}
            moved = evaluate(check.limit, gate.read, numeric) - evaluate(
                check.measure, gate.read, numeric
            )
            return abs(moved - (found.limit - found.measure))
    return 0.0


def _number(value: Value | None, linked: LinkedSet) -> float | None:
    if isinstance(value, Money):
        rate = convert(linked.desk.fx, value.currency, linked.currency)
        return None if rate is None else value.amount * rate
    return value if isinstance(value, float) else None


def _of_rule(gate: AskedGate, lots: int) -> Iterator[Key]:
    finding = gate.at(lots)
    if finding.outcome is Outcome.EXEMPT:
        return
    rule = gate.gate.rule.key
    for check in gate.binding:
        outcome = gate.found(check).outcome
        if outcome is not Outcome.UNKNOWN:
            yield (rule, check.name, "holds" if outcome is Outcome.PASS else "fails")
        for side, node in (("measure", check.measure), ("limit", check.limit)):
            for place, label in taken(node, gate.read, gate.numeric):
                yield (rule, check.name, side, str(place), label)
