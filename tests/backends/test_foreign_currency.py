"""Positions in another currency count at the declared rate."""

import pytest

from ringfence.backends.reference import decide
from ringfence.language.linking import link
from ringfence.language.policy_tests import read_case
from ringfence.language.source import load

pytestmark = pytest.mark.unit

POLICY = """
apiVersion: ringfence/v1
kind: Policy
metadata: {name: cap, version: 1.0.0, owner: risk@example.com, description: A cap.}
spec:
  level: account
  currency: USD
  gates:
    - {rule: total-exposure@1, limits: {max: 1_000 USD}}
"""
INSTRUMENTS = """
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: two, version: 1.0.0}
spec:
  fx: {EUR/USD: 1.25}
  instruments:
    SOL/EUR: {lot_step: "1", min_size: "1", tick_size: "1", multiplier: 1, base: SOL, quote: EUR}
    BTC/USD: {lot_step: "1", min_size: "1", tick_size: "1", multiplier: 1, base: BTC, quote: USD}
"""


@pytest.mark.parametrize(
    ("held", "decision"), [("8", "REJECT"), ("7", "APPROVE")], ids=["at the cap", "below it"]
)
def test_a_held_position_counts_in_the_currency_of_the_policy_set(held: str, decision: str) -> None:
    linked = link([load(POLICY, "p.yaml"), load(INSTRUMENTS, "i.yaml")], check_mandatory=False)
    given = {
        "market": {"BTC/USD": {"bid": 100, "ask": 100, "last": 100, "age": "1s"}},
        "books": {
            "account/main": {
                "currency": "USD",
                "equity": 10_000,
                "positions": {"SOL/EUR": {"size": held, "mark": 100}},
            }
        },
    }
    when = {"account": "main", "symbol": "BTC/USD", "side": "buy", "size": "1", "price": "100"}

    answer = decide(linked, read_case(given, when, linked), check_mandatory=False)

    assert answer.decision == decision
    assert answer.gate("total-exposure").measure == float(held) * 125 + 100
