"""Proofs as a trader reads them, and as findings."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ringfence.errors import Span
from ringfence.language.decision import Decision, RiskDecision
from ringfence.language.invariant_library import shipped_invariants
from ringfence.language.linking import LinkedSet, link
from ringfence.language.source import load
from ringfence.language.units import BOOLEAN, DURATION, MONEY, STATE, choice
from ringfence.review.case_text import TestCase
from ringfence.review.counterexamples import Counterexample
from ringfence.review.proof_words import findings_of, order_lines, proof_lines
from ringfence.review.proofs import Proof

pytestmark = pytest.mark.unit

GIVEN: dict[str, Any] = {
    "clock": "2026-01-05T12:00:00Z",
    "market": {"BTC/USD": {"bid": 50000.0, "age": "1s"}, "ETH/USD": {}},
    "books": {
        "firm": {
            "equity": 1e6,
            "positions": {"ETH/USD": {"size": "-20", "mark": 2000.0}},
            "working": [{"side": "buy", "size": "2", "symbol": "ETH/USD"}],
        },
        "account/alpha": {},
    },
    "control": {"kill_switch": {"firm": "reducing"}},
}
WHEN = {
    "account": "alpha",
    "strategy": "taker",
    "symbol": "BTC/USD",
    "side": "buy",
    "type": "stop",
    "size": "1.5",
    "stop_price": "50000.10",
    "reduce_only": True,
}
DECIDED = Decision(RiskDecision.REDUCE_SIZE, "TOTAL_EXPOSURE", Decimal("1.2"), "T", (), "")
EXAMPLE = Counterexample(
    given=GIVEN,
    when=WHEN,
    decision=DECIDED,
    words="the claim is false",
    values={
        "order.notional": (75_000.0, MONEY),
        "control.kill_state": (1.0, STATE),
        "order.is_buy": (1.0, BOOLEAN),
        "order.type": (1.0, choice("limit", "stop")),
        "market.age": (float("nan"), DURATION),
    },
    confirmed_by=("reference", "numba"),
    test=TestCase("a case", GIVEN, WHEN, {"decision": "REJECT"}),
)
KILL_SWITCH = next(each for each in shipped_invariants() if each.claim is not None)


@pytest.fixture(scope="module")
def linked() -> LinkedSet:
    text = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: d}\n"
        "spec: {currency: USD, gates: [{rule: kill-switch@1}]}\n"
    )
    return link([load(text, "policy.yaml")], check_mandatory=False)


def test_an_order_is_told_with_all_that_it_was_judged_by(linked: LinkedSet) -> None:
    assert list(order_lines(EXAMPLE, linked)) == [
        "order: buy 1.5 BTC/USD stop at 50,000.10 for account alpha strategy taker reduce-only at "
        "2026-01-05T12:00:00Z",
        "market: BTC/USD: bid 50,000, age 1s",
        "market: ETH/USD: no data",
        "book: firm: equity 1,000,000, holds -20 ETH/USD marked 2,000, buy 2 ETH/USD works",
        "book: account/alpha: nothing is known",
        "switches: firm reducing",
        "decided: REDUCE_SIZE 1.2 (TOTAL_EXPOSURE), says the interpreter and the kernel",
        "broken: the claim is false",
        "  order.notional = 75,000 USD",
        "  control.kill_state = reducing",
        "  order.is_buy = true",
        "  order.type = stop",
        "  market.age = unknown",
    ]


def test_each_outcome_has_its_line(linked: LinkedSet) -> None:
    def first(proof: Proof) -> str:
        return next(proof_lines(proof, linked))

    name = "kill-switch-dominates"
    assert first(Proof(KILL_SWITCH, cells=1)) == f"  proved   {name:<28}in 1 part"
    assert first(Proof(KILL_SWITCH, cells=2, kept=True)).endswith("in 2 parts, known from before")
    assert first(Proof(KILL_SWITCH, "refuted", counterexample=EXAMPLE)) == f"  refuted  {name}"
    assert first(Proof(KILL_SWITCH, "skipped", reason="no base")).endswith("no base")
    refuted = list(proof_lines(Proof(KILL_SWITCH, "refuted", counterexample=EXAMPLE), linked))
    assert "(shipped with ringfence)" in refuted[1]
    assert "      - name: a case" in refuted


def test_findings_about_shipped_claims_point_at_what_can_be_mended(linked: LinkedSet) -> None:
    refuted = Proof(KILL_SWITCH, "refuted", counterexample=EXAMPLE)
    approved = replace(
        EXAMPLE, decision=replace(DECIDED, decision=RiskDecision.APPROVE, size=Decimal(1))
    )
    found = findings_of(
        [
            refuted,
            replace(refuted, counterexample=approved),
            Proof(KILL_SWITCH, "unknown", reason="no proof"),
            Proof(KILL_SWITCH, "empty"),
            Proof(KILL_SWITCH),
            Proof(KILL_SWITCH, "skipped"),
        ],
        linked,
        allowed=["unknown"],
    )

    assert [(each.code, each.severity) for each in found] == [
        ("E530", "error"),
        ("E530", "error"),
        ("E531", "warning"),
        ("E536", "error"),
    ]
    assert {each.span for each in found} == {Span("policy.yaml", 4, 23, 4, 28)}
    assert "is reduced to 1.2" in found[0].message
    assert "is approved" in found[1].message
    assert all(each.why and each.fix for each in found)
