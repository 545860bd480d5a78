"""What the `given` of a policy test may say, and what it may not."""

from typing import Any

import pytest

from ringfence.errors import PolicyError
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Market
from ringfence.language.policy_tests import read_case
from ringfence.language.schema import check
from ringfence.language.source import load

pytestmark = pytest.mark.unit

WHEN = {"account": "main", "symbol": "BTC/USD", "side": "buy", "size": "1", "price": "100"}


@pytest.fixture(scope="module")
def linked() -> LinkedSet:
    text = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: test}\n"
        "spec: {gates: [{rule: price-collar@1, limits: {max_deviation: 5%, window: 60s}}]}\n"
    )
    return link([load(text, "desk.yaml")], check_mandatory=False)


def market(linked: LinkedSet, *recent: dict[str, Any]) -> Market:
    given = {"market": {"BTC/USD": {"bid": 100, "ask": 100, "recent": list(recent)}}}
    return read_case(given, WHEN, linked).market["BTC/USD"]


def test_earlier_quotes_stand_beside_the_present_one(linked: LinkedSet) -> None:
    first, second = market(linked, {"age": "10s", "bid": 90, "ask": "92"}, {"age": 0.5}).history

    assert (first.age, first.bid, first.ask) == (10.0, 90.0, 92.0)
    assert second.age == 0.5
    assert second.last != second.last
    assert market(linked).history == ()


@pytest.mark.parametrize("age", ["-1s", -1, None, float("nan"), float("inf")])
def test_an_earlier_quote_lies_in_the_past(linked: LinkedSet, age: Any) -> None:
    with pytest.raises(PolicyError, match=r"E219: an earlier quote has the age .* in the past"):
        market(linked, {"age": age, "bid": 90})


@pytest.mark.parametrize(
    ("quote", "message"),
    [("{bid: 90}", "lacks `age`"), ("{age: 1s, prise: 90}", "prise"), ("90", "must be a mapping")],
)
def test_the_schema_knows_earlier_quotes(quote: str, message: str) -> None:
    text = (
        "apiVersion: ringfence/v1\nkind: PolicyTest\nmetadata: {name: t, version: 1.0.0}\n"
        "cases:\n  - name: one\n    then: {decision: APPROVE}\n"
        f"    given: {{market: {{BTC/USD: {{recent: [{quote}]}}}}}}\n"
    )
    findings = check(load(text, "t.yaml"), "PolicyTest")

    assert len(findings) == 1
    assert message in findings[0].message
