"""Directions of random changes, held against decisions of random orders: a proof is never contradicted."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from ringfence.backends.reference import decide
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Case, to_decimal
from ringfence.language.policy_tests import read_case
from ringfence.review import cell_directions
from ringfence.review.directions import Direction, compare_sets
from strategies import Drawn, cases, document_of, policy_sets, rule_pools
from strategies.policies import VALUES

pytestmark = pytest.mark.unit

POOL = rule_pools(seed=11, count=12)


@st.composite
def changes(draw: Any) -> tuple[LinkedSet, LinkedSet, list[Case]]:
    """Two policy sets, mostly one gate apart, and orders with their books."""
    choose = Drawn(draw)
    rules = POOL[:6] if choose.chance(20) else []
    base = draw(policy_sets(rules))
    head = _with_one_change(choose, base) if choose.chance(80) else draw(policy_sets(rules))
    found = draw(st.lists(cases(), min_size=3, max_size=6))
    return _undeclared(base), _undeclared(head), found


def _with_one_change(choose: Drawn, base: LinkedSet) -> LinkedSet:
    """The set with one gate changed: a limit, what a breach does, whom it binds; or left out."""
    documents = {path: copy.deepcopy(each.data) for path, each in base.documents.items()}
    gate = choose.pick(base.gates)
    gates = documents[gate.policy.document.path]["spec"]["gates"]
    place = next(k for k, each in enumerate(gates) if each["name"] == gate.name)
    kind = choose.pick(("limit", "limit", "limit", "mode", "breach", "applies", "gone"))
    given = gates[place].setdefault("limits", {})
    named = [each for each in gate.rule.parameters.parameters.values() if each.type in VALUES]
    if kind == "limit" and named:
        parameter = choose.pick(named)
        if not parameter.currency:
            given[parameter.name] = choose.pick(VALUES[parameter.type])
    elif kind == "breach":
        changed = "reject" if gate.on_breach == "reduce" or not gate.rule.can_reduce else "reduce"
        gates[place]["on_breach"] = changed
    elif kind == "applies":
        gates[place]["applies_to"] = "all" if gate.applies_to != "all" else "risk_increasing"
    elif kind == "gone" and len(gates) > 1:
        del gates[place]
    else:
        gates[place]["mode"] = "shadow" if gate.mode == "enforce" else "enforce"
    made = [document_of(data, path) for path, data in documents.items()]
    return link(made, check_mandatory=False)


def _undeclared(linked: LinkedSet) -> LinkedSet:
    """The orders bring their instruments along, so that every symbol may be traded."""
    return replace(linked, desk=replace(linked.desk, instruments={}), _cache={})


@settings(max_examples=20, phases=(Phase.explicit, Phase.generate))
@given(changes())
def test_no_order_contradicts_a_direction_and_every_witness_is_one(
    change: tuple[LinkedSet, LinkedSet, list[Case]],
) -> None:
    base, head, asked = change
    with pytest.MonkeyPatch.context() as patch:
        # What takes long is unknown, which is always right.
        patch.setattr(cell_directions, "_QUICK_MS", 100)
        patch.setattr(cell_directions, "_LONG_MS", 200)
        found = compare_sets(base, head, check_mandatory=False)

    event(found.direction)
    for case in asked:
        for times in (1, 3, 50):
            before, after = (_size(each, case, times) for each in (base, head))
            assert not (found.never_looser and after > before), case
            assert not (found.never_tighter and after < before), case
    for witness, looser in ((found.looser, True), (found.tighter, False)):
        if witness is not None:
            sizes = [
                decide(
                    each, read_case(witness.given, witness.when, each), check_mandatory=False
                ).size
                for each in (base, head)
            ]
            assert sizes[1] > sizes[0] if looser else sizes[1] < sizes[0]
    assert (found.direction is Direction.EQUAL) == (found.never_looser and found.never_tighter)


def _size(linked: LinkedSet, case: Case, times: int) -> Any:
    asked, number = case.order.size, to_decimal(case.order.size)
    plain = number is not None and 0 < number < 10**12
    case.order.size = number * times if plain else asked
    try:
        return decide(linked, case, check_mandatory=False).size
    finally:
        case.order.size = asked
