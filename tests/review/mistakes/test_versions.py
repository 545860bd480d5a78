"""Content that changes has another version."""

import pytest

from review.mistakes.mistaken_sets import codes, linked, notional, policy
from ringfence.review.mistakes import Context, find_mistakes

pytestmark = pytest.mark.unit


def test_content_that_changes_needs_a_version_and_a_version_only_rises() -> None:
    before = notional("200_000 USD", version="1.10.0")

    assert codes(notional("250_000 USD", version="1.10.0"), before=before) == ["E402"]
    assert codes(notional("250_000 USD", version="1.10.1"), before=before) == []
    assert codes(notional("250_000 USD", version="1.9.0"), before=before) == ["E403"]
    assert codes(notional("200_000 USD", version="1.9.0"), before=before) == ["E403"]


def test_comments_spelling_and_descriptions_are_no_change() -> None:
    before = notional("200_000 USD")
    head = (
        before.replace("a policy", "another text").replace("200_000 USD", "200000 USD") + "# so\n"
    )

    assert codes(head, before=before) == []


def test_a_policy_that_is_new_has_nothing_before_it() -> None:
    assert (
        codes(notional("200_000 USD"), before=policy("    - {rule: drawdown@1}\n", name="x")) == []
    )


RULE = """\
apiVersion: ringfence/v1
kind: Rule
metadata: {name: worth, version: 1.0.0, title: worth, description: A rule., source: [own]}
spec:
  parameters: {max: {type: money, limit: true, description: Most.}}
  checks: [{name: worth, measure: order.notional, limit: params.max, explain: Too much.}]
  docs: The value of an order.
"""


def test_a_rule_of_the_set_needs_a_version_for_its_change_too() -> None:
    bound = policy("    - {rule: worth@1, limits: {max: 200_000 USD}}\n")
    changed = RULE.replace("limit: params.max", "limit: params.max * 2")
    before = linked(RULE, bound)

    for rule, expected in (
        (RULE, []),
        (changed, ["E402"]),
        (changed.replace("1.0.0", "1.0.1"), []),
    ):
        context = Context(linked(rule, bound), 0, before)
        assert [each.code for each in find_mistakes(context)] == expected
