"""Headroom: the largest size of a rejected order that passes, held against asking about every size."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence import PolicySet
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.ports import FixedClock
from runtime.desk import NOON, SECOND, opened, order, policies

pytestmark = pytest.mark.unit

STEP = Decimal("0.1")
REJECTING = """
    - {rule: order-notional@1, limits: {max: 6_000 USD}}
    - {rule: net-exposure@1, limits: {max: 8_000 USD}, on_breach: reject}
    - {rule: open-orders@1, limits: {max_total: 3}}
    - {rule: venue-rules@1}
"""
LEAST = 'min_size: "0.1", tick_size: "0.01", multiplier: 1, base: BTC'


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    folder = tmp_path_factory.mktemp("desk") / "policies"
    policies(folder, more=REJECTING.rstrip("\n"))
    at = folder / "instruments.yaml"
    dear = LEAST.replace("0.1", "0.3", 1) + ', min_notional: "350"'
    at.write_text(at.read_text().replace(LEAST, dear))
    return PolicySet.load(folder)


def by_trying(guard: CentralRiskGuard, asked: str, **fields: Any) -> Decimal:
    """The largest size that passes as it is, found by asking about every one."""
    lots = int(Decimal(asked) / STEP)
    sizes = (each * STEP for each in range(lots, 0, -1))
    passing = (
        each
        for each in sizes
        if guard.preview_order(order(str(each), **fields)).decision == "APPROVE"
    )
    return next(passing, Decimal(0))


@given(
    st.lists(
        st.tuples(st.sampled_from(("buy", "sell")), st.integers(3, 90), st.booleans()), max_size=4
    ),
    st.sampled_from(("buy", "sell")),
    st.integers(1, 200),
)
def test_headroom_is_the_largest_size_that_passes(
    desk: PolicySet, before: list[tuple[str, int, bool]], side: str, lots: int
) -> None:
    guard = opened(desk)
    for at, tenths, fills in before:
        earlier = guard.evaluate_order(order(str(tenths * STEP), side=at))
        if earlier.size and fills:
            guard.on_fill(earlier.id, earlier.size, 1_000)
    asked = str(lots * STEP)
    expected = by_trying(guard, asked, side=side)

    found = guard.evaluate_order(order(asked, side=side))

    if found.size:
        assert found.headroom == found.size
    else:
        assert found.headroom == expected
        assert guard.preview_order(order(asked, side=side)).headroom == expected


def test_it_is_of_the_moment_it_is_asked_at(tmp_path: Path) -> None:
    guard = opened(policies(tmp_path / "policies", more=REJECTING.rstrip("\n")))
    rejected = guard.evaluate_order(order("7"))

    assert rejected.headroom == 6
    guard.evaluate_order(order("5"))
    assert rejected.headroom == 3
    guard.set_kill_switch("firm", "halted", by="ann", reason="a test")
    assert rejected.headroom == 0


def test_where_no_gate_was_asked_there_is_none(tmp_path: Path) -> None:
    guard = opened(policies(tmp_path / "policies"))

    assert guard.evaluate_order(order("0.05")).headroom == 0
    assert guard.evaluate_order(order("1", account="nobody")).headroom == 0


def test_a_repeated_rejection_has_the_headroom_of_now(tmp_path: Path) -> None:
    guard = opened(policies(tmp_path / "policies", more=REJECTING.rstrip("\n")))
    asked = order("7", client_order_id="a-1")
    guard.evaluate_order(asked)

    again = guard.evaluate_order(asked)

    assert again.repeated
    assert again.headroom == 6


def test_nothing_passes_where_nothing_can_be_decided(tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    guard = opened(policies(tmp_path / "policies", more=REJECTING.rstrip("\n")), clock=clock)
    rejected = guard.evaluate_order(order("7"))

    clock.advance(60 * SECOND)
    assert rejected.headroom == 0
    guard.close()
    assert rejected.headroom == 0
