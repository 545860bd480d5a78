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

Measures, limits and margins are floats, NaN where unknown or exempt, in the gate's `unit` (`money`, `ratio`,
`count`, `duration` in seconds, `quantity`, `state`). Sizes are text, so that no digit is lost. More keys may
stand beside these; a reader leaves alone what it does not know.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from decimal import Decimal
from typing import Any

from ringfence.language.decision import Decision, GateResult
from ringfence.language.orders import Market, OrderRequest

__all__ = ["DECISION", "decision_body"]

#: The kind of these records.
DECISION = "decision"


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
