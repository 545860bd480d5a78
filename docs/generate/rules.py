"""The page of the rule library, and an example gate of each rule."""

import json
from collections.abc import Iterator
from typing import Any

from ringfence.language.parameters import TYPES, Parameter
from ringfence.language.rule_library import load_rule_library
from ringfence.language.rules import Rule

from .markdown_text import one_line, page, table

__all__ = ["example_gate", "rules_page"]

_TYPES = {
    "money": ("an amount with its currency", "50_000 USD"),
    "quantity": ("a size, in units of the base", "0.5"),
    "price": ("a price", "50_000"),
    "ratio": ("a share; a bare number above 1 is refused", "3%, 250 bps, 0.03"),
    "multiple": ("a multiple of equity", "3x, 300%"),
    "count": ("a whole number; a rate where the parameter names a window", "10, 10/s"),
    "duration": ("a length of time with its unit", "250ms, 5s, 1m, 1h, 1d"),
    "choice": ("one word of a list", "mid"),
    "choices": ("some words of a list", "[bid, ask]"),
    "globs": ("names, or patterns with `*`, `?`, `[...]`", '["BTC/*"]'),
}
"""What a value of each parameter type is, and how it is written."""

_EXAMPLES = {"money": "50_000 USD", "ratio": "10%", "multiple": "3x", "duration": "5s"}
"""A value by type, for limits that neither the rule's defaults nor its cases give; others: 10."""


def rules_page() -> str:
    """Return the page of the rule library: an index, then each rule in full."""
    library = load_rule_library()
    ordered = sorted(library, key=lambda rule: (not rule.mandatory, rule.name, rule.version))
    index = [
        [
            f"[{rule.key}](#{rule.name})",
            "yes" if rule.mandatory else "",
            rule.title,
            rule.level,
            rule.on_breach,
        ]
        for rule in ordered
    ]
    types = [[name, *_TYPES[name]] for name in TYPES]
    return page(
        "Rules",
        "Every rule of the library. A policy binds one with `rule: name@version` and `limits`; all "
        "limits that are given bind. Every account and symbol that may be traded needs a gate of "
        "each mandatory rule.",
        table(["rule", "mandatory", "what it limits", "level", "a breach does"], index),
        "## Types of parameters",
        table(["type", "what it is", "written as"], [[a, b, _code(c)] for a, b, c in types]),
        *(part for rule in ordered for part in _rule(rule)),
    )


def _rule(rule: Rule) -> Iterator[str]:
    # The heading is the rule's name alone: links to it outlive a version.
    yield f"## {rule.name}"
    yield f"**{rule.title}**, `{rule.key}`. {rule.description}"
    if rule.deprecated:
        yield f"Deprecated: {rule.deprecated}"
    yield table(
        ["", ""],
        [
            ["mandatory", "yes" if rule.mandatory else "no"],
            ["whose book is measured, unless the policy says otherwise", rule.level],
            ["orders held to it", _applies(rule)],
            ["a breach does", rule.on_breach],
            ["code of a denial", f"`{rule.code}`"],
        ],
    )
    parameters = list(rule.parameters.parameters.values())
    if parameters:
        yield table(
            ["parameter", "type", "limit", "default", "meaning"],
            [
                [f"`{p.name}`", _type(p), _limit(p), _default(rule, p), p.description]
                for p in parameters
            ],
        )
    else:
        yield "It has no parameters."
    yield table(
        ["check", "binds when given", "passes where"],
        [
            [
                check.name,
                ", ".join(f"`{name}`" for name in check.when) or "always",
                f"`{one_line(check.measure_text)} {check.compare} {one_line(check.limit_text)}`",
            ]
            for check in rule.checks
        ],
    )
    yield rule.docs.strip()
    yield f"```yaml\n{example_gate(rule)}\n```"
    yield "Sources:\n\n" + "\n".join(f"- {source}" for source in rule.sources)


def example_gate(rule: Rule) -> str:
    """Return a gate of the rule as a policy would write it, with a value for each of its limits."""
    declared = rule.parameters.parameters.values()
    chosen = [each for each in declared if each.limit]
    shown = {each.name: _example(rule, each) for each in chosen} or {
        each.name: each.default for each in declared if each.default not in (None, [])
    }
    limits = ", ".join(f"{name}: {_yaml(value)}" for name, value in shown.items())
    text = f"- rule: {rule.name}@{rule.version[0]}"
    return f"{text}\n  limits: {{{limits}}}" if limits else text


def _example(rule: Rule, parameter: Parameter) -> Any:
    if parameter.name in rule.parameters.default_limits:
        return rule.parameters.default_limits[parameter.name]
    spec = rule.document.data["spec"]
    # A case has been run with its value, so that the example is one that works.
    for case in (spec.get("case_defaults") or {}, *spec.get("cases", ())):
        if parameter.name in (case.get("limits") or {}):
            return case["limits"][parameter.name]
    return _EXAMPLES.get(parameter.type, 10)


def _code(text: str) -> str:
    return ", ".join(f"`{part}`" for part in text.split(", ")) if text[:1] != "[" else f"`{text}`"


def _applies(rule: Rule) -> str:
    return "all" if rule.applies_to == "all" else "those that add risk"


def _type(parameter: Parameter) -> str:
    words = [parameter.type]
    if parameter.allowed:
        words.append("of " + ", ".join(f"`{each}`" for each in parameter.allowed))
    if parameter.currency:
        words.append(f"in {parameter.currency}")
    if parameter.window:
        words.append(f"or a rate, which sets `{parameter.window}`")
    return " ".join(words)


def _limit(parameter: Parameter) -> str:
    return "required" if parameter.required else "yes" if parameter.limit else ""


def _default(rule: Rule, parameter: Parameter) -> str:
    value = rule.parameters.default_limits.get(parameter.name, parameter.default)
    return "" if value is None else f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(each) for each in value) + "]"
    text = str(value)
    return json.dumps(text) if set(text) & set("*?[]{}:#,&!|>'\"@`") else text
