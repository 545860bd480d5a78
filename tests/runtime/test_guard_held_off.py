"""Where the guard itself is in doubt, orders that add risk are rejected, and those that reduce it pass."""

from pathlib import Path

import pytest

from ringfence import OrderRequest, PolicySet, RiskDecision
from ringfence.runtime.asked import MarketData, read_order
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.derive import Deriver
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.recompute_record import How, recompute
from runtime.desk import NOON, SECOND, mark, opened, order, policies

pytestmark = pytest.mark.unit

HOUR = 3_600 * SECOND
BTC = '    BTC/USD: {lot_step: "0.1", min_size: "0.1", tick_size: "0.01", multiplier: 1, base: BTC, quote: USD}\n'


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return policies(tmp_path_factory.mktemp("desk") / "policies")


def holding(desk: PolicySet, clock: FixedClock) -> CentralRiskGuard:
    """A guard whose account `main` holds 5 BTC."""
    guard = opened(desk, clock=clock)
    guard.on_direct_fill("main", "", "BTC/USD", "buy", "5", 1_000)
    return guard


def without(folder: Path, what: str, instead: str = "") -> PolicySet:
    """The desk's policies with a part of its instruments file left out."""
    policies(folder)
    instruments = folder / "instruments.yaml"
    assert what in instruments.read_text()
    instruments.write_text(instruments.read_text().replace(what, instead))
    return PolicySet.load(folder)


def answers(guard: CentralRiskGuard, *orders: OrderRequest) -> list[str]:
    """Codes of the answers, empty for an approval: each asked alone, in a batch, and looked at beforehand."""
    found = [(guard.preview_order(each).code, guard.evaluate_order(each).code) for each in orders]
    looked = guard.preview_orders([read_order(each) for each in orders])
    batch = guard.evaluate_orders([(each, None) for each in orders])
    codes = [each.code for each in batch]
    assert found == [(code, code) for code in codes]
    assert [each.code for each in looked] == codes
    return codes


def test_a_clock_that_was_set_back_lets_no_new_risk_pass(desk: PolicySet) -> None:
    clock = FixedClock(NOON)
    guard = holding(desk, clock)
    clock.moment_ns -= HOUR
    # Prices of the new time are older than what the books have seen, which no longer ages.
    mark(guard, clock.now_ns(), 500.0)

    told = guard.evaluate_order(order("0.1"), MarketData(500.0, 500.0, 500.0, clock.now_ns()))
    assert told.reason == (
        "CLOCK_BEHIND the clock is 3,600.000s behind what the books have seen; only orders that reduce risk pass"
    )
    assert answers(guard, order("0.1"), order("0.1", side="sell")) == ["CLOCK_BEHIND", ""]

    clock.advance(HOUR + SECOND)
    mark(guard, clock.now_ns(), 1_000.0)
    assert guard.evaluate_order(order("0.1")).decision is RiskDecision.APPROVE


def test_clocks_that_differ_by_less_than_the_tolerance_do_no_harm(desk: PolicySet) -> None:
    clock = FixedClock(NOON)
    guard = holding(desk, clock)
    clock.moment_ns -= SECOND

    assert guard.evaluate_order(order("0.1")).decision is RiskDecision.APPROVE


def test_of_an_instrument_that_is_gone_only_what_reduces_risk_passes(
    desk: PolicySet, tmp_path: Path
) -> None:
    guard = holding(desk, FixedClock(NOON))
    assert answers(guard, order("0.1")) == [""]
    guard.use(without(tmp_path / "p", BTC), by="reload")

    assert answers(guard, order("0.1"), order("0.1", side="sell")) == ["UNKNOWN_INSTRUMENT", ""]
    assert answers(guard, order("1", symbol="ETH/USD", price="10")) == [""]


def test_to_a_venue_that_is_gone_only_what_reduces_risk_goes(
    desk: PolicySet, tmp_path: Path
) -> None:
    guard = holding(desk, FixedClock(NOON))
    guard.use(without(tmp_path / "p", "venues: [paper]", "venues: [other]"), by="reload")
    there = {"venue": "paper"}

    assert answers(guard, order("0.1", **there), order("0.1", side="sell", **there)) == [
        "UNKNOWN_VENUE",
        "",
    ]
    assert answers(guard, order("0.1")) == [""]


def test_the_record_gives_the_decision_again(desk: PolicySet, tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    with AuditLog.open(tmp_path, durability="process", clock=clock) as log:
        guard = opened(desk, clock=clock, audit=log, settings=GuardSettings(in_memory=True))
        guard.on_direct_fill("main", "", "BTC/USD", "buy", "5", 1_000)
        clock.moment_ns -= HOUR
        for side in ("buy", "sell"):
            guard.evaluate_order(order("0.1", side=side))

    bodies = [each.body for each in AuditReader(tmp_path).poll() if each.kind == DECISION]
    assert [each["code"] for each in bodies] == ["CLOCK_BEHIND", ""]
    for body in bodies:
        found = recompute(body, Deriver(desk.linked))
        assert (found.how, found.differences) == (How.DERIVED, [])
