"""`ringfence schema`: the policy schema for editors, which completes each rule's parameters."""

import argparse
import json
from pathlib import Path
from typing import Any

from ringfence import _resources
from ringfence.cli.output import print_json
from ringfence.errors import InputError
from ringfence.language.linking import load_rule_library
from ringfence.language.parameters import Parameter
from ringfence.language.rules import Rule

__all__ = ["add", "editor_schema"]

_JSON_TYPES = {
    "money": ["string"],
    "duration": ["string", "number"],
    "choice": ["string"],
    "choices": ["array", "string"],
    "globs": ["array", "string"],
}
"""JSON types by parameter type; every other type is a number, or text with a unit."""


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("schema", help="the policy JSON Schema for editors")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the schema, or write it to a file."""
    whole = editor_schema(load_rule_library())
    if given.out is None:
        print_json(whole)
        return 0
    try:
        given.out.write_text(
            json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    except OSError as error:
        raise InputError(
            f"`{given.out}` cannot be written: {error.strerror}",
            fix="name a file in a directory that exists",
        ) from None
    print(given.out)
    return 0


def editor_schema(rules: list[Rule]) -> dict[str, Any]:
    """Return the policy schema with one condition per rule on the names and types of its limits.

    Args:
        rules: The rule library; of several versions of one rule the parameters of each major
            version are offered for references to it.
    """
    text = (_resources.bundled("schemas") / "policy.v1.schema.json").read_text(encoding="utf-8")
    whole: dict[str, Any] = json.loads(text)
    newest = {(rule.name, rule.version[0]): rule for rule in rules}
    whole["$defs"]["gate"]["allOf"] = [_condition(rule) for rule in newest.values()]
    return whole


def _condition(rule: Rule) -> dict[str, Any]:
    limits = {
        "properties": {
            each.name: _property(rule, each) for each in rule.parameters.parameters.values()
        },
        "additionalProperties": False,
    }
    reference = rf"^{rule.name}@{rule.version[0]}(\.|$)"
    override = {"properties": {"limits": limits}}
    return {
        "if": {"properties": {"rule": {"pattern": reference}}, "required": ["rule"]},
        "then": {"properties": {"limits": limits, "overrides": {"items": override}}},
    }


def _property(rule: Rule, parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "description": f"{parameter.description} ({parameter.type})".strip(),
        "type": _JSON_TYPES.get(parameter.type, ["number", "string"]),
    }
    if parameter.type == "choice" and parameter.allowed:
        schema["enum"] = list(parameter.allowed)
    elif parameter.type == "choices" and parameter.allowed:
        schema["items"] = {"enum": list(parameter.allowed)}
    # As written in the rule, `5s` and not 5.0: an editor offers it to be typed into a policy.
    spec = rule.document.data["spec"]
    written = spec["parameters"][parameter.name].get("default")
    written = (spec.get("default_limits") or {}).get(parameter.name, written)
    if written is not None:
        schema["default"] = written
    return schema
