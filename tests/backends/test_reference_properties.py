"""The reference interpreter over generated rules, policies and cases, bad data included."""

import math
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ringfence.backends.reference import decide
from ringfence.backends.reference.interpreter import evaluate
from ringfence.language import ir
from ringfence.language.decision import Decision, Outcome, RiskDecision
from ringfence.language.fields import FIELDS
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Case, to_decimal
from ringfence.language.rules import walk
from strategies import Expression, cases, expressions, policy_sets, read_pool, rule_pools

pytestmark = pytest.mark.unit

POOL = rule_pools(seed=3, count=60)
PASSED = (Outcome.PASS, Outcome.EXEMPT)
NUMBERS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 3.0, math.nan, math.inf, -math.inf, 1e300, 5e-324]),
    st.floats(),
)


@st.composite
def questions(draw: Any) -> tuple[LinkedSet, Case]:
    """A policy set and a case for it."""
    first = draw(st.integers(0, len(POOL) // 6 - 1)) * 6
    return draw(policy_sets(POOL[first : first + 6])), draw(cases())


def ask(linked: LinkedSet, case: Case, size: Decimal | None = None) -> Decision:
    if size is None:
        return decide(linked, case, check_mandatory=False)
    asked = case.order.size
    case.order.size = size
    try:
        return decide(linked, case, check_mandatory=False)
    finally:
        case.order.size = asked


def test_the_same_seed_makes_the_same_rules() -> None:
    again = rule_pools(seed=3, count=60)

    assert [each.data for each in again] == [each.data for each in POOL]
    assert rule_pools(seed=4, count=60)[0].data != POOL[0].data


def test_generated_rules_hold_every_node_and_every_field() -> None:
    nodes = [
        node
        for rule in read_pool(rule_pools(seed=1, count=600))
        for check in rule.checks
        for node in (*walk(check.measure), *walk(check.limit))
    ]
    kinds = {type(node).__name__ for node in nodes}

    assert kinds == {name for name in ir.__all__ if name != "Node"}
    assert {node.name for node in nodes if isinstance(node, ir.Field)} == set(FIELDS)


@given(expressions(), st.data())
def test_an_expression_is_a_number_or_unknown_whatever_its_inputs(
    expression: Expression, data: st.DataObject
) -> None:
    known = {name: data.draw(NUMBERS, label=name) for name in ("a", "b", "c")}
    names = list(known)

    def read(name: str) -> float:
        value = known[names[len(name) % 3]]
        # A boolean or a choice is never another number than those that stand for it.
        return value if FIELDS[name].unit.numeric or value in (0.0, 1.0) else math.nan

    params = {name: known[names[len(name) % 3]] for name in expression.parameters}
    value = evaluate(expression.node, read, params)

    assert isinstance(value, float)
    if expression.node.unit.kind == "boolean":
        assert value in (0.0, 1.0) or math.isnan(value)


@given(questions())
def test_a_decision_is_always_made_and_speaks_of_every_gate(
    question: tuple[LinkedSet, Case],
) -> None:
    linked, case = question
    order = case.order
    decision = ask(linked, case)

    bound = linked.bind(order.account, order.strategy, order.venue, order.symbol)
    assert [(each.policy, each.gate) for each in decision.gates] == [
        (each.gate.policy.label, each.gate.name) for each in bound
    ]
    if decision.decision is RiskDecision.APPROVE:
        assert decision.size == to_decimal(order.size)
    if decision.decision is RiskDecision.REJECT:
        assert (decision.size, bool(decision.code), bool(decision.reason)) == (0, True, True)
    for result in decision.gates:
        if result.mode == "enforce" and decision.decision is RiskDecision.APPROVE:
            assert result.outcome in PASSED
        if result.outcome is Outcome.PASS:
            assert math.isfinite(result.measure)
            assert math.isfinite(result.limit)


@given(questions())
def test_a_reduced_size_passes_every_gate_and_no_larger_one_does(
    question: tuple[LinkedSet, Case],
) -> None:
    linked, case = question
    decision = ask(linked, case)
    if decision.decision is not RiskDecision.REDUCE_SIZE:
        return
    asked = to_decimal(case.order.size)
    assert asked is not None
    step = case.instruments[case.order.symbol].lot_step

    assert 0 < decision.size < asked
    assert decision.size % step == 0
    assert ask(linked, case, decision.size).decision is RiskDecision.APPROVE
    larger = int((asked - decision.size) / step)
    for more in {1, *range(1, min(larger, 40)), larger}:
        again = ask(linked, case, decision.size + more * step)
        assert (again.decision, again.size) != (RiskDecision.APPROVE, decision.size + more * step)


def test_all_decisions_and_outcomes_come_up_often() -> None:
    decisions: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    exact = 0

    @settings(
        max_examples=500,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(questions())
    def count(question: tuple[LinkedSet, Case]) -> None:
        nonlocal exact
        decision = ask(*question)
        decisions[decision.decision] += 1
        outcomes.update(each.outcome for each in decision.gates)
        exact += any(each.measure == each.limit for each in decision.gates)

    count()
    every = sum(decisions.values())
    assert {name for name, number in decisions.items() if number >= 0.08 * every} == set(
        RiskDecision
    )
    gates = sum(outcomes.values())
    assert {name for name, number in outcomes.items() if number >= 0.01 * gates} == set(Outcome)
    assert exact >= 0.03 * every
