"""Explanations over generated rules, policies and cases, bad data included: their numbers are the interpreter's."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringfence.backends.reference import decide
from ringfence.language.decision import GateResult, Outcome
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Case
from ringfence.review.explaining.explanation import Explanation, GateExplained, explain
from ringfence.review.explaining.explanation_data import explanation_data
from ringfence.review.explaining.explanation_words import explanation_lines, explanation_markdown
from ringfence.review.explaining.why_not import why_not
from strategies import cases, policy_sets, rule_pools

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = jsonschema.Draft202012Validator(
    json.loads((ROOT / "schemas" / "explanation.v1.schema.json").read_text("utf-8"))
)
POOL = rule_pools(seed=11, count=60)


@st.composite
def questions(draw: Any) -> tuple[LinkedSet, Case]:
    """A policy set and a case for it."""
    first = draw(st.integers(0, len(POOL) // 6 - 1)) * 6
    return draw(policy_sets(POOL[first : first + 6])), draw(cases())


def fields_of(told: Explanation) -> list[Any]:
    return [
        each.opened
        for gate in told.gates
        if gate.explained is not None
        for each in gate.explained.inputs
        if each.opened is not None
    ]


def test_every_number_is_the_interpreter_s_and_every_arithmetic_gives_it() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=80, suppress_health_check=list(HealthCheck))
    @given(questions())
    def hold(question: tuple[LinkedSet, Case]) -> None:
        linked, case = question
        told = explain(linked, case, check_mandatory=False)
        # As text, in which an unknown number is equal to itself.
        decision = decide(linked, case, check_mandatory=False)

        assert repr(told.decision) == repr(decision)
        for gate, result in zip(told.gates, decision.gates, strict=True):
            assert repr(gate.result) == repr(result)
            if gate.explained is not None:
                held_to(gate, result)
        fields = fields_of(told)
        assert [each for each in fields if each.adds_up == "no"] == []
        seen.update(each.adds_up for each in fields)
        seen.update(each.name for each in fields if each.adds_up)

    hold()
    assert seen["exactly"] > 80
    opened = {name for name in seen if name.startswith("book.")}
    assert opened >= {"book.exposure_after", "book.position_after", "book.day_loss"}
    assert len(opened) >= 5


def held_to(gate: GateExplained, result: GateResult) -> None:
    """The check that is shown has the numbers of the gate's result."""
    assert gate.explained is not None
    shown = [each for each in gate.explained.checks if each.shown]
    if result.outcome is Outcome.EXEMPT or not gate.explained.checks:
        assert not shown
        return
    assert [repr(each.measure.value) for each in shown] == [repr(result.measure)]
    assert [repr(each.limit.value) for each in shown] == [repr(result.limit)]
    outcome = Outcome.BREACH if result.outcome is Outcome.REDUCE else result.outcome
    assert [each.outcome for each in shown] == [outcome]


@settings(max_examples=25)
@given(questions())
def test_it_can_be_said_in_every_form_whatever_the_numbers(
    question: tuple[LinkedSet, Case],
) -> None:
    linked, case = question
    told = explain(linked, case, check_mandatory=False)

    SCHEMA.validate(json.loads(json.dumps(explanation_data(told), allow_nan=False)))
    assert all("\n" not in text for text, _ in explanation_lines(told))
    assert explanation_markdown(told).startswith(f"### {told.decision.decision}")


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(questions(), st.sampled_from(["1", "0.5", "1000", "100000"]))
def test_what_a_size_needs_is_said_whatever_the_numbers(
    question: tuple[LinkedSet, Case], size: str
) -> None:
    linked, case = question

    told = why_not(linked, case, size, check_mandatory=False)

    for way in (way for needs in told.needs for way in needs.ways):
        assert way.text
        # A limit that is suggested is enough; one quote, switch or price may not be, and then that is said.
        assert way.confirmed is not False or way.kind != "limit"
        assert (way.confirmed is None) == (way.kind == "need")
