"""An explanation as plain data, as `schemas/explanation.v1.schema.json` has it."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from ringfence import __version__
from ringfence.backends.explain import (
    ExplainedCheck,
    ExplainedField,
    ExplainedGate,
    ExplainedInput,
    ExplainedOverride,
    Side,
)
from ringfence.errors import Span
from ringfence.language.orders import Case
from ringfence.review.explaining.explanation import Explanation, GateExplained
from ringfence.review.explaining.why_not import Way, WhyNot

__all__ = ["SCHEMA", "explanation_data", "moment"]

SCHEMA = "ringfence/explanation/v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def explanation_data(told: Explanation) -> dict[str, Any]:
    """The explanation for JSON: unknown numbers are null, sizes are text, so that no digit is lost."""
    decision = told.decision
    return {
        "schema": SCHEMA,
        "ringfence": __version__,
        "policy_set": told.linked.sha256,
        "currency": told.linked.currency,
        "origin": {
            "kind": told.origin.kind,
            "told": told.origin.told,
            "checks": list(told.origin.checks),
        },
        "decided_at": moment(told.case.clock_ns),
        "order": _order(told.case, told),
        "decision": str(decision.decision),
        "size": str(decision.size),
        "code": decision.code,
        "reason": decision.reason,
        "path": list(told.path),
        "gates": [_gate(each) for each in told.gates],
        "why_not": None if told.why_not is None else _why_not(told.why_not),
    }


def moment(ns: int) -> str:
    """A time in ns since 1970 as ISO 8601 text in UTC; the number itself where no calendar has it."""
    try:
        at = _EPOCH + timedelta(microseconds=ns // 1_000)
    except OverflowError:
        return str(ns)
    text = at.replace(tzinfo=None).isoformat(
        timespec="seconds" if not ns % 1_000_000_000 else "auto"
    )
    return text + "Z"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _order(case: Case, told: Explanation) -> dict[str, Any]:
    order, ticket = case.order, told.ticket
    return {
        "account": order.account,
        "strategy": order.strategy,
        "venue": order.venue,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        "size": str(order.size),
        "price": None if order.price is None else str(order.price),
        "reduce_only": bool(order.reduce_only),
        "valuation_price": None if ticket is None else _finite(ticket.valuation_price),
        "valuation": told.valuation,
    }


def _gate(each: GateExplained) -> dict[str, Any]:
    result, explained = each.result, each.explained
    return {
        "gate": result.gate,
        "rule": result.rule,
        "policy": result.policy,
        "level": result.level,
        "mode": result.mode,
        "on_breach": each.on_breach,
        "applies_to": each.applies_to,
        "outcome": str(result.outcome),
        "blocks": each.blocks,
        "check": result.check,
        "measure": _finite(result.measure),
        "limit": _finite(result.limit),
        "margin": _finite(result.margin),
        "utilisation": _finite(result.utilisation),
        "unit": result.unit,
        "headroom": None if result.headroom is None else str(result.headroom),
        "largest_size": None if each.largest is None else f"{each.largest.normalize():f}",
        "any_size": each.any_size,
        "reason": result.reason,
        "source": _place(result.source),
        **_explained(explained),
    }


def _explained(told: ExplainedGate | None) -> dict[str, Any]:
    if told is None:
        return {
            "limits": [],
            "override": None,
            "other_overrides": [],
            "exempt": [],
            "checks": [],
            "inputs": [],
        }
    return {
        "limits": [
            {
                "name": each.name,
                "text": each.text,
                "value": _finite(each.value),
                "source": _place(each.span),
                "from_override": each.from_override,
            }
            for each in told.limits
        ],
        "override": None if told.override is None else _override(told.override),
        "other_overrides": [_override(each) for each in told.others],
        "exempt": list(told.exempt),
        "checks": [_check(each) for each in told.checks],
        "inputs": [_input(each) for each in told.inputs],
    }


def _override(each: ExplainedOverride) -> dict[str, Any]:
    return {
        "ticket": each.ticket,
        "from": None if each.from_ns is None else moment(each.from_ns),
        "until": None if each.until_ns is None else moment(each.until_ns),
        "limits": list(each.limits),
        "source": _place(each.span),
    }


def _check(each: ExplainedCheck) -> dict[str, Any]:
    return {
        "name": each.name,
        "compare": each.compare,
        "outcome": str(each.outcome),
        "shown": each.shown,
        "unit": each.unit,
        "margin": _finite(each.margin),
        "utilisation": _finite(each.utilisation),
        "measure": _side(each.measure),
        "limit": _side(each.limit),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "expression": side.expression,
        "value": _finite(side.value),
        "text": side.text,
        "written": side.written,
        "steps": list(side.steps),
    }


def _input(each: ExplainedInput) -> dict[str, Any]:
    return {
        "name": each.name,
        "value": _finite(each.value),
        "unit": each.unit,
        "text": each.text,
        "source": each.source,
        "meaning": each.meaning,
        "missing": each.missing,
        "opened": None if each.opened is None else _opened(each.opened),
    }


def _opened(each: ExplainedField) -> dict[str, Any]:
    return {
        "formula": each.formula,
        "steps": list(each.steps),
        "parts": [
            {"what": part.what, "written": part.written, "value": _finite(part.value)}
            for part in each.parts
        ],
        "is_sum": each.is_sum,
        "adds_up": each.adds_up,
        "off_by": _finite(each.off_by),
    }


def _why_not(told: WhyNot) -> dict[str, Any]:
    return {
        "size": str(told.size),
        "passes": told.passes,
        "decision": str(told.now.decision),
        "decided_size": str(told.now.size),
        "reason": told.now.reason,
        "needs": [
            {
                "gate": each.result.gate,
                "policy": each.result.policy,
                "level": each.result.level,
                "outcome": str(each.result.outcome),
                "source": _place(each.result.source),
                "ways": [_way(way) for way in each.ways],
            }
            for each in told.needs
        ],
        "together": None if told.together is None else _way(told.together),
    }


def _way(way: Way) -> dict[str, Any]:
    return {
        "kind": way.kind,
        "text": way.text,
        "values": dict(way.values),
        "confirmed": way.confirmed,
    }


def _place(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    return {"file": span.path, "line": span.line, "column": span.column}
