"""`ringfence rules`: the rule library."""

import argparse
from typing import Any

from ringfence.cli.output import print_json
from ringfence.errors import InputError
from ringfence.language.rule_library import load_rule_library
from ringfence.language.rules import Rule
from ringfence.language.suggest import suggestion

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("rules", help="the rule library")
    parser.add_argument("name", nargs="?", help="one rule in full, as drawdown or drawdown@1")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """List the rules, or show one."""
    library = load_rule_library()
    chosen = [rule for rule in library if given.name is None or given.name in _names(rule)]
    if not chosen:
        names = [rule.name for rule in library]
        raise InputError(
            f"no rule is called `{given.name}`",
            fix=suggestion(given.name, names) or "`ringfence rules` lists them",
        )
    if given.json:
        print_json([_as_json(rule) for rule in chosen])
    elif given.name is None:
        for rule in chosen:
            print(f"{rule.key:<28} {'mandatory' if rule.mandatory else '':<10} {rule.title}")
    else:
        for rule in chosen:
            _show(rule)
    return 0


def _names(rule: Rule) -> tuple[str, ...]:
    """What a rule is called: by itself, as a policy binds it, and with its whole version."""
    return rule.name, rule.key.partition(".")[0], rule.key


def _show(rule: Rule) -> None:
    print(f"{rule.key}: {rule.title}\n\n{rule.description}\n")
    print(f"level {rule.level}, applies to {rule.applies_to}, a breach does: {rule.on_breach}")
    for each in rule.parameters.parameters.values():
        default = rule.parameters.default_limits.get(each.name, each.default)
        shown = "" if default is None else f", default {default}"
        print(f"  {each.name} ({each.type}{shown}) {each.description}")
    for check in rule.checks:
        print(f"  check {check.name}: {check.measure_text} {check.compare} {check.limit_text}")
    for source in rule.sources:
        print(f"  source: {source}")
    print(f"\n{rule.docs}".rstrip())


def _as_json(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.key,
        "title": rule.title,
        "description": rule.description,
        "mandatory": rule.mandatory,
        "level": rule.level,
        "applies_to": rule.applies_to,
        "on_breach": rule.on_breach,
        "code": rule.code,
        "sources": list(rule.sources),
        "parameters": {
            each.name: {
                "type": each.type,
                "limit": each.limit,
                "default": rule.parameters.default_limits.get(each.name, each.default),
                "description": each.description,
            }
            for each in rule.parameters.parameters.values()
        },
        "checks": [
            f"{check.measure_text} {check.compare} {check.limit_text}" for check in rule.checks
        ],
    }
