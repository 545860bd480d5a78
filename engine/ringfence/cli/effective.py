"""`ringfence effective`: every limit that binds one account and symbol, and where it comes from."""

import argparse
from pathlib import Path
from typing import Any

from ringfence.cli.output import print_json
from ringfence.errors import InputError
from ringfence.language.gates import to_ns
from ringfence.language.linking import link_path
from ringfence.language.suggest import did_you_mean
from ringfence.review.effective_limits import (
    counted_limits,
    missing_gates,
    policies_of_others,
)
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
    """Print the limits, of several of one kind the tightest marked; 1 where none binds. Without `--at` those of the clock's time."""
    try:
        moment = to_ns(given.at) if given.at else clock.now_ns()
    except ValueError as error:
        raise InputError(str(error), fix="write --at 2026-01-31T08:00:00Z") from None
    linked = link_path(given.policies)
    order = (given.account, given.strategy, given.venue, given.symbol)
    counted = counted_limits(linked, *order, moment)
    rows = [row for row, _ in counted]
    missing, others = missing_gates(linked, *order), policies_of_others(linked, *order)
    if given.json:
        print_json(
            {
                "policy_set": linked.sha256,
                "limits": rows,
                "missing": missing,
                "other_policies": others,
            }
        )
        return 0 if rows else 1
    if not rows:
        print(f"nothing binds account `{given.account}` symbol `{given.symbol}`")
        return 1
    print(f"account {given.account}, symbol {given.symbol}, policy set {linked.sha256[:12]}")
    for row, count in counted:
        marks = ", ".join(
            word
            for word in (
                f"tightest of {count}" if row["tightest"] and count > 1 else "",
                row["mode"] if row["mode"] != "enforce" else "",
                f"override {row['ticket']}".strip() if row["override"] else "",
            )
            if word
        )
        print(
            f"  {row['gate']:<22} {row['level']:<9} {row['parameter']:<18} "
            f"{row['value']:<18} {row['place']}" + (f"  ({marks})" if marks else "")
        )
    if all(count <= 1 for _, count in counted):
        print("no two enforced limits are of one kind: an order has to keep all of them")
    if missing:
        print(f"every order is rejected, for no enforced gate is there of: {', '.join(missing)}")
    declared = linked.desk.instruments
    if declared and given.symbol not in declared:
        near = did_you_mean(given.symbol, declared)
        print(f"every order is rejected, for `{given.symbol}` is no known instrument{near}")
    if others:
        print(f"other strategies or venues are also bound by: {', '.join(others)}")
    return 0
