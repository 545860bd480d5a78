"""The kernel against the reference interpreter: same decision, size, measures and words, bit for bit."""

import json
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from ringfence.backends import numba_kernel, reference
from ringfence.backends.numba_kernel.slots import Slot
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Case
from ringfence.language.policy_tests import read_case
from ringfence.language.rule_library import load_rule_library
from ringfence.language.source import load
from strategies import cases, policy_sets, read_pool, rule_pools

pytestmark = pytest.mark.unit

# Rules of one group are compiled together, with the library, so that a few kernels serve all examples. The
# nightly profile takes more of them: each costs some twenty seconds where no code is on disk yet.
GROUP = 10
COUNT = 1 if settings.default.max_examples <= 500 else 3
POOL = rule_pools(seed=3, count=COUNT * GROUP)
GROUPS = [POOL[first : first + GROUP] for first in range(0, len(POOL), GROUP)]
SLOTS = [
    tuple(
        Slot(rule, rule.can_reduce)
        for rule in sorted((*read_pool(group), *load_rule_library()), key=lambda rule: rule.key)
    )
    for group in GROUPS
]


@st.composite
def questions(draw: Any) -> tuple[int, LinkedSet, Case]:
    """A group of rules, a policy set that binds some of them, and a case for it."""
    group = draw(st.integers(0, len(GROUPS) - 1))
    return group, draw(policy_sets(GROUPS[group])), draw(cases())


@given(questions(), st.booleans())
def test_kernel_and_reference_agree_on_any_policy_book_and_order(
    question: tuple[int, LinkedSet, Case], mandatory: bool
) -> None:
    group, linked, case = question
    note("\n".join(json.dumps(each.data) for each in linked.documents.values()))

    found = numba_kernel.decide(linked, case, check_mandatory=mandatory, slots=SLOTS[group])

    # As text, in which every unknown number is equal to itself.
    assert repr(found) == repr(reference.decide(linked, case, check_mandatory=mandatory))


def test_they_agree_on_a_sum_that_passes_the_largest_amount_on_its_way() -> None:
    text = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: d}\n"
        "spec: {currency: USD, gates: [{rule: net-exposure@1, limits: {max: 100 USD}}]}\n"
    )
    linked = link([load(text, "policy.yaml")], check_mandatory=False)
    # 2**53 quanta are 9,007,199,254.740992: the first two together are more, which float64 does not count one by one.
    held = {"A/USD": "9007199254.740990", "B/USD": "3.000001", "C/USD": "-9007199254.740990"}
    step = {"lot_step": "0.000001", "min_size": "0.000001", "quote": "USD"}
    mark = {"bid": 1, "ask": 1, "last": 1, "age": "1s"}
    given = {
        "clock": "2026-01-05T12:00:00Z",
        "instruments": dict.fromkeys((*held, "D/USD"), step),
        "market": dict.fromkeys((*held, "D/USD"), mark),
        "books": {
            "account/main": {
                "currency": "USD",
                "equity": 1000,
                "positions": {symbol: {"size": size, "mark": 1} for symbol, size in held.items()},
            }
        },
    }
    when = {"account": "main", "symbol": "D/USD", "side": "buy", "size": "1", "price": "1"}
    case = read_case(given, when, linked)

    found = numba_kernel.decide(linked, case, check_mandatory=False)

    assert found.gate("net-exposure").measure == pytest.approx(4, abs=1e-5)
    assert repr(found) == repr(reference.decide(linked, case, check_mandatory=False))
