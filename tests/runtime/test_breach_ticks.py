"""Halts that wait for several ticks, so that one bad price halts nobody."""

from pathlib import Path

import pytest

from ringfence import PolicySet, RiskDecision
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from runtime.desk import NOON, SECOND, Records, opened, order, policies

pytestmark = pytest.mark.unit

# 10 BTC were bought at 1,000: a loss of 3.4 % of the day's start, where 3 % are allowed.
DEEP, SOUND = 660.0, 990.0
TARGET = "account/main"


@pytest.fixture
def desk(tmp_path: Path) -> PolicySet:
    return policies(tmp_path / "policies", daily="halt, confirm_ticks: 3")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def guard(desk: PolicySet, clock: FixedClock, records: Records) -> CentralRiskGuard:
    guard = opened(desk, clock=clock, settings=GuardSettings(in_memory=True), audit=records)
    guard.on_direct_fill("main", "", "BTC/USD", "buy", "10", 1_000)
    return guard


def tick(guard: CentralRiskGuard, clock: FixedClock, price: float, symbol: str = "BTC/USD") -> None:
    clock.advance(SECOND)
    guard.on_mark(symbol, MarketData(price, price, price, clock.now_ns()))


def ask(guard: CentralRiskGuard) -> str:
    """Code of the answer to a small order that adds risk; empty for an approval."""
    found = guard.evaluate_order(order("0.1", price="600"))
    if found.decision is RiskDecision.APPROVE:
        guard.on_cancel(found.id)
    return found.code


def test_one_bad_price_rejects_and_halts_nobody(guard: CentralRiskGuard, clock: FixedClock) -> None:
    tick(guard, clock, DEEP)
    assert [ask(guard) for _ in range(5)] == ["DAILY_LOSS"] * 5

    tick(guard, clock, SOUND)
    assert ask(guard) == ""
    assert guard.kill_switches == ()


def test_a_breach_met_at_so_many_ticks_halts_the_book(
    guard: CentralRiskGuard, clock: FixedClock, records: Records
) -> None:
    for _ in range(3):
        assert guard.kill_switch(TARGET) == "active"
        tick(guard, clock, DEEP)
        assert ask(guard) == "DAILY_LOSS"

    assert guard.kill_switch(TARGET) == "halted"
    tick(guard, clock, SOUND)
    assert ask(guard) == "KILL_SWITCH"
    assert records.of("switch")[0]["switch"] == [
        TARGET,
        "halted",
        "rule:daily-loss",
        "DAILY_LOSS loss=3.4% limit=3% gate=daily-loss policy=desk-main@2.3.0 met at 3 ticks",
    ]


@pytest.mark.parametrize("is_recorded", [True, False])
def test_an_order_that_finds_the_limit_kept_starts_the_count_anew(
    desk: PolicySet, clock: FixedClock, records: Records, is_recorded: bool
) -> None:
    # Without a log usual orders are approved in one compiled call.
    guard = opened(desk, clock=clock, audit=records, settings=GuardSettings(in_memory=True))
    if not is_recorded:
        guard = opened(desk, clock=clock)
    guard.on_direct_fill("main", "", "BTC/USD", "buy", "10", 1_000)
    for price in (DEEP, DEEP, SOUND, DEEP, DEEP):
        tick(guard, clock, price)
        ask(guard)
    assert guard.kill_switches == ()

    tick(guard, clock, DEEP)
    ask(guard)
    assert guard.kill_switch(TARGET) == "halted"


def test_of_several_symbols_each_must_have_ticked(
    guard: CentralRiskGuard, clock: FixedClock
) -> None:
    guard.on_direct_fill("main", "", "ETH/USD", "buy", "1", 10)
    tick(guard, clock, 10.0, "ETH/USD")
    tick(guard, clock, DEEP)
    ask(guard)
    for _ in range(4):
        # The price that may be bad is still the same.
        tick(guard, clock, 10.0, "ETH/USD")
        ask(guard)
    assert guard.kill_switches == ()

    for _ in range(2):
        tick(guard, clock, DEEP)
        tick(guard, clock, 10.0, "ETH/USD")
        ask(guard)
    assert guard.kill_switch(TARGET) == "halted"


def test_a_book_that_holds_nothing_has_no_price_to_doubt(
    guard: CentralRiskGuard, clock: FixedClock
) -> None:
    tick(guard, clock, DEEP)
    guard.on_direct_fill("main", "", "BTC/USD", "sell", "10", DEEP)

    assert ask(guard) == "DAILY_LOSS"
    assert guard.kill_switch(TARGET) == "halted"


def test_orders_of_a_batch_count_as_they_do_alone(
    guard: CentralRiskGuard, clock: FixedClock
) -> None:
    for price in (DEEP, DEEP):
        tick(guard, clock, price)
        guard.evaluate_orders([(order("0.1", price="600"), None)] * 3)
    assert guard.kill_switches == ()

    tick(guard, clock, SOUND)
    guard.evaluate_orders([(order("0.1", price="600"), None)])
    tick(guard, clock, DEEP)
    guard.evaluate_orders([(order("0.1", price="600"), None)] * 2)
    assert guard.kill_switches == ()


def test_other_limits_start_the_count_anew(
    guard: CentralRiskGuard, clock: FixedClock, tmp_path: Path
) -> None:
    for _ in range(2):
        tick(guard, clock, DEEP)
        ask(guard)
    guard.use(policies(tmp_path / "others", daily="halt, confirm_ticks: 2"), by="ann")

    tick(guard, clock, DEEP)
    ask(guard)
    assert guard.kill_switches == ()
    tick(guard, clock, DEEP)
    ask(guard)
    assert guard.kill_switch(TARGET) == "halted"
