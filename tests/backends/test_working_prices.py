"""What a symbol without a mark is worth: the price of its working orders, never a position at such a price."""

from typing import Any

import pytest

from ringfence.backends import numba_kernel, reference
from ringfence.backends.numba_kernel.slots import Slot
from ringfence.language.decision import Decision, Outcome, RiskDecision
from ringfence.language.linking import link
from ringfence.language.policy_tests import merge, read_case
from ringfence.language.rule_library import load_rule_library
from ringfence.language.source import load

pytestmark = pytest.mark.unit

SLOTS = tuple(
    Slot(rule, rule.can_reduce) for rule in sorted(load_rule_library(), key=lambda rule: rule.key)
)
POLICY = """
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: 1.0.0, owner: risk, description: test}
spec:
  gates:
    - {rule: total-exposure@1, limits: {max: 10_000 USD}}
"""
GIVEN: dict[str, Any] = {
    "clock": "2026-01-05T12:00:00Z",
    "instruments": {
        name: {"lot_step": "0.1", "min_size": "0.1", "quote": "USD"}
        for name in ("BTC/USD", "ETH/USD")
    },
    "market": {"BTC/USD": {"bid": 100, "ask": 100, "last": 100, "age": "1s"}},
    "books": {"account/main": {"equity": 10_000, "positions": {}, "working": []}},
}
WHEN = {"account": "main", "symbol": "BTC/USD", "side": "buy", "size": "1", "price": "100"}


def ask(book: dict[str, Any]) -> Decision:
    linked = link([load(POLICY, "desk.yaml")], check_mandatory=False)
    case = read_case(merge(GIVEN, {"books": {"account/main": book}}), WHEN, linked)
    found = reference.decide(linked, case, check_mandatory=False)
    kernel = numba_kernel.decide(linked, case, check_mandatory=False, slots=SLOTS)
    assert repr(kernel) == repr(found)
    return found


def working(*prices: float) -> list[dict[str, Any]]:
    return [
        {"order_id": f"w{n}", "symbol": "ETH/USD", "side": "buy", "size": "1", "price": price}
        for n, price in enumerate(prices)
    ]


def test_a_position_without_a_mark_is_unknown_whatever_price_its_orders_have() -> None:
    decision = ask({"positions": {"ETH/USD": {"size": "1000"}}, "working": working(1)})

    assert decision.decision is RiskDecision.REJECT
    assert decision.gate("total-exposure").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("prices", [(10, 4000), (4000, 10)])
def test_working_orders_without_a_mark_count_at_the_highest_of_their_prices(
    prices: tuple[float, ...],
) -> None:
    decision = ask({"working": working(*prices)})

    assert decision.decision is RiskDecision.APPROVE
    assert decision.gate("total-exposure").measure == 8_100
