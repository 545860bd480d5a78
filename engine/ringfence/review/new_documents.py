"""`ringfence new`: one document to begin with, valid at once in the set that it is put into."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Any

from ringfence.errors import InputError
from ringfence.language.decision import Decision
from ringfence.language.linking import LinkedSet, link_path
from ringfence.language.parameters import Money
from ringfence.language.rule_library import load_rule_library
from ringfence.language.source import load
from ringfence.language.yaml_files import yaml_files
from ringfence.review.scaffold import render, schema_file, schema_text
from ringfence.review.test_runner import run_file

__all__ = ["WHAT", "new_document", "schema_from"]

WHAT = {
    "policy": ("Policy", ""),
    "test": ("PolicyTest", "tests"),
    "rule": ("Rule", "rules"),
    "invariant": ("Invariant", "invariants"),
}
"""What can be begun: its kind, and the directory below that of the policies."""

# What a further policy binds: the first of these that the set does not bind yet.
_MORE_RULES = {
    "order-rate": "{max_orders: 10/s}",
    "duplicate-order": "{window: 1s}",
    "open-orders": "{max_per_symbol: 20}",
    "spread": "{max_spread: 1%}",
    "order-notional": "{max: 50_000 %s}",
}
_PRICE = Decimal(50_000)
# The published schemas, where the repository is one that has them: Ringfence's own.
_PUBLISHED = {"Policy": "policy-editor", "PolicyTest": "policy-test-editor"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a document goes, from the top of its repository, and how it names its schema."""

    path: str
    schema: str
    missing: dict[str, str]


def new_document(what: str, name: str, policies: Path, top: Path, owner: str) -> dict[str, str]:
    """Return the files to write: the document, and its schema for editors where that is not there yet.

    Args:
        what: One of `WHAT`.
        name: Its name, in kebab case.
        policies: The directory of policies; it may hold nothing yet.
        top: The top of the repository.
        owner: Who answers for it; where empty, who owns the set's first policy.

    Raises:
        InputError: the name is taken, or the directory does not lie in the repository.
        PolicyError: the policies that are there are not valid, with every finding.
    """
    kind, folder = WHAT[what]
    place = _place(kind, policies / folder / f"{name}.yaml", top)
    if (top / place.path).exists():
        raise InputError(f"`{place.path}` is there already", fix="choose another name")
    linked = link_path(policies) if policies.is_dir() and yaml_files(policies) else None
    owners = [each.owner for each in linked.policies] if linked else []
    values: dict[str, Any] = {
        "name": name,
        "owner": owner or next(iter(owners), "risk@example.com"),
        "schema": place.schema,
        "currency": (linked.currency if linked else "") or "USD",
    }
    text = {
        "Policy": _policy,
        "PolicyTest": _test,
        "Rule": _rule,
        "Invariant": _invariant,
    }[
        kind
    ](values, linked)
    return {place.path: text, **place.missing}


def _place(kind: str, path: Path, top: Path) -> _Place:
    whole, above = Path(os.path.abspath(path)), top.resolve()
    if not whole.is_relative_to(above):
        raise InputError(
            f"`{path}` does not lie in `{above}`", fix="name a directory in the repository"
        )
    schema, missing = _schema(kind, above), {}
    if not (above / schema).exists():
        missing[str(schema)] = schema_text(kind)
    relative = whole.relative_to(above)
    return _Place(str(relative), os.path.relpath(schema, relative.parent), missing)


def schema_from(kind: str, path: Path, top: Path) -> str:
    """The schema for editors of the repository at `top`, as a file at `path` names it; empty where there is none."""
    whole, above = Path(os.path.realpath(path)), top.resolve()
    schema = _schema(kind, above)
    if not whole.is_relative_to(above) or not (above / schema).is_file():
        return ""
    return os.path.relpath(above / schema, whole.parent)


def _schema(kind: str, top: Path) -> Path:
    published = Path("schemas", f"{_PUBLISHED.get(kind, kind.lower())}.v1.schema.json")
    return published if (top / published).is_file() else Path(schema_file(kind))


def _policy(values: Mapping[str, Any], linked: LinkedSet | None) -> str:
    bound = {gate.rule.name for gate in linked.gates} if linked else set()
    free = [name for name in _MORE_RULES if name not in bound]
    rule = free[0] if free else "order-notional"
    limits = _MORE_RULES[rule].replace("%s", values["currency"])
    alone = linked is None or not linked.policies
    return render("new-policy.yaml", {**values, "alone": alone, "rule": rule, "limits": limits})


def _rule(values: Mapping[str, Any], _: LinkedSet | None) -> str:
    name = values["name"]
    if any(rule.name == name for rule in load_rule_library()):
        raise InputError(
            f"the library has a rule `{name}` already", fix=f"`ringfence rules {name}` shows it"
        )
    words = name.replace("-", " ")
    code = name.replace("-", "_").upper()
    return render("new-rule.yaml", {**values, "title": words.capitalize(), "code": code})


def _invariant(values: Mapping[str, Any], linked: LinkedSet | None) -> str:
    most: Money | None = None
    accounts: tuple[str, ...] = ()
    for gate in linked.gates if linked else ():
        limit = gate.rows[0].values.get("max")
        if gate.rule.name == "order-notional" and isinstance(limit, Money) and len(gate.rows) == 1:
            most, accounts = limit, gate.policy.scope.accounts
            break
    shown = f"{most.amount:_.15g} {most.currency}" if most else ""
    return render(
        "new-invariant.yaml", {**values, "most": shown, "said": str(most), "accounts": accounts}
    )


def _test(values: Mapping[str, Any], linked: LinkedSet | None) -> str:
    in_set = linked is not None and bool(linked.policies)
    desk = linked.desk if linked is not None and in_set else None
    symbol = next(iter(desk.instruments), "") if desk else ""
    instrument = desk.instruments[symbol] if desk and symbol else None
    size = Decimal("0.1")
    if instrument is not None:
        # The smallest order that the venue takes, at a price that is a multiple of nearly any tick.
        worth = Decimal(str(instrument.min_notional or 0))
        least = max(instrument.min_size or instrument.lot_step, worth / _PRICE)
        size = (least / instrument.lot_step).to_integral_value(ROUND_UP) * instrument.lot_step
    levels = {gate.level for gate in linked.gates} if linked else set()
    account = next(iter(desk.accounts), "main") if desk else "main"
    strategy = next(iter(desk.strategies), "main") if desk and "strategy" in levels else ""
    quote = instrument.quote if instrument else values["currency"]
    every = {
        **values,
        "currency": values["currency"],
        "symbol": symbol or f"BTC/{quote}",
        "own_instrument": instrument is None,
        "price": f"{_PRICE}",
        "size": f"{size:f}",
        "account": account,
        "strategy": strategy,
        "books": ["firm", f"account/{account}", *([f"strategy/{strategy}"] if strategy else [])],
        "in_set": in_set,
    }
    asked = [
        {"name": "a small order", "given": ""},
        {"name": "the firm is halted", "given": "{control: {kill_switch: {firm: halted}}}"},
    ]
    blank = [
        {**each, "decision": "APPROVE", "code": "", "gates": [("kill-switch", "pass")]}
        for each in asked
    ]
    draft = load(render("new-test.yaml", {**every, "cases": blank}), "draft.yaml")
    results = run_file(draft, linked if in_set else None)
    cases = [
        {**each, **_outcome(values["name"], result.decision)}
        for each, result in zip(asked, results, strict=True)
        if result.decision is not None
    ]
    return render("new-test.yaml", {**every, "cases": cases})


def _outcome(name: str, decision: Decision) -> dict[str, Any]:
    """What a case expects: the decision, and the gates of the policy of this name, else of all."""
    own = [each for each in decision.gates if each.policy.partition("@")[0] == name]
    names = [each.gate for each in decision.gates]
    gates = {
        (
            each.gate
            if names.count(each.gate) == 1
            else f"{each.policy.partition('@')[0]}/{each.gate}"
        ): each.outcome
        for each in own or decision.gates
    }
    return {"decision": decision.decision, "code": decision.code, "gates": list(gates.items())}
