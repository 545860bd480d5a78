"""The kernel's smaller sizes against brute force over every lot; and that limits are data, not code."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from backends.test_kernel_properties import GROUPS, SLOTS
from ringfence.backends import numba_kernel
from ringfence.backends.numba_kernel import kernel
from ringfence.backends.numba_kernel.module_text import module_text
from ringfence.backends.numba_kernel.slots import slots_of
from ringfence.language.decision import Decision, RiskDecision
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Case, to_decimal
from strategies import cases, policy_sets

pytestmark = pytest.mark.unit

# Each example asks for every lot: some thirty decisions.
FEWER = max(20, settings.default.max_examples // 5)


@st.composite
def questions(draw: Any) -> tuple[LinkedSet, Case, int]:
    """A policy set, a case whose order is a few coarse lots, and how many."""
    linked, case = draw(policy_sets(GROUPS[0])), draw(cases())
    size, instrument = to_decimal(case.order.size), case.instruments.get(case.order.symbol)
    assume(size is not None and instrument is not None)
    # A remainder of more digits than a Decimal holds cannot be taken.
    assume(0 < size < 10**15 * instrument.lot_step)
    lots = draw(st.sampled_from((5, 8, 20, 40)))
    step = size / lots
    assume(step > 0 and step * lots == size and step % instrument.lot_step == 0)
    case.instruments[case.order.symbol] = replace(instrument, lot_step=step)
    return linked, case, lots


def ask(linked: LinkedSet, case: Case, size: Decimal | None = None) -> Decision:
    asked = case.order.size
    case.order.size = asked if size is None else size
    try:
        return numba_kernel.decide(linked, case, check_mandatory=False, slots=SLOTS[0])
    finally:
        case.order.size = asked


@settings(max_examples=FEWER, suppress_health_check=list(HealthCheck))
@given(questions())
def test_a_reduced_size_is_the_largest_that_is_approved(
    question: tuple[LinkedSet, Case, int],
) -> None:
    linked, case, lots = question
    decision = ask(linked, case)
    if decision.decision is not RiskDecision.REDUCE_SIZE:
        return

    step = case.instruments[case.order.symbol].lot_step
    sizes = [number * step for number in range(1, lots)]
    approved = [size for size in sizes if ask(linked, case, size).decision is RiskDecision.APPROVE]
    assert decision.size == max(approved)


def test_smaller_sizes_come_up_often() -> None:
    found: Counter[str] = Counter()

    @settings(
        max_examples=200,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(questions())
    def count(question: tuple[LinkedSet, Case, int]) -> None:
        linked, case, _ = question
        found[ask(linked, case).decision] += 1

    count()
    assert found[RiskDecision.REDUCE_SIZE] >= 4


@settings(max_examples=FEWER)
@given(st.integers(0, 30), st.data())
def test_sets_that_differ_in_limits_alone_are_the_same_module(
    shape: int, data: st.DataObject
) -> None:
    first = data.draw(policy_sets(GROUPS[0], shape=shape))
    second = data.draw(policy_sets(GROUPS[0], shape=shape))

    assert module_text(slots_of(first)) == module_text(slots_of(second))


@settings(max_examples=FEWER)
@given(policy_sets([]), policy_sets([]))
def test_sets_of_library_rules_alone_are_the_same_module(
    first: LinkedSet, second: LinkedSet
) -> None:
    assert module_text(slots_of(first)) == module_text(slots_of(second))


def test_other_limits_load_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask_times(times: int) -> None:
        @settings(max_examples=times, derandomize=True, database=None, phases=[Phase.generate])
        @given(policy_sets([]), cases())
        def ask_any(linked: LinkedSet, case: Case) -> None:
            numba_kernel.decide(linked, case, check_mandatory=False)

        ask_any()

    def refuse(*_: object) -> None:
        raise AssertionError("compiled or loaded again")

    # The first cases are simple ones, which may be refused before anything is compiled.
    ask_times(10)
    monkeypatch.setattr(kernel, "load_module", refuse)
    ask_times(60)
