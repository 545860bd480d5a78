"""Branches of expressions: what an evaluation took is a branch that there is, and explains its value."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.backends.reference import decide
from ringfence.backends.reference.interpreter import evaluate
from ringfence.language import ir
from ringfence.language.fields import FIELDS
from ringfence.language.rules import walk
from ringfence.review.testing.branches import SETTLED, branches, taken
from ringfence.review.testing.items import items_of_rule
from ringfence.review.testing.seen import seen_in
from strategies import Expression, cases, expressions, policy_sets, rule_pools

pytestmark = pytest.mark.unit

POOL = rule_pools(seed=5, count=60)
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 3.0, math.nan, 1e6])


def chosen_part(node: ir.Node, labels: dict[int, str], place: int) -> ir.Node | None:
    """The part whose value a node has, by the branch that it took."""
    label = labels.get(place, "")
    match node:
        case ir.Conditional(then=then, otherwise=other) if label:
            return then if label == "true" else other
        case ir.Extreme(values=values) if label:
            return values[int(label.removeprefix("part ")) - 1]
        case ir.Logic(values=values) if label.startswith("part"):
            return values[int(label.removeprefix("part ")) - 1]
    return None


@settings(max_examples=150, deadline=None)
@given(st.data(), expressions())
def test_the_branch_that_is_taken_gives_the_value(data: Any, expression: Expression) -> None:
    root = expression.node
    values = {name: data.draw(NUMBERS, name) for name in FIELDS if name in expression.text}
    values |= dict.fromkeys(SETTLED, 1.0)
    params = {name: data.draw(NUMBERS, name) for name in expression.parameters}

    def read(name: str) -> float:
        return values[name]

    found = list(taken(root, read, params))
    assert set(found) <= {branch for branch, _ in branches(root)}
    labels = dict(found)
    assert len(labels) == len(found)
    for place, node in enumerate(walk(root)):
        part = chosen_part(node, labels, place)
        if part is not None:
            whole, own = evaluate(node, read, params), evaluate(part, read, params)
            assert whole == own or (math.isnan(whole) and math.isnan(own))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_case_shows_only_what_there_is_to_show(data: Any) -> None:
    first = data.draw(st.integers(0, len(POOL) // 6 - 1)) * 6
    linked = data.draw(policy_sets(POOL[first : first + 6]))
    case = data.draw(cases())

    decision = decide(linked, case, check_mandatory=False)
    then = {"decision": str(decision.decision), "size": str(decision.size)}
    shown = set(seen_in(linked, case, decision, then, of_set=False))

    there_is = {each.key for rule in linked.rules for each in items_of_rule(rule)}
    assert shown <= there_is
    names = {gate.label for gate in linked.gates} | {each.label for each in linked.policies}
    of_set = set(seen_in(linked, case, decision, then, of_set=True)) - there_is
    assert {each[0] for each in of_set} <= names
