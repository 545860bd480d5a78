"""Every limit that binds one account and symbol, and where it comes from."""

from typing import Any

from ringfence.language import ir
from ringfence.language.instruments import convert
from ringfence.language.linking import LinkedSet
from ringfence.language.parameters import Money, Value
from ringfence.language.rules import Rule, walk

__all__ = ["effective_limits"]


def effective_limits(
    linked: LinkedSet, account: str, strategy: str, venue: str, symbol: str, moment_ns: int
) -> list[dict[str, Any]]:
    """The limits that bind an order, the tightest of each kind marked.

    Args:
        linked: The policy set.
        account, strategy, venue, symbol: Of the order; empty for none.
        moment_ns: When, ns since 1970, UTC: overrides hold for a time.

    Returns:
        One entry for each limit of each gate: `gate`, `rule`, `policy`, `level`, `mode`, `parameter`, `value` as
        people write it, `amount` in the set's currency where it is a number, `place`, `override`, `ticket`,
        `floor` (it must be reached, not kept), `tightest`.
    """
    rows: list[dict[str, Any]] = []
    for bound in linked.bind(account, strategy, venue, symbol):
        gate, row, base = bound.gate, bound.row_at(moment_ns), bound.rows[-1]
        declared = gate.rule.parameters.parameters
        compared = _compared(gate.rule)
        limits = {
            name: value
            for name, value in row.values.items()
            if declared[name].limit or name in compared
        }
        for name, value in (limits or {"": ""}).items():
            own = row.scope is not None and name in row.spans
            rows.append(
                {
                    "gate": gate.name,
                    "rule": gate.rule.key,
                    "policy": gate.policy.label,
                    "level": gate.level,
                    "mode": gate.mode,
                    "parameter": name,
                    "value": _shown(value, declared[name].type if name else ""),
                    "amount": _amount(value, linked),
                    "place": str(row.spans[name] if own else base.spans.get(name, base.span)),
                    "override": own,
                    "ticket": row.ticket if own else "",
                    "floor": compared.get(name) == ">=",
                    "tightest": False,
                }
            )
    for row_ in rows:
        peers = [
            each
            for each in rows
            if each["amount"] is not None
            and (each["rule"], each["level"], each["parameter"])
            == (row_["rule"], row_["level"], row_["parameter"])
        ]
        # A limit that must be reached (a share of fields present) binds hardest where it is largest.
        closest = max if row_["floor"] else min
        row_["tightest"] = bool(peers) and row_["amount"] == closest(
            each["amount"] for each in peers
        )
    return rows


def _compared(rule: Rule) -> dict[str, str]:
    """Parameters that stand on the limit's side of a check, each with its comparison."""
    return {
        node.name: check.compare
        for check in rule.checks
        for node in walk(check.limit)
        if isinstance(node, ir.Param)
    }


def _amount(value: Value, linked: LinkedSet) -> float | None:
    if isinstance(value, Money):
        rate = convert(linked.desk.fx, value.currency, linked.currency)
        return None if rate is None else value.amount * rate
    return float(value) if isinstance(value, int | float) else None


def _shown(value: Value, kind: str) -> str:
    if isinstance(value, int | float):
        if kind == "ratio":
            return f"{value * 100:g}%"
        return f"{value:g}s" if kind == "duration" else f"{value:g}"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
