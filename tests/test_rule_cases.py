"""Every case inside every rule, and what every rule must have."""

import pytest

from ringfence.language.linking import MANDATORY
from ringfence.language.rule_library import load_rule_library
from ringfence.language.rules import Rule
from ringfence.review.test_runner import BACKENDS, run_rule_cases

pytestmark = pytest.mark.unit

LIBRARY = load_rule_library()


@pytest.mark.parametrize("rule", LIBRARY, ids=lambda rule: rule.key)
def test_cases_of_the_rule_pass_in_every_backend(rule: Rule) -> None:
    results = run_rule_cases(rule, tuple(BACKENDS))

    assert len(results) >= 4
    assert {f"{each.span}: {each.name}": each.problems for each in results if not each.passed} == {}


@pytest.mark.parametrize("rule", LIBRARY, ids=lambda rule: rule.key)
def test_the_rule_is_documented(rule: Rule) -> None:
    assert rule.title
    assert rule.description
    assert rule.docs
    assert rule.sources
    assert all(each.description for each in rule.parameters.parameters.values())


def test_the_mandatory_gates_are_the_rules_that_say_so() -> None:
    assert sorted(MANDATORY) == sorted(rule.name for rule in LIBRARY if rule.mandatory)
