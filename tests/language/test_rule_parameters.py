"""Parameters that input fields are computed with: what a rule must declare them as."""

from typing import Any

import pytest

from ringfence.errors import Diagnostic
from ringfence.language.fields import FIELDS, USED
from ringfence.language.orders import Market
from ringfence.language.parameters import TYPES
from ringfence.language.rule_library import load_rule_library
from ringfence.language.rules import Rule, read_rule
from ringfence.language.schema import check
from strategies import own_rule

pytestmark = pytest.mark.unit

FINE: dict[str, dict[str, Any]] = {
    name: {"type": used.types[0], **({"allowed": list(used.allowed)} if used.allowed else {})}
    for name, used in USED.items()
}


def rule(field: str, **changed: dict[str, Any]) -> tuple[Rule | None, list[Diagnostic]]:
    names = FIELDS[field].uses
    measure = (
        f"(1 if {field} else 0)" if FIELDS[field].unit.kind == "boolean" else f"{field} / {field}"
    )
    document = own_rule(
        {
            "parameters": {name: changed.get(name, FINE[name]) for name in names},
            "checks": [{"measure": measure, "limit": "1"}],
        }
    )
    assert check(document, "Rule") == []
    return read_rule(document)


USERS = [(field, name) for field, each in FIELDS.items() for name in each.uses]


def test_every_parameter_that_a_field_uses_says_what_it_must_be() -> None:
    assert {name for _, name in USERS} == set(USED)
    assert set(USED["required"].allowed) <= set(Market.__dataclass_fields__)
    assert load_rule_library()


@pytest.mark.parametrize(("field", "name"), USERS)
def test_a_parameter_of_another_type_is_refused(field: str, name: str) -> None:
    assert rule(field)[1] == []
    for kind in TYPES:
        if kind in USED[name].types:
            continue
        given = {"type": kind, **({"allowed": ["bid"]} if kind.startswith("choice") else {})}
        read, findings = rule(field, **{name: given})

        assert read is None
        assert [each.code for each in findings] == ["E207"]
        assert f"`{field}` cannot be computed with `{name}`, which is of type {kind}" in str(
            findings[0].message
        )
        assert findings[0].fix.startswith(f"declare `{name}` as {USED[name].types[0]}")


@pytest.mark.parametrize(("field", "name"), [each for each in USERS if USED[each[1]].allowed])
def test_a_choice_that_the_field_does_not_know_is_refused(field: str, name: str) -> None:
    fewer = {**FINE[name], "allowed": list(USED[name].allowed[1:])}
    more = {**FINE[name], "allowed": [*USED[name].allowed, "other"]}

    assert rule(field, **{name: fewer})[1] == []
    assert "allows `other`" in rule(field, **{name: more})[1][0].message
