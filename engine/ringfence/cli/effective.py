"""`ringfence effective`: every limit that binds one account and symbol, and where it comes from."""

import argparse
from pathlib import Path
from typing import Any

from ringfence.cli.output import print_json
from ringfence.errors import InputError
from ringfence.language import ir
from ringfence.language.gates import to_ns
from ringfence.language.instruments import convert
from ringfence.language.linking import LinkedSet, link_path
from ringfence.language.parameters import Money, Value
from ringfence.language.rules import Rule, walk
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("effective", help="every limit that binds an account and symbol")
    parser.add_argument("--account", metavar="NAME", required=True, help="whose order it is")
    parser.add_argument("--symbol", metavar="NAME", required=True, help="the instrument")
    parser.add_argument("--strategy", metavar="NAME", default="", help="what sends the order")
    parser.add_argument("--venue", metavar="NAME", default="", help="where the order goes")
    parser.add_argument(
        "--policies", type=Path, metavar="DIR", default=Path("policies"), help="the policy set"
    )
    parser.add_argument(
        "--at", metavar="TIME", help="a time such as 2026-01-31T08:00:00Z; now where not given"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, clock: Clock = SYSTEM_CLOCK) -> int:
    """Print the limits, the tightest of each kind marked; without `--at` those of the clock's time."""
    try:
        moment = to_ns(given.at) if given.at else clock.now_ns()
    except ValueError as error:
        raise InputError(str(error), fix="write --at 2026-01-31T08:00:00Z") from None
    linked = link_path(given.policies)
    rows = _rows(linked, given, moment)
    if given.json:
        print_json({"policy_set": linked.sha256, "limits": rows})
        return 0
    if not rows:
        print(f"nothing binds account `{given.account}` symbol `{given.symbol}`")
        return 1
    print(f"account {given.account}, symbol {given.symbol}, policy set {linked.sha256[:12]}")
    for row in rows:
        marks = ", ".join(
            word
            for word in (
                "tightest" if row["tightest"] else "",
                row["mode"] if row["mode"] != "enforce" else "",
                f"override {row['ticket']}".strip() if row["override"] else "",
            )
            if word
        )
        print(
            f"  {row['gate']:<22} {row['level']:<9} {row['parameter']:<18} "
            f"{row['value']:<18} {row['place']}" + (f"  ({marks})" if marks else "")
        )
    return 0


def _rows(linked: LinkedSet, given: argparse.Namespace, moment: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for bound in linked.bind(given.account, given.strategy, given.venue, given.symbol):
        gate, row, base = bound.gate, bound.row_at(moment), bound.rows[-1]
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
