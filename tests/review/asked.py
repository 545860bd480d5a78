"""Orders asked of one gate, for tests of explanations: `given` and `when` as a policy test has them."""

from collections.abc import Mapping
from typing import Any

from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Case
from ringfence.language.policy_tests import merge, read_case
from ringfence.language.source import load

GIVEN: dict[str, Any] = {
    "clock": "2026-01-05T12:00:00Z",
    "instruments": {
        "BTC/USD": {
            "lot_step": "0.001", "min_size": "0.001", "tick_size": "0.5", "base": "BTC", "quote": "USD",
        },
        "ETH/USD": {"lot_step": "0.01", "base": "ETH", "quote": "USD"},
        "ADA/EUR": {"lot_step": "1", "multiplier": 10, "base": "ADA", "quote": "EUR"},
    },
    "fx": {"EUR/USD": 1.25},
    "market": {
        "BTC/USD": {"bid": 50000, "ask": 50000, "last": 50000, "age": "1s", "completeness": "100%"},
        "ETH/USD": {"bid": 2000, "ask": 2000, "last": 2000, "age": "1s"},
        "ADA/EUR": {"bid": 0.5, "ask": 0.5, "last": 0.5, "age": "1s"},
    },
    "books": {
        "account/main": {
            "currency": "USD", "equity": 100000, "day_start_equity": 100000, "peak_equity": 100000,
        },
    },
}  # fmt: skip
WHEN = {
    "account": "main",
    "symbol": "BTC/USD",
    "side": "buy",
    "type": "limit",
    "size": "1",
    "price": "50000",
}
POLICY = """
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: 1.0.0, owner: risk@example.com, description: for tests}
spec:
  currency: USD
  gates:
"""


def policy(*gates: str) -> LinkedSet:
    """A set of these gates, each a line of YAML; the first one stands in line 8 of `desk.yaml`."""
    text = POLICY + "".join(f"    - {gate}\n" for gate in gates)
    return link([load(text, "desk.yaml")], check_mandatory=False)


def asked(
    linked: LinkedSet,
    *,
    given: Mapping[str, Any] | None = None,
    book: Mapping[str, Any] | None = None,
    **when: Any,
) -> Case:
    """A case: the order above with the values of `when`, in the world above changed by `given`."""
    world = merge(GIVEN, given or {})
    if book is not None:
        world = merge(world, {"books": {"account/main": book}})
    return read_case(world, {**WHEN, **when}, linked)
