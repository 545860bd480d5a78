"""Answers in words: a denial's stable code and named values with their units, and whole decisions."""

import math
from collections.abc import Sequence
from decimal import Decimal

from ringfence.errors import Span
from ringfence.language.decision import Decision, GateResult, Outcome, RiskDecision, margin_of
from ringfence.language.differences import reaches
from ringfence.language.gates import Gate
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.orders import KILL_STATES, Instrument
from ringfence.language.rules import Rule
from ringfence.language.tickets import Refusal

__all__ = [
    "amount",
    "approved",
    "denial",
    "denied",
    "gate_result",
    "not_evaluated",
    "reduced",
    "refused",
    "too_small",
]


_STATES = {float(place): name for place, name in enumerate(KILL_STATES)}
_SMALL, _LARGE = 1e-12, 1e16


def amount(value: float, unit: str, currency: str) -> str:
    """A measure or limit with its unit, such as `3.4%`, `104,000 USD`, `5s`, `halted`."""
    if not math.isfinite(value):
        return "unknown"
    if unit == "state" and value in _STATES:
        return _STATES[value]
    if unit == "money":
        return f"{_number(value)} {currency}".strip()
    if unit == "ratio":
        return f"{value * 100:.10g}%"
    if unit == "duration":
        return f"{value:.10g}s"
    return _number(value)


def _number(value: float) -> str:
    """Ten digits, written out unless that would be mostly zeros: `0.00001`, and not `1e-05`."""
    text = f"{value:,.10g}"
    return f"{Decimal(text):,f}" if "e" in text and _SMALL < abs(value) < _LARGE else text


def denial(rule: Rule, result: GateResult, currency: str) -> str:
    """One line: the rule's code, measure, limit, gate, policy; and why, where an input is unknown.

    Where the checks of a rule measure different things, it names the one that decides, and says what that means.
    """
    parts = [
        rule.code,
        f"{rule.measures or result.check or 'measure'}={amount(result.measure, result.unit, currency)}",
        f"limit={amount(result.limit, result.unit, currency)}",
        f"gate={result.gate}",
        f"policy={result.policy}",
    ]
    if result.outcome is Outcome.UNKNOWN:
        parts.insert(1, f"check={result.check}" if result.check else "check=none")
        parts.append(f"({result.reason or 'an input is missing or stale'})")
    elif not rule.measures:
        explained = (each.explain for each in rule.checks if each.name == result.check)
        if said := next(explained, "").rstrip("."):
            parts.append(f"({said[0].lower()}{said[1:]})")
    return " ".join(parts)


def approved(linked: LinkedSet, size: Decimal, results: Sequence[GateResult]) -> Decision:
    """The order may be sent as asked."""
    return Decision(RiskDecision.APPROVE, "", size, "", tuple(results), linked.sha256)


def reduced(
    linked: LinkedSet, cause: GateResult, size: Decimal, results: Sequence[GateResult]
) -> Decision:
    """A smaller size may be sent; `cause` is the gate that leaves the least."""
    rule = _rule(linked, cause)
    reason = denial(rule, cause, linked.currency) + f" size={size}"
    return Decision(
        RiskDecision.REDUCE_SIZE, reason, size, rule.code, tuple(results), linked.sha256
    )


def denied(
    linked: LinkedSet, cause: GateResult, results: Sequence[GateResult], note: str = ""
) -> Decision:
    """Nothing may be sent, for the gate `cause`."""
    rule = _rule(linked, cause)
    reason = denial(rule, cause, linked.currency) + (f" {note}" if note else "")
    return Decision(
        RiskDecision.REJECT, reason, Decimal(0), rule.code, tuple(results), linked.sha256
    )


def refused(linked: LinkedSet, refusal: Refusal, results: Sequence[GateResult]) -> Decision:
    """Nothing may be sent, whatever the gates say."""
    reason = f"{refusal.code} {refusal.message}"
    return Decision(
        RiskDecision.REJECT, reason, Decimal(0), refusal.code, tuple(results), linked.sha256
    )


def gate_result(
    gate: Gate,
    outcome: Outcome,
    *,
    check: str = "",
    unit: str = "",
    measure: float = math.nan,
    limit: float = math.nan,
    headroom: Decimal | None = None,
    reason: str = "",
    source: Span | None = None,
) -> GateResult:
    """What a gate found; what is left of its limit follows from the rest."""
    return GateResult(
        gate=gate.name,
        rule=gate.rule.key,
        policy=gate.policy.label,
        level=gate.level,
        mode=gate.mode,
        outcome=outcome,
        check=check,
        measure=measure,
        limit=limit,
        margin=margin_of(outcome, measure, limit),
        unit=unit,
        headroom=headroom,
        reason=reason,
        source=source,
    )


def not_evaluated(bound: Bound, moment_ns: int) -> GateResult:
    """A gate that could not be asked, for the order itself cannot be read."""
    row = bound.row_at(moment_ns)
    return gate_result(
        bound.gate, Outcome.UNKNOWN, reason="the order is not valid", source=row.span
    )


def too_small(instrument: Instrument, size: Decimal, valuation_price: float) -> str:
    """Why the venue would not take a reduced size; empty where it would."""
    if size < (instrument.min_size or instrument.lot_step):
        return f"headroom={size} is below the minimum size {instrument.min_size}"
    notional = float(size) * valuation_price * instrument.multiplier
    if not reaches(notional, instrument.min_notional):
        return f"headroom={notional:,.10g} is below the minimum notional {instrument.min_notional:,.10g}"
    return ""


def _rule(linked: LinkedSet, cause: GateResult) -> Rule:
    return next(rule for rule in linked.rules if rule.key == cause.rule)
