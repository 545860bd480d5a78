"""Schemas for editors: the published ones, in which each rule's parameters complete and are checked.

They are made from the rule library, and accept every value that the language accepts; what two values
mean together (a currency without an FX rate, an empty window) only `ringfence validate` can tell.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from ringfence.language.parameters import CURRENCY, DURATIONS, NUMBER, RATES, Parameter
from ringfence.language.rules import Rule
from ringfence.language.schema import schema_of

__all__ = ["EDITOR_KINDS", "editor_schema"]

EDITOR_KINDS = {
    "Policy": "policy-editor.v1.schema.json",
    "PolicyTest": "policy-test-editor.v1.schema.json",
}
"""File in `schemas/` by kind, for the kinds that bind rules."""

_NUMBER = {"type": "number", "minimum": 0}
_LISTS = ("choices", "globs")


def editor_schema(kind: str, rules: Sequence[Rule]) -> dict[str, Any]:
    """Return the schema of a kind for editors.

    Args:
        kind: Any kind of document; those of `EDITOR_KINDS` get one condition per rule on the names,
            types and units of its limits, the others are as published.
        rules: The rule library; of several versions of one rule the parameters of the newest of
            each major version are offered for references to it.
    """
    whole = deepcopy(schema_of(kind))
    if kind not in EDITOR_KINDS:
        return whole
    newest = {(rule.name, rule.version[0]): rule for rule in rules}
    whole["$id"] = f"{whole['$id'].removesuffix(':v1')}-editor:v1"
    whole["title"] += " (for editors)"
    gate = whole["$defs"]["gate"]
    gate["properties"]["rule"] = _reference(gate["properties"]["rule"], list(newest.values()))
    gate["allOf"] = []
    for rule in newest.values():
        name = f"limits-{rule.name}-{rule.version[0]}"
        whole["$defs"][name] = _limits(rule)
        gate["allOf"].append(_condition(rule, {"$ref": f"#/$defs/{name}"}))
    return whole


def _reference(published: dict[str, Any], rules: list[Rule]) -> dict[str, Any]:
    """The rule's name with its version: those of the library to choose from, others allowed."""
    return {
        "description": published["description"],
        "anyOf": [
            *(
                {"const": f"{rule.name}@{rule.version[0]}", "description": rule.description}
                for rule in rules
            ),
            {"$ref": published["$ref"]},
        ],
    }


def _limits(rule: Rule) -> dict[str, Any]:
    parameters = rule.parameters.parameters.values()
    return {
        "properties": {each.name: _property(rule, each) for each in parameters},
        "additionalProperties": False,
    }


def _condition(rule: Rule, limits: dict[str, Any]) -> dict[str, Any]:
    gate: dict[str, Any] = {
        "properties": {
            "limits": limits,
            "overrides": {"items": {"properties": {"limits": limits}}},
        }
    }
    if required := [each.name for each in rule.parameters.parameters.values() if each.required]:
        gate["properties"]["limits"] = {**limits, "required": required}
        gate["required"] = ["limits"]
    reference = rf"^{rule.name}@{rule.version[0]}(\.|$)"
    return {
        "if": {"properties": {"rule": {"pattern": reference}}, "required": ["rule"]},
        "then": gate,
    }


def _property(rule: Rule, parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "description": f"{parameter.description} ({parameter.type})".strip(),
        **_values(parameter),
    }
    # As written in the rule, `5s` and not 5.0: an editor offers it to be typed into a policy.
    spec = rule.document.data["spec"]
    written = spec["parameters"][parameter.name].get("default")
    written = (spec.get("default_limits") or {}).get(parameter.name, written)
    if written is not None:
        schema["default"] = written
    return schema


def _values(parameter: Parameter) -> dict[str, Any]:
    """What a parameter's value may look like: a number where one is clear, or text with its unit."""
    if parameter.type == "choice":
        return {"enum": list(parameter.allowed)}
    if parameter.type in _LISTS:
        name = {"enum": list(parameter.allowed)} if parameter.allowed else {"type": "string"}
        return {"anyOf": [{"type": "array", "items": name}, name]}
    texts = [_TEXTS.get(parameter.type, NUMBER)]
    if parameter.window:
        texts.append(rf"{NUMBER}\s*/\s*(?:{NUMBER})?\s*(?:{'|'.join(RATES)})")
    text = {"type": "string", "pattern": rf"^\s*(?:{'|'.join(texts)})\s*$"}
    number = _NUMBERS.get(parameter.type, _NUMBER)
    return {"anyOf": [number, text]} if number else text


_TEXTS = {
    "money": rf"{NUMBER}\s*{CURRENCY}",
    "ratio": rf"{NUMBER}\s*(?:%|bps|bp)|{NUMBER}",
    "multiple": rf"{NUMBER}\s*[x%]?",
    "duration": rf"{NUMBER}\s*(?:{'|'.join(DURATIONS)})",
}
"""Pattern of the text, by type; every other type is a number alone."""

_NUMBERS: dict[str, dict[str, Any]] = {
    "money": {},
    "ratio": {**_NUMBER, "maximum": 1},
    "count": {**_NUMBER, "type": "integer"},
    "duration": {"const": 0},
}
"""The numbers without a unit, by type; none for money."""
