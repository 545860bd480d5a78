"""Rule documents made of generated expressions."""

import json
from collections.abc import Mapping
from typing import Any

from ringfence.language import schema
from ringfence.language.rules import Rule, read_rule
from ringfence.language.source import Document, load
from strategies.choosing import Chooser, Seeded
from strategies.expressions import DECLARED, KINDS, Builder, used_parameters

__all__ = ["document_of", "own_rule", "read_pool", "rule_pools"]

_LIMITS = {
    "money": "max_money",
    "quantity": "max_size",
    "price": "max_price",
    "ratio": "max_ratio",
    "count": "max_count",
    "duration": "patience",
}


def document_of(data: Mapping[str, Any], path: str) -> Document:
    """A document as if it had been read from `path`: JSON is YAML."""
    return load(json.dumps(data), path)


def own_rule(spec: Mapping[str, Any]) -> Document:
    """A desk's own rule, called `own`."""
    metadata = {
        "name": "own",
        "version": "1.0.0",
        "title": "own",
        "description": "A rule of the desk.",
        "source": ["own"],
    }
    data = {"apiVersion": "ringfence/v1", "kind": "Rule", "metadata": metadata, "spec": spec}
    return document_of(data, "own.yaml")


def rule_pools(seed: int, count: int) -> list[Document]:
    """`count` rules, the same for the same seed; each is valid, by its schema and its types."""
    chooser = Seeded(seed)
    return [_rule(chooser, f"made-{seed}-{number}") for number in range(count)]


def read_pool(documents: list[Document]) -> list[Rule]:
    """The rules in documents; a finding is a fault of the generator."""
    rules = []
    for document in documents:
        findings = schema.check(document, "Rule")
        rule, more = (None, []) if findings else read_rule(document)
        assert rule is not None, [each.message for each in (*findings, *more)]
        rules.append(rule)
    return rules


def _rule(chooser: Chooser, name: str) -> Document:
    checks = [
        _check(chooser, place) for place in range(1 + chooser.chance(35) + chooser.chance(15))
    ]
    names = used_parameters(
        *(str(check[side]) for check in checks for side in ("measure", "limit")),
        *(f"params.{each}" for check in checks for each in check.get("when") or ()),
    )
    spec: dict[str, Any] = {
        "level": chooser.pick(("account", "strategy", "firm")),
        "applies_to": chooser.pick(("risk_increasing", "all")),
        "parameters": {each: _parameter(chooser, each) for each in names},
        "checks": checks,
    }
    if "max_age" in names and chooser.chance(50):
        spec["freshness"] = "max_age"
    if "max_money" in names and chooser.chance(30):
        spec["default_limits"] = {"max_money": "1_000 USD"}
    data = {
        "apiVersion": "ringfence/v1",
        "kind": "Rule",
        "metadata": {
            "name": name,
            "version": "1.0.0",
            "title": name,
            "description": "A generated rule.",
            "source": ["generated"],
        },
        "spec": spec,
    }
    document = document_of(data, f"{name}.yaml")
    (rule,) = read_pool([document])
    if rule.can_reduce and chooser.chance(75):
        spec["on_breach"] = "reduce"
        document = document_of(data, f"{name}.yaml")
    return document


def _parameter(chooser: Chooser, name: str) -> dict[str, Any]:
    given = dict(DECLARED[name])
    # Without a default a policy may leave it out, and what is computed with it is unknown.
    if "default" in given and chooser.chance(10):
        del given["default"]
    return given


def _check(chooser: Chooser, place: int) -> dict[str, Any]:
    builder = Builder(chooser)
    check: dict[str, Any] = {"name": f"check-{place + 1}"}
    kind = chooser.pick(("money", "money", "quantity", "count", "ratio"))
    if chooser.chance(60):
        check["measure"] = builder.rising(kind, 2)
        check["limit"] = f"params.{_LIMITS[kind]}"
        if chooser.chance(25):
            check["limit"] = f"({check['limit']} * 2)"
        elif chooser.chance(25):
            check["limit"] = f"min({check['limit']}, {builder.constant(kind, 1)})"
        return check
    kind = chooser.pick(KINDS)
    depth = chooser.whole(1, 3)
    check["measure"], check["limit"] = builder.number(kind, depth), builder.number(kind, 1)
    if kind in _LIMITS and chooser.chance(50):
        check["limit"] = f"params.{_LIMITS[kind]}"
    if chooser.chance(15):
        check["measure"] = f"(1 if {builder.condition(depth)} else 0)"
        check["limit"] = chooser.pick(("0", "1", "params.max_count"))
    if chooser.chance(25):
        check["compare"] = ">="
    if chooser.chance(15):
        check["when"] = chooser.pick(([], ["max_money"], ["floor"], ["mood"]))
    return check
