"""The solver held against the interpreter: what is proved holds of every case, what is refuted is broken by one.

Policy sets are random (rules of the library with random limits, levels, modes, overrides), and so are the
cases. Whatever the interpreter approves or reduces must keep every claim that was proved of its policy set.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from ringfence.backends.reference.claims import broken
from ringfence.language.invariant_library import STRICTNESS, shipped_invariants
from ringfence.language.invariants import Invariant, read_invariant
from ringfence.language.linking import LinkedSet, link
from ringfence.language.policy_tests import read_case
from ringfence.language.source import load
from ringfence.review.proofs import Proof, Question, prove
from strategies import cases, policy_sets

pytestmark = pytest.mark.unit

CASES = 15
# Without shrinking: a solver's question takes too long to be asked a thousand times.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
MONEY = (1_000, 9_999, 10_000, 10_001, 20_000, 100_000)
PAIRS = (
    (
        "{{rule: order-notional@1, limits: {{max: {n} USD}}, on_breach: {act}}}",
        "claim: order.notional <= params.most, parameters: {{most: {n} USD}}",
        MONEY,
    ),
    (
        "{{rule: order-size@1, limits: {{max_size: {n}}}, on_breach: {act}}}",
        "claim: order.size <= params.most, parameters: {{most: {{quantity: {n}}}}}",
        (0.5, 1, 2, 10),
    ),
    (
        "{{rule: total-exposure@1, limits: {{max: {n} USD, working: {how}}}, level: {level}}}",
        "claim: book.exposure_after <= params.most, assume: [not order.risk_reducing], level: {level}, "
        "parameters: {{most: {n} USD, working: {how}}}",
        MONEY,
    ),
    (
        "{{rule: position-size@1, limits: {{max: {n} USD}}, level: {level}, on_breach: {act}}}",
        "claim: order.risk_reducing or book.position_after <= params.most, level: {level}, "
        "parameters: {{most: {n} USD, working: worst-case}}",
        MONEY,
    ),
    (
        "{{rule: total-exposure@1, limits: {{max: {n} USD}}, level: {level}, applies_to: all}}",
        "claim: order.notional <= params.most or order.risk_reducing, level: {level}, "
        "parameters: {{most: {n} USD}}",
        MONEY,
    ),
    (
        "{{rule: position-count@1, limits: {{max_positions: {n}}}, level: {level}}}",
        "claim: order.risk_reducing or book.positions_after <= {n}, level: {level}",
        (1, 2, 3),
    ),
    (
        "{{rule: data-quality@1, limits: {{max_age: {n}s}}, applies_to: all}}",
        "claim: market.age <= params.most and market.bid <= market.ask, parameters: {{most: {n}s}}",
        (1, 5, 10),
    ),
    (
        "{{rule: drawdown@1, limits: {{max_drawdown: {n}%}}, level: {level}}}",
        "claim: book.drawdown <= params.most, assume: [not order.risk_reducing], level: {level}, "
        "parameters: {{most: {n}%}}",
        (5, 10, 50),
    ),
    (
        "{{rule: order-rate@1, limits: {{max_orders: {n}, window: 60s}}, level: {level}}}",
        "claim: order.rate <= {n}, parameters: {{window: 60s}}, level: {level}",
        (1, 2, 5),
    ),
    (
        "{{rule: order-rate@1, limits: {{max_per_symbol: {n}, window: 60s}}, level: {level}}}",
        "claim: order.symbol_messages <= {n}, parameters: {{window: 60s, counts: messages}}, level: {level}",
        (1, 2, 5),
    ),
    (
        "{{rule: order-rate@1, limits: {{max_orders: {n}, window: 60s, counts: orders}}, level: {level}}}",
        "claim: order.messages <= {n}, parameters: {{window: 60s, counts: messages}}, level: {level}",
        (1, 2, 5),
    ),
    (
        "{{rule: price-collar@1, limits: {{max_deviation: {n}%, reference: mid}}}}",
        "claim: order.price_deviation <= params.most, parameters: {{most: {n}%, reference: mid}}",
        (1, 5, 10),
    ),
    (
        "{{rule: kill-switch@1, level: {level}}}",
        "claim: control.kill_state == 0 or order.risk_reducing, level: {level}",
        (0,),
    ),
)
"""A gate, a claim that it may bear out, and numbers for both."""


def claim_of(spec: str) -> Invariant:
    text = (
        "apiVersion: ringfence/v1\nkind: Invariant\n"
        f"metadata: {{name: own, version: 1.0.0, description: d}}\nspec: {{{spec}}}\n"
    )
    invariant, findings = read_invariant(load(text, "own.yaml"))
    assert invariant is not None, findings
    return invariant


@st.composite
def desks(draw: Any) -> tuple[LinkedSet, Invariant]:
    """Gates and a claim about them, which holds or does not by what is drawn."""
    pick = draw(st.sampled_from(PAIRS))
    words = {
        "level": draw(st.sampled_from(("account", "strategy", "firm"))),
        "how": draw(st.sampled_from(("worst-case", "gross"))),
        "act": draw(st.sampled_from(("reject", "reduce"))),
    }
    number = draw(st.sampled_from(pick[2]))
    claimed = draw(st.sampled_from((number, number, *pick[2])))
    other = {**words, "level": draw(st.sampled_from((words["level"], words["level"], "firm")))}
    gates = [pick[0].format(n=number, **words)]
    for gate, _, numbers in draw(st.lists(st.sampled_from(PAIRS), max_size=2)):
        gates.append(gate.format(n=draw(st.sampled_from(numbers)), **words))
    listed = "".join(
        f"    - {gate[:-1]}, name: gate-{place}{draw(st.sampled_from(EXTRAS))}}}\n"
        for place, gate in enumerate(gates)
    )
    policy = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: d}\n"
        f"spec:\n  currency: USD\n  gates:\n{listed}"
    )
    linked = link([load(policy, "policy.yaml"), load(DESK, "desk.yaml")], check_mandatory=False)
    return linked, claim_of(pick[1].format(n=claimed, **other))


EXTRAS = ("", "", "", "", ", mode: shadow")
DESK = (
    "apiVersion: ringfence/v1\nkind: Instruments\n"
    "metadata: {name: desk, version: 1.0.0, description: d}\n"
    "spec:\n  fx: {EUR/USD: 1.25}\n  instruments:\n    BTC/USD: {lot_step: '0.1', min_size: '0.1', "
    "tick_size: '0.1', multiplier: 1, base: BTC, quote: USD}\n"
)


def confirm(proof: Proof, linked: LinkedSet, base: LinkedSet | None = None) -> None:
    """An order that refutes is one that breaks."""
    event(f"{proof.invariant.name}: {proof.status}")
    if proof.status == "refuted":
        example = proof.counterexample
        assert example is not None
        case = read_case(example.given, example.when, linked)
        assert broken(proof.invariant, linked, case, base=base, check_mandatory=False)


def hold(linked: LinkedSet, invariants: list[Invariant], data: st.DataObject) -> None:
    """What is proved holds of drawn cases; what refutes breaks."""
    proofs = prove(Question(linked, invariants, timeout_s=0.3, check_mandatory=False))
    for proof in proofs:
        confirm(proof, linked)
    sound = [each for each in proofs if each.status in ("proved", "empty")]
    for case in data.draw(st.lists(cases(), min_size=CASES, max_size=CASES)):
        # What is declared are orders in this symbol; others are refused by every guard.
        case.order.symbol = "BTC/USD"
        for proof in sound:
            assert broken(proof.invariant, linked, case, check_mandatory=False) == ""


@settings(max_examples=15, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(desk=desks(), data=st.data())
def test_a_claim_that_is_proved_holds_of_every_case(
    desk: tuple[LinkedSet, Invariant], data: st.DataObject
) -> None:
    linked, claim = desk

    hold(linked, [claim], data)


@settings(max_examples=6, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(linked=policy_sets([]), data=st.data())
def test_what_is_proved_of_any_policy_set_holds_of_every_case(
    linked: LinkedSet, data: st.DataObject
) -> None:
    hold(linked, [each for each in shipped_invariants() if each.name != STRICTNESS], data)


@settings(max_examples=5, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(head=policy_sets([], shape=3), base=policy_sets([], shape=3), data=st.data())
def test_what_is_as_strict_as_its_base_approves_no_more(
    head: LinkedSet, base: LinkedSet, data: st.DataObject
) -> None:
    strict = [each for each in shipped_invariants() if each.name == STRICTNESS]
    question = Question(head, strict, base, timeout_s=0.3, check_mandatory=False)
    (proof,) = prove(question)
    confirm(proof, head, base)

    for case in data.draw(st.lists(cases(), min_size=CASES, max_size=CASES)):
        case.order.symbol = "BTC/USD"
        if proof.status == "proved":
            assert broken(proof.invariant, head, case, base=base, check_mandatory=False) == ""
