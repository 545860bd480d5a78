"""A drawdown that halted a book is armed anew by a person, who is told from which peak it counts."""

from pathlib import Path

import pytest

from ringfence import CentralRiskGuard, MarketData, PolicySet, RiskDecision
from ringfence.errors import AuditError, InputError, LedgerError
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import tail
from ringfence.runtime.derive import Deriver
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.recompute_record import How, recompute
from runtime.desk import IN_MEMORY, NOON, SECOND, Records, mark, opened, order, policies

pytestmark = pytest.mark.unit

KEPT = GuardSettings(without_audit=True)
TOLD = GuardSettings(in_memory=True)


@pytest.fixture
def desk(tmp_path: Path) -> PolicySet:
    folder = tmp_path / "policies"
    policies(folder)
    text = (folder / "desk.yaml").read_text()
    text = text.replace("max_drawdown: 20%}", "max_drawdown: 20%}, on_breach: halt")
    (folder / "desk.yaml").write_text(text.replace("max_loss_ratio: 3%", "max_loss_ratio: 90%"))
    return PolicySet.load(folder)


def fallen(guard: CentralRiskGuard, clock: FixedClock) -> None:
    """A quarter of the account's equity is lost, and an order has met that."""
    guard.on_direct_fill("main", "", "BTC/USD", "buy", "10", 1_000)
    guard.on_direct_fill("main", "", "ETH/USD", "buy", "1500", 10)
    clock.advance(SECOND)
    mark(guard, clock.now_ns(), 1.0)
    guard.on_mark("ETH/USD", MarketData(0.01, 0.01, 0.01, clock.now_ns()))
    assert guard.evaluate_order(order("1", price="1")).code == "DRAWDOWN"
    assert guard.kill_switch("account/main") == "halted"


def test_a_release_alone_is_halted_again_by_the_next_order(desk: PolicySet) -> None:
    clock = FixedClock(NOON)
    guard = opened(desk, clock=clock)
    fallen(guard, clock)

    guard.set_kill_switch("account/main", "active", by="ann", reason="looked at")

    assert guard.evaluate_order(order("1", price="1")).code == "DRAWDOWN"
    assert guard.kill_switch("account/main") == "halted"


def test_a_release_that_arms_it_anew_counts_from_the_present_equity(desk: PolicySet) -> None:
    clock, records = FixedClock(NOON), Records()
    guard = opened(desk, clock=clock, audit=records, settings=TOLD)
    fallen(guard, clock)
    equity = guard.book("account/main").equity

    guard.set_kill_switch("account/main", "active", by="ann", reason="looked at", rearm=True)

    assert guard.book("account/main").peak_equity == equity
    assert guard.book("account/main").drawdown == 0.0
    assert guard.evaluate_order(order("1", price="1")).decision is RiskDecision.APPROVE
    told = records.of("switch")[-1]
    assert told["switch"] == ["account/main", "active", "ann", "looked at"]
    assert told["peak"] == {"before": 100_000.0, "now": equity}
    # Other books keep theirs.
    assert guard.book("firm").peak_equity == 200_000.0


def test_the_new_peak_outlives_the_process(desk: PolicySet, tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    guard = opened(desk, clock=clock, state=tmp_path / "state", settings=KEPT)
    fallen(guard, clock)
    guard.set_kill_switch("account/main", "reducing", by="ann", reason="looked at", rearm=True)
    before = guard.book("account/main")
    guard._keeper.release()  # as the end of the process does, without a snapshot

    with CentralRiskGuard.open(desk, clock=clock, state=tmp_path / "state", settings=KEPT) as again:
        assert again.book("account/main") == before
        assert again.kill_switch("account/main") == "reducing"


def test_decisions_before_and_after_it_are_derived_again(desk: PolicySet, tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    with AuditLog.open(tmp_path / "audit", durability="process", clock=clock) as log:
        guard = opened(desk, clock=clock, audit=log, settings=TOLD)
        fallen(guard, clock)
        guard.set_kill_switch("account/main", "active", by="ann", reason="seen", rearm=True)
        guard.evaluate_order(order("1", price="1"))
    bodies = [each.body for each in tail(tmp_path / "audit", 99) if each.kind == "decision"]

    assert [each["decision"] for each in bodies] == ["REJECT", "APPROVE"]
    for body in bodies:
        found = recompute(body, Deriver(desk.linked))
        assert (found.how, found.differences) == (How.DERIVED, [])


@pytest.mark.parametrize(
    ("target", "state", "said"),
    [
        ("account/main", "halted", "stays halted"),
        ("venue/paper", "active", "has no drawdown"),
        ("symbol/BTC/USD", "active", "has no drawdown"),
        ("strategy/trend", "active", "equity of `strategy/trend` is unknown"),
    ],
)
def test_what_has_no_drawdown_to_arm_is_refused_and_nothing_changes(
    desk: PolicySet, target: str, state: str, said: str
) -> None:
    guard = opened(desk)

    with pytest.raises(InputError, match=said):
        guard.set_kill_switch(target, state, by="ann", reason="why", rearm=True)

    assert guard.kill_switches == ()


def test_it_holds_only_once_it_is_recorded(desk: PolicySet) -> None:
    clock, records = FixedClock(NOON), Records()
    guard = opened(desk, clock=clock, audit=records, settings=TOLD)
    fallen(guard, clock)
    records.fail_append = True

    with pytest.raises(AuditError):
        guard.set_kill_switch("account/main", "active", by="ann", reason="looked at", rearm=True)

    assert guard.kill_switch("account/main") == "halted"
    assert guard.book("account/main").peak_equity == 100_000.0


def test_a_peak_below_the_equity_is_the_equity(desk: PolicySet) -> None:
    ledger = opened(desk, settings=IN_MEMORY)._books.ledger

    ledger.start_peak("account/main", 90_000.0)
    assert ledger.book("account/main").peak_equity == 100_000.0
    ledger.start_peak("account/main", 110_000.0)
    assert ledger.book("account/main").peak_equity == 110_000.0
    with pytest.raises(LedgerError, match="no known equity"):
        ledger.start_peak("account/nobody", 1.0)
