"""Measures that are differences: exactly at the limit they pass, a little beyond they do not, in both backends."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ringfence.backends import numba_kernel, reference
from ringfence.language.decision import Decision, Outcome
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Case
from ringfence.language.policy_tests import read_case
from ringfence.language.source import load

pytestmark = pytest.mark.unit

Decide = Callable[[LinkedSet, Case], Decision]

INSTRUMENTS = """
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: one, version: 1.0.0}
spec:
  instruments:
    BTC/USD: {lot_step: "1", min_size: "1", tick_size: "0.0001", multiplier: 1, base: BTC, quote: USD}
"""
POLICY = """
apiVersion: ringfence/v1
kind: Policy
metadata: {{name: cap, version: 1.0.0, owner: risk@example.com, description: A cap.}}
spec:
  level: account
  currency: USD
  gates:
    - {{{}}}
"""
# How far beyond its limit a price lies, as a share.
BEYOND = Decimal("1e-8")
SHARES = [Decimal(text) for text in ("0.001", "0.0025", "0.005", "0.01", "0.02", "0.05", "0.1")]
MIDDLES = [Decimal(text) for text in ("0.25", "2", "4", "10", "40", "100", "120", "3000", "68000")]
MONEY = [Decimal(text) for text in ("1000", "3000", "70000", "123456.78", "999999.99", "5000000.1")]


def _reference(linked: LinkedSet, case: Case) -> Decision:
    return reference.decide(linked, case, check_mandatory=False)


def _compiled(linked: LinkedSet, case: Case) -> Decision:
    return numba_kernel.decide(linked, case, check_mandatory=False)


@pytest.fixture(params=[_reference, _compiled], ids=["reference", "kernel"])
def decide(request: pytest.FixtureRequest) -> Decide:
    found: Decide = request.param
    return found


def bound(gate: str) -> LinkedSet:
    documents = [load(POLICY.format(gate), "p.yaml"), load(INSTRUMENTS, "i.yaml")]
    return link(documents, check_mandatory=False)


def outcome(decide: Decide, linked: LinkedSet, **given: Any) -> Outcome:
    """What the only gate finds; prices and money as they are written."""
    given = {"bid": 10, "ask": 10, "price": 10, "equity": 1_000, "start": 1_000, **given}
    number = {name: float(value) for name, value in given.items()}
    book = {
        "currency": "USD",
        "equity": number["equity"],
        "day_start_equity": number["start"],
        "peak_equity": number["start"],
        "deposits": number.get("deposits", 0.0),
    }
    market = {"bid": number["bid"], "ask": number["ask"], "last": number["ask"], "age": "1s"}
    known = {"market": {"BTC/USD": market}, "books": {"account/main": book}}
    when = {
        "account": "main",
        "symbol": "BTC/USD",
        "side": "buy",
        "size": "1",
        "price": str(given["price"]),
    }
    return decide(linked, read_case(known, when, linked)).gates[0].outcome


@pytest.mark.parametrize("share", SHARES, ids=str)
def test_a_spread(decide: Decide, share: Decimal) -> None:
    linked = bound(f"rule: spread@1, limits: {{max_spread: {share * 100:f}%}}")
    for middle in MIDDLES:
        bid, ask = middle * (1 - share / 2), middle * (1 + share / 2)

        assert outcome(decide, linked, bid=bid, ask=ask) == "pass", middle
        assert outcome(decide, linked, bid=bid, ask=ask + middle * BEYOND) == "breach", middle


@pytest.mark.parametrize("window", ["", ", window: 10s"], ids=["now", "window"])
@pytest.mark.parametrize("share", SHARES, ids=str)
def test_a_price_collar(decide: Decide, share: Decimal, window: str) -> None:
    linked = bound(f"rule: price-collar@1, limits: {{max_deviation: {share * 100:f}%{window}}}")
    for middle in MIDDLES:
        quote = {"bid": middle, "ask": middle}
        for side in (1, -1):
            price, far = middle * (1 + side * share), middle * (1 + side * (share + BEYOND))

            assert outcome(decide, linked, price=price, **quote) == "pass", (middle, side)
            assert outcome(decide, linked, price=far, **quote) == "breach", (middle, side)


@pytest.mark.parametrize("share", SHARES, ids=str)
@pytest.mark.parametrize(
    "gate",
    ["daily-loss@1, limits: {max_loss_ratio: SHARE}", "drawdown@1, limits: {max_drawdown: SHARE}"],
    ids=["daily-loss", "drawdown"],
)
def test_a_loss_as_a_share(decide: Decide, gate: str, share: Decimal) -> None:
    linked = bound("rule: " + gate.replace("SHARE", f"{share * 100:f}%"))
    for start in MONEY:
        equity = start * (1 - share)

        assert outcome(decide, linked, start=start, equity=equity) == "pass", start
        beyond = equity - Decimal("0.001")
        assert outcome(decide, linked, start=start, equity=beyond) == "breach", start


@pytest.mark.parametrize("loss", ["0.3", "200.3", "1000.01"])
def test_a_loss_in_money(decide: Decide, loss: str) -> None:
    linked = bound(f"rule: daily-loss@1, limits: {{max_loss: {loss} USD}}")
    for start in MONEY:
        for deposits in (Decimal(0), Decimal("0.1"), Decimal("-33.33"), Decimal("123456.7")):
            equity = start + deposits - Decimal(loss)
            moved = {"start": start, "deposits": deposits}

            assert outcome(decide, linked, equity=equity, **moved) == "pass", moved
            beyond = equity - Decimal("0.000001")
            assert outcome(decide, linked, equity=beyond, **moved) == "breach", moved


@pytest.mark.parametrize(
    ("least", "decision"), [("57", "REDUCE_SIZE"), ("57.0001", "REJECT")], ids=["at it", "below it"]
)
def test_a_reduced_order_of_the_venues_smallest_value(
    decide: Decide, least: str, decision: str
) -> None:
    # 0.57 x 100 is 56.99999999999999 in float64.
    instruments = INSTRUMENTS.replace('"1"', '"0.01"').replace(
        "USD}", f"USD, min_notional: {least}}}"
    )
    policy = POLICY.format("rule: order-size@1, limits: {max_size: 0.57}, on_breach: reduce")
    linked = link([load(policy, "p.yaml"), load(instruments, "i.yaml")], check_mandatory=False)
    market = {"bid": 100, "ask": 100, "last": 100, "age": "1s"}
    when = {"account": "main", "symbol": "BTC/USD", "side": "buy", "size": "1", "price": "100"}

    answer = decide(linked, read_case({"market": {"BTC/USD": market}}, when, linked))

    assert answer.decision == decision
