"""Every limit that binds one account and symbol, and where it comes from."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ringfence.language import ir
from ringfence.language.fields import FIELDS
from ringfence.language.instruments import convert
from ringfence.language.linking import MANDATORY, LinkedSet
from ringfence.language.parameters import Money, Value
from ringfence.language.rules import Rule, walk

__all__ = ["counted_limits", "effective_limits", "missing_gates", "policies_of_others"]

# Besides limits, what a gate looks at: names that may be traded, and windows of time.
_SHOWN = ("globs", "duration")


def effective_limits(
    linked: LinkedSet, account: str, strategy: str, venue: str, symbol: str, moment_ns: int
) -> list[dict[str, Any]]:
    """The limits that bind an order, the tightest of each kind marked.

    Args:
        linked: The policy set.
        account, strategy, venue, symbol: Of the order; empty for none.
        moment_ns: When, ns since 1970, UTC: overrides hold for a time.

    Returns:
        One entry for each limit, list of names and window of each gate: `gate`, `rule`, `policy`, `level`, `mode`, `parameter`, `value` as
        people write it, `amount` in the set's currency where it is a number, `place`, `override`, `ticket`,
        `floor` (it must be reached, not kept), `tightest` (of those that are enforced).
    """
    return [row for row, _ in counted_limits(linked, account, strategy, venue, symbol, moment_ns)]


def counted_limits(
    linked: LinkedSet, account: str, strategy: str, venue: str, symbol: str, moment_ns: int
) -> list[tuple[dict[str, Any], int]]:
    """The same, each with how many enforced limits of its kind bind: of one alone it says nothing to be the tightest."""
    rows: list[dict[str, Any]] = []
    kinds: list[tuple[object, ...]] = []
    for bound in linked.bind(account, strategy, venue, symbol):
        gate, row, base = bound.gate, bound.row_at(moment_ns), bound.rows[-1]
        declared = gate.rule.parameters.parameters
        compared = _compared(gate.rule)
        limits = {name for name in row.values if declared[name].limit or name in compared}
        shown = {
            name: value
            for name, value in row.values.items()
            if name in limits or declared[name].type in _SHOWN
        }
        for name, value in (shown or {"": ""}).items():
            kinds.append((gate.rule.key, gate.level, name, _beside(gate.rule, name, row.values)))
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
                    "amount": _amount(value, linked) if name in limits else None,
                    "place": str(row.spans[name] if own else base.spans.get(name, base.span)),
                    "override": own,
                    "ticket": row.ticket if own else "",
                    "floor": compared.get(name) == ">=",
                    "tightest": False,
                }
            )
    peers: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for each, kind in zip(rows, kinds, strict=True):
        if each["amount"] is not None and each["mode"] == "enforce":
            peers.setdefault(kind, []).append(each)
    for group in peers.values():
        # A limit that must be reached (a share of fields present) binds hardest where it is largest.
        closest = max if group[0]["floor"] else min
        amount = closest(each["amount"] for each in group)
        for each in group:
            each["tightest"] = each["amount"] == amount
    return [(each, len(peers.get(kind, ()))) for each, kind in zip(rows, kinds, strict=True)]


def missing_gates(
    linked: LinkedSet, account: str, strategy: str, venue: str, symbol: str
) -> list[str]:
    """The mandatory rules that no enforced gate applies to such an order; where one is missing it is rejected."""
    bound = linked.bind(account, strategy, venue, symbol)
    enforced = {each.gate.rule.name for each in bound if each.gate.mode == "enforce"}
    return [name for name in MANDATORY if name not in enforced]


def policies_of_others(
    linked: LinkedSet, account: str, strategy: str, venue: str, symbol: str
) -> list[str]:
    """Policies that may bind orders of the same account and symbol by a strategy, or to a venue, not named here."""
    here = {each.gate.policy.label for each in linked.bind(account, strategy, venue, symbol)}
    everyone = -1
    masks = (
        linked.mask(0, account),
        linked.mask(1, strategy) if strategy else everyone,
        linked.mask(2, venue) if venue else everyone,
        linked.mask(3, symbol),
    )
    found = dict.fromkeys(each.gate.policy.label for each in linked.bind_masks(masks))
    return [label for label in found if label not in here]


def _compared(rule: Rule) -> dict[str, str]:
    """Parameters that stand on the limit's side of a check, each with its comparison."""
    return {
        node.name: check.compare
        for check in rule.checks
        for node in walk(check.limit)
        if isinstance(node, ir.Param)
    }


def _beside(rule: Rule, name: str, values: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """What else the checks of a limit are computed with, such as a window: where it differs, the limits are not of one kind."""
    used: set[str] = set()
    for check in rule.checks:
        nodes = (*walk(check.measure), *walk(check.limit))
        named = {node.name for node in nodes if isinstance(node, ir.Param)}
        if name in named:
            used |= named
            used.update(*(FIELDS[node.name].uses for node in nodes if isinstance(node, ir.Field)))
    return tuple((each, values[each]) for each in sorted(used - {name}) if each in values)


_WRITTEN = {"ratio": (100, "%"), "duration": (1, "s"), "multiple": (1, "x")}


def _amount(value: Value, linked: LinkedSet) -> float | None:
    if isinstance(value, Money):
        rate = convert(linked.desk.fx, value.currency, linked.currency)
        return None if rate is None else value.amount * rate
    return float(value) if isinstance(value, int | float) else None


def _shown(value: Value, kind: str) -> str:
    if isinstance(value, int | float):
        scale, unit = _WRITTEN.get(kind, (1, ""))
        return f"{Decimal(repr(value)) * scale:.12f}".rstrip("0").rstrip(".") + unit
    return ", ".join(value) if isinstance(value, tuple) else str(value)
