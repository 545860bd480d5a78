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
      "request_id":  names the request that brought the order; only where one was named,
      "gates":       [{"gate", "rule", "policy", "level", "mode", "outcome", "check", "measure", "limit",
                      "margin", "unit", "headroom", "reason", "file", "line"}, ...], every declared gate
    }

The short form is for a guard that has no time to lose: `order` may stand below `inputs`, and `gates` may be

    {"names": [...], "columns": [...], "found": "<base64>"}

where `found` holds the columns of all gates: their measures, then their limits (little-endian float64), then
their outcomes (one byte each, a place in `OUTCOMES`); `columns` says which one belongs to each of `names`. Or a
gate may be the list `[gate, outcome, measure, limit]`. What such a gate is called in words comes from a record
of kind `policy-set` (`policy_set_body`), which is appended once for each set before it decides.

Measures, limits and margins are floats, NaN where unknown or exempt, in the gate's `unit` (`money`, `ratio`,
`count`, `duration` in seconds, `quantity`, `state`). Sizes are text, so that no digit is lost. More keys may
stand beside these; a reader leaves alone what it does not know.
"""

import base64
import struct
from collections.abc import Mapping
from dataclasses import asdict, fields
from decimal import Decimal
from typing import Any

from ringfence import __version__
from ringfence.language.decision import Decision, GateResult, margin_of
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Market, OrderRequest
from ringfence.runtime.policy_files import files_told

__all__ = [
    "DECISION",
    "OUTCOMES",
    "POLICY_SET",
    "decision_body",
    "gates_in",
    "order_in",
    "policy_set_body",
    "short_gates",
]

#: The kind of records that hold a decision.
DECISION = "decision"
#: The kind of records that describe the gates of a policy set.
POLICY_SET = "policy-set"
#: Outcomes by the kernel's codes; 0 is a gate that was not asked.
OUTCOMES = ("unknown", "pass", "reduce", "breach", "exempt", "unknown")
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
        "gates": [{**_about(gate), **_place(gate.rows[0])} for gate in linked.gates],
    }


def order_in(body: Mapping[str, Any]) -> dict[str, Any]:
    """The order of a decision's body, in either form; empty where there is none."""
    inputs = body.get("inputs")
    order = body.get("order", inputs.get("order") if isinstance(inputs, dict) else None)
    return order if isinstance(order, dict) else {}


def gates_in(
    body: Mapping[str, Any], about: Mapping[str, Any], linked: LinkedSet | None = None
) -> list[dict[str, Any]]:
    """The gates of a decision's body in the long form.

    Args:
        body: Of the decision.
        about: Body of the record of its policy set; empty where there is none.
        linked: That policy set, where it is at hand: then the place of the very limit is told, an override's
            where one was in force, and gates of one name in two policies are told apart.
    """
    bound = [] if linked is None else _bound(body, linked)
    described: dict[str, dict[str, Any]] = {}
    for each in _dicts(about.get("gates")):
        name = str(each.get("gate"))
        # Two policies may use one name: then only what they agree on is known.
        known = described.setdefault(name, each)
        described[name] = {key: value for key, value in each.items() if known.get(key) == value}
    found = []
    given = _gates(body)
    for gate in given:
        if isinstance(gate, dict):
            found.append(gate)
        elif isinstance(gate, list) and len(gate) == len(_SHORT):
            short = dict(zip(_SHORT, gate, strict=True))
            measure, limit = short["measure"], short["limit"]
            if isinstance(measure, int | float) and isinstance(limit, int | float):
                short["margin"] = margin_of(str(short["outcome"]), measure, limit)
            found.append({**described.get(str(gate[0]), {}), **short})
    told_in_short = not any(isinstance(gate, dict) for gate in given)
    if told_in_short and [each["gate"] for each in found] == [each["gate"] for each in bound]:
        return [{**each, **place} for each, place in zip(found, bound, strict=True)]
    return found


def short_gates(body: Mapping[str, Any]) -> list[list[Any]]:
    """Name, outcome, measure and limit of each gate, where the body tells them in short; else empty."""
    found = [gate for gate in _gates(body) if isinstance(gate, list)]
    return found if all(len(gate) == len(_SHORT) for gate in found) else []


def _gates(body: Mapping[str, Any]) -> list[Any]:
    given = body.get("gates")
    return _unpacked(given) if isinstance(given, dict) else _listed(given)


def _bound(body: Mapping[str, Any], linked: LinkedSet) -> list[dict[str, Any]]:
    """The gates that bind the order of a body, with the place of the limits that were in force then."""
    order, now = order_in(body), body.get("decided_ns")
    names = [order.get(name) for name in ("account", "strategy", "venue", "symbol")]
    if not isinstance(now, int) or not all(isinstance(name, str) for name in names):
        return []
    account, strategy, venue, symbol = map(str, names)
    found = []
    for bound in linked.bind(account, strategy, venue, symbol):
        row = bound.row_at(now)
        found.append({**_about(bound.gate, row), **_place(row)})
    return found


def _about(gate: Gate, row: LimitRow | None = None) -> dict[str, Any]:
    """What is the same for every order; with a row, the unit is that of the checks that it has limits for."""
    checks = [
        check
        for check in gate.rule.checks
        if row is None or all(name in row.values for name in check.when)
    ]
    return {
        "gate": gate.name,
        "rule": gate.rule.key,
        "policy": gate.policy.label,
        "level": gate.level,
        "mode": gate.mode,
        "unit": _one_of({check.unit.kind for check in checks}),
    }


def _place(row: LimitRow) -> dict[str, Any]:
    return {"file": row.span.path, "line": row.span.line}


def _unpacked(gates: Mapping[str, Any]) -> list[Any]:
    """The lists that stand for gates in the packed form; empty where its parts do not fit together."""
    names, columns = _listed(gates.get("names")), _listed(gates.get("columns"))
    try:
        content = base64.b64decode(str(gates.get("found")), validate=True)
    except ValueError:
        return []
    count, left = divmod(len(content), 17)
    fit = all(type(at) is int and 0 <= at < count for at in columns)
    if left or not fit or len(names) != len(columns):
        return []
    numbers = struct.unpack_from(f"<{2 * count}d", content)
    outcomes = [
        OUTCOMES[code] if code < len(OUTCOMES) else "unknown" for code in content[16 * count :]
    ]
    return [
        [name, outcomes[at], numbers[at], numbers[count + at]]
        for name, at in zip(names, columns, strict=True)
    ]


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
