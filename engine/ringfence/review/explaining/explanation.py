"""One decision explained: the interpreter decides, and each of its gates is opened up.

The backends do not know one another. What decides (the reference) and what explains meet here: every
measure, limit and outcome that an explanation shows is the interpreter's own.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.backends.explain import ExplainedGate, Question, explain_gate
from ringfence.backends.explain.amounts import Words
from ringfence.backends.explain.order_fields import valuation_words
from ringfence.backends.reference.decide import AskedGate, asked_gates, decide
from ringfence.errors import InputError
from ringfence.language.answers import too_small
from ringfence.language.decision import Decision, GateResult, Outcome, RiskDecision
from ringfence.language.gates import Gate
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import COUNTABLE, Case, step_digits
from ringfence.language.suggest import suggestion
from ringfence.language.tickets import Ticket, read_ticket

if TYPE_CHECKING:
    from ringfence.review.explaining.why_not import WhyNot

__all__ = ["Explanation", "GateExplained", "Origin", "explain"]

_PASSED = (Outcome.PASS, Outcome.EXEMPT)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the order comes from: `flags`, `file`, `test`, `dry-run` or `audit`.

    Attributes:
        kind: One of those.
        told: It in words.
        checks: What was compared with what it came from, in sentences.
    """

    kind: str = "flags"
    told: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateExplained:
    """A gate's result, and how it comes about.

    Attributes:
        result: As the interpreter has it.
        explained: None where the gate could not be asked.
        on_breach, applies_to: Of the gate.
        largest: The largest size that passes this gate; None where the size does not matter, or any passes.
        any_size: Whether every size passes.
    """

    result: GateResult
    explained: ExplainedGate | None
    on_breach: str
    applies_to: str
    largest: Decimal | None = None
    any_size: bool = False

    @property
    def blocks(self) -> bool:
        """Whether it keeps the order from being sent as asked."""
        return self.result.mode == "enforce" and self.result.outcome not in _PASSED


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision explained.

    Attributes:
        linked, case: What was asked.
        decision: The interpreter's.
        gates: Every gate that binds the order, in order.
        path: How the decision follows from the gates, in sentences.
        valuation: How the valuation price comes about; empty where the order cannot be read.
        ticket: The order as read; None where it cannot be.
        origin: Where the order comes from.
        why_not: What would have to change for another size.
    """

    linked: LinkedSet
    case: Case
    decision: Decision
    gates: tuple[GateExplained, ...]
    path: tuple[str, ...]
    valuation: str
    ticket: Ticket | None
    origin: Origin = field(default_factory=Origin)
    why_not: "WhyNot | None" = None


def explain(
    linked: LinkedSet,
    case: Case,
    *,
    check_mandatory: bool = True,
    only: str = "",
    origin: Origin | None = None,
) -> Explanation:
    """Decide an order with the reference interpreter, and explain every gate.

    Args:
        linked: The policy set.
        case: The order and everything the decision depends on.
        check_mandatory: As in `decide`.
        only: The gates to explain, by name or `level.name`; all where empty.
        origin: Where the order comes from.

    Raises:
        InputError: no gate of that name binds the order.
    """
    decision = decide(linked, case, check_mandatory=check_mandatory)
    order = case.order
    bounds = linked.bind(order.account, order.strategy, order.venue, order.symbol)
    names = [bound.gate.name for bound in bounds]
    wanted = [bound.gate for bound in bounds if only in _names(bound.gate)]
    if only and not wanted:
        raise InputError(
            f"no gate `{only}` binds this order",
            (
                f"name one of {', '.join(dict.fromkeys(names))}{suggestion(only, names)}"
                if names
                else "no policy covers the order: see its account, strategy, venue and symbol"
            ),
        )
    ticket, _ = read_ticket(case, linked)
    asked = asked_gates(linked, case, bounds, ticket) if ticket is not None else [None] * len(names)
    explained: list[GateExplained] = []
    valuation = ""
    for bound, gate, result in zip(bounds, asked, decision.gates, strict=True):
        about = (bound.gate.on_breach, bound.gate.applies_to)
        if gate is None or ticket is None:
            if not only or bound.gate in wanted:
                explained.append(GateExplained(result, None, *about))
            continue
        question = Question(
            asked=gate,
            bound=bound,
            case=case,
            ticket=ticket,
            lots=ticket.lots,
            book=gate.inputs.state,
            max_age=gate.inputs.max_age,
            currency=linked.currency,
        )
        if not valuation:
            valuation = valuation_words(question, Words(linked.currency, ticket.instrument))
        if only and bound.gate not in wanted:
            continue
        largest, any_size = _largest(gate, ticket)
        gate.at(ticket.lots)
        exempt = result.outcome is Outcome.EXEMPT
        outcomes = {} if exempt else {each.name: gate.found(each).outcome for each in gate.binding}
        told = explain_gate(question, outcomes, result.check, exempt=exempt)
        explained.append(GateExplained(result, told, *about, largest, any_size))
    return Explanation(
        linked=linked,
        case=case,
        decision=decision,
        gates=tuple(explained),
        path=tuple(_path(linked, decision, ticket)),
        valuation=valuation,
        ticket=ticket,
        origin=origin or Origin(),
    )


def _names(gate: Gate) -> tuple[str, str]:
    return gate.name, f"{gate.level}.{gate.name}"


def _largest(gate: AskedGate, ticket: Ticket) -> tuple[Decimal | None, bool]:
    """The largest size that passes a gate whose measure only rises with it; by bisection."""
    if not gate.gate.rule.can_reduce:
        return None, False
    step = ticket.instrument.lot_step
    # An order of more lots is refused before any gate is asked.
    most = COUNTABLE // step_digits(step)[0]
    if gate.at(most).outcome in _PASSED:
        return None, True
    return gate.headroom(most) * step, False


def _path(linked: LinkedSet, decision: Decision, ticket: Ticket | None) -> list[str]:
    """How the decision follows from the gates."""
    results = decision.gates
    if not results:
        return [decision.reason]
    enforced = [each for each in results if each.mode == "enforce"]
    blocking = [each for each in enforced if each.outcome in (Outcome.BREACH, Outcome.UNKNOWN)]
    reducing = [each for each in enforced if each.outcome is Outcome.REDUCE]
    shadow = [
        each.gate for each in results if each.mode != "enforce" and each.outcome not in _PASSED
    ]
    said = [f"only recorded (shadow): {', '.join(shadow)} would not pass"] if shadow else []
    if ticket is None or (
        decision.decision is RiskDecision.REJECT and not blocking and not reducing
    ):
        return [f"refused before any gate counts: {decision.reason}", *said]
    codes = {rule.key: rule.code for rule in linked.rules}
    if decision.decision is RiskDecision.REJECT and decision.code not in {
        codes[each.rule] for each in results
    }:
        return [f"refused whatever the gates say: {decision.reason}", *said]
    if blocking:
        named = ", ".join(f"{each.gate} ({each.outcome})" for each in blocking)
        count = len(blocking)
        return [
            f"{named}: {'each of these rejects' if count > 1 else 'this rejects'} the order by itself",
            *said,
        ]
    if not reducing:
        return [f"all {len(enforced)} enforced gates pass, or do not hold this order", *said]
    base = ticket.instrument.base
    rooms = [f"{each.gate} leaves {each.headroom:f} {base}".rstrip() for each in reducing]
    least = min(reducing, key=lambda each: each.headroom or Decimal(0))
    size = least.headroom or Decimal(0)
    steps = [
        "; ".join(rooms)
        + f": the least, in whole lots of {ticket.instrument.lot_step:f}, is {size:f}"
    ]
    if note := too_small(ticket.instrument, size, ticket.valuation_price):
        steps.append(f"{note}: rejected")
    elif decision.decision is RiskDecision.REDUCE_SIZE:
        steps.append(f"asked again at {size:f}, every enforced gate passes")
    else:
        steps.append(f"asked again at {size:f}, a gate does not pass: rejected")
    return [*steps, *said]
