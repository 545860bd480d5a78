"""The canonical form of a policy set, and its SHA-256: formatting and comments do not change it."""

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ringfence.language import ir
from ringfence.language.gates import ALWAYS, Gate, LimitRow, Policy, canonical_value
from ringfence.language.rules import Rule

__all__ = ["canonical_binding", "canonical_content", "canonical_rule", "digest", "expression_text"]


def expression_text(node: ir.Node) -> str:
    """An expression written one way, whatever its spacing was."""
    match node:
        case ir.Literal(value=value, unit=unit):
            return str(value != 0) if unit.kind == "boolean" else repr(value)
        case ir.Choice(name=name):
            return f"'{name}'"
        case ir.Field(name=name):
            return name
        case ir.Param(name=name):
            return f"params.{name}"
        case ir.Negate(value=value):
            return f"(-{expression_text(value)})"
        case ir.Not(value=value):
            return f"(not {expression_text(value)})"
        case ir.Absolute(value=value):
            return f"abs({expression_text(value)})"
        case ir.Extreme(op=op, values=values):
            return f"{op}({', '.join(map(expression_text, values))})"
        case ir.Logic(op=op, values=values):
            return "(" + f" {op} ".join(map(expression_text, values)) + ")"
        case ir.Arithmetic(op=op, left=left, right=right) | ir.Compare(
            op=op, left=left, right=right
        ):
            return f"({expression_text(left)} {op} {expression_text(right)})"
        case ir.Conditional(test=test, then=then, otherwise=other):
            parts = (expression_text(then), expression_text(test), expression_text(other))
            return "({} if {} else {})".format(*parts)
    raise TypeError(type(node).__name__)


def canonical_rule(rule: Rule) -> dict[str, Any]:
    """What a rule means, without its texts, cases and layout."""
    return {
        "rule": rule.key,
        "code": rule.code,
        "mandatory": rule.mandatory,
        "freshness": rule.freshness,
        "parameters": {
            name: [each.type, each.limit, each.required, each.default, list(each.allowed)]
            for name, each in sorted(rule.parameters.parameters.items())
        },
        "checks": [
            [
                check.name,
                sorted(check.when),
                expression_text(check.measure),
                check.compare,
                expression_text(check.limit),
            ]
            for check in rule.checks
        ],
    }


@lru_cache(maxsize=512)
def _rule_text(rule: Rule) -> str:
    """A rule's meaning as text; once for each rule, for thousands of gates are told apart by it."""
    return json.dumps(canonical_rule(rule), sort_keys=True, default=str)


def _row(row: LimitRow) -> dict[str, Any]:
    return {
        "values": {name: canonical_value(value) for name, value in sorted(row.values.items())},
        "scope": row.scope.canonical() if row.scope else None,
        "window": None if (row.from_ns, row.until_ns) == ALWAYS else [row.from_ns, row.until_ns],
        "ticket": row.ticket,
    }


def _gate(gate: Gate) -> dict[str, Any]:
    return {
        "name": gate.name,
        "rule": gate.rule.key,
        "level": gate.level,
        "mode": gate.mode,
        "on_breach": gate.on_breach,
        "applies_to": gate.applies_to,
        # Left out where it says nothing, so that sets keep their names.
        **({"confirm_ticks": gate.confirm_ticks} if gate.confirm_ticks > 1 else {}),
        "rows": [_row(row) for row in gate.rows],
    }


def canonical_binding(gate: Gate, row: LimitRow) -> str:
    """What a gate means with the limits of one row, as text: wherever it stands and however it is named."""
    form = {
        "rule": _rule_text(gate.rule),
        "values": {name: canonical_value(value) for name, value in row.values.items()},
        "level": gate.level,
        "mode": gate.mode,
        "on_breach": gate.on_breach,
        "applies_to": gate.applies_to,
        "confirm_ticks": gate.confirm_ticks,
    }
    return json.dumps(form, sort_keys=True, default=str)


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "policy": policy.label,
        "owner": policy.owner,
        "scope": policy.scope.canonical(),
        "currency": policy.currency,
        "day": policy.day,
        "gates": [_gate(gate) for gate in policy.gates],
    }


def canonical_content(policy: Policy) -> dict[str, Any]:
    """What a policy says, whatever its version; formatting, comments and descriptions do not count."""
    return {**_policy(policy), "policy": policy.name}


def digest(policies: Iterable[Policy], rules: Iterable[Rule], surroundings: Any) -> str:
    """SHA-256, in hex, over policies, the rules they use, and instruments, FX and correlations.

    The order of policies and gates counts: of several that deny, the first gives the reason.
    """
    form = {
        "apiVersion": "ringfence/v1",
        "policies": [_policy(each) for each in policies],
        "rules": [canonical_rule(each) for each in sorted(rules, key=lambda each: each.key)],
        "surroundings": surroundings,
    }
    text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
