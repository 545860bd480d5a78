"""What the body of a record of kind `decision` holds, for whoever writes one and whoever reads it.

    {
      "id":          the decision's name, unique in the log,
      "order":       {"account", "strategy", "venue", "symbol", "side", "type", "size", "price",
                      "reduce_only", "client_order_id", "timestamp"}, as asked,
      "market":      {symbol: {"bid", "ask", "last", "mark", "age", ...}}, what the gates saw; age in seconds,
      "decision":    "APPROVE", "REDUCE_SIZE" or "REJECT",
      "code":        stable denial code; empty for APPROVE,
      "reason":      one line; empty for APPROVE,
      "size":        what may be sent, as text,
      "currency":    of all money,
      "policy_set":  SHA-256 of the policy set that decided,
      "gates":       [{"gate", "rule", "policy", "level", "mode", "outcome", "check", "measure", "limit",
                      "margin", "unit", "headroom", "reason", "file", "line"}, ...], every declared gate
    }

The short form is for a guard that has no time to lose: `order` may stand below `inputs`, and a gate may be
the list `[gate, outcome, measure, limit]`. What such a gate is called in words comes from a record of kind
`policy-set` (`policy_set_body`), which is appended once for each set before it decides.

Measures, limits and margins are floats, NaN where unknown or exempt, in the gate's `unit` (`money`, `ratio`,
`count`, `duration` in seconds, `quantity`, `state`). Sizes are text, so that no digit is lost. More keys may
stand beside these; a reader leaves alone what it does not know.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from decimal import Decimal
from typing import Any

from ringfence import __version__
from ringfence.language.decision import Decision, GateResult
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Market, OrderRequest
from ringfence.runtime.policy_files import files_told

__all__ = ["DECISION", "POLICY_SET", "decision_body", "gates_in", "order_in", "policy_set_body"]

#: The kind of records that hold a decision.
DECISION = "decision"
#: The kind of records that describe the gates of a policy set.
POLICY_SET = "policy-set"
_SHORT = ("gate", "outcome", "measure", "limit")


def decision_body(
    decision_id: str,
    order: OrderRequest,
    market: Mapping[str, Market],
    decision: Decision,
    *,
    currency: str = "",
) -> dict[str, Any]:
    """Return the body of the record of one decision.

    Args:
        decision_id: The decision's name, unique in the log.
        order: As asked; values that are neither text nor numbers are written as Python shows them.
        market: By symbol, what the gates saw.
        decision: The answer.
        currency: Of the policy set.
    """
    return {
        "id": decision_id,
        "order": {each.name: _told(getattr(order, each.name)) for each in fields(OrderRequest)},
        "market": {symbol: asdict(each) for symbol, each in market.items()},
        "decision": str(decision.decision),
        "code": decision.code,
        "reason": decision.reason,
        "size": str(decision.size),
        "currency": currency,
        "policy_set": decision.policy_set,
        "gates": [_gate(each) for each in decision.gates],
    }


def policy_set_body(linked: LinkedSet) -> dict[str, Any]:
    """Return the body of the record that describes a policy set.

    Its `gates` hold name, rule, policy, level, mode, unit, file and line of each. The unit is empty where a
    gate has limits in several. With its files (`policy_files.files_told`) the log alone is enough to link the
    set again; `ringfence` is the version that wrote them down.
    """
    return {
        "policy_set": linked.sha256,
        "ringfence": __version__,
        **files_told(linked.files),
        "currency": linked.currency,
        "gates": [
            {
                "gate": gate.name,
                "rule": gate.rule.key,
                "policy": gate.policy.label,
                "level": gate.level,
                "mode": gate.mode,
                "unit": _one_of({check.unit.kind for check in gate.rule.checks}),
                "file": gate.rows[0].span.path,
                "line": gate.rows[0].span.line,
            }
            for gate in linked.gates
        ],
    }


def order_in(body: Mapping[str, Any]) -> dict[str, Any]:
    """The order of a decision's body, in either form; empty where there is none."""
    inputs = body.get("inputs")
    order = body.get("order", inputs.get("order") if isinstance(inputs, dict) else None)
    return order if isinstance(order, dict) else {}


def gates_in(body: Mapping[str, Any], about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The gates of a decision's body in the long form.

    Args:
        body: Of the decision.
        about: Body of the record of its policy set; empty where there is none.
    """
    described: dict[str, dict[str, Any]] = {}
    for each in _dicts(about.get("gates")):
        name = str(each.get("gate"))
        # Two policies may use one name: then only what they agree on is known.
        known = described.setdefault(name, each)
        described[name] = {key: value for key, value in each.items() if known.get(key) == value}
    found = []
    for gate in _listed(body.get("gates")):
        if isinstance(gate, dict):
            found.append(gate)
        elif isinstance(gate, list) and len(gate) == len(_SHORT):
            short = dict(zip(_SHORT, gate, strict=True))
            measure, limit = short["measure"], short["limit"]
            if isinstance(measure, int | float) and isinstance(limit, int | float):
                short["margin"] = limit - measure
            found.append({**described.get(str(gate[0]), {}), **short})
    return found


def _gate(result: GateResult) -> dict[str, Any]:
    return {
        "gate": result.gate,
        "rule": result.rule,
        "policy": result.policy,
        "level": result.level,
        "mode": result.mode,
        "outcome": str(result.outcome),
        "check": result.check,
        "measure": result.measure,
        "limit": result.limit,
        "margin": result.margin,
        "unit": result.unit,
        "headroom": None if result.headroom is None else str(result.headroom),
        "reason": result.reason,
        "file": "" if result.source is None else result.source.path,
        "line": None if result.source is None else result.source.line,
    }


def _told(value: object) -> object:
    plain = value is None or isinstance(value, str | int | float | Decimal)
    return value if plain else repr(value)


def _one_of(kinds: set[str]) -> str:
    return kinds.pop() if len(kinds) == 1 else ""


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in _listed(value) if isinstance(each, dict)]
