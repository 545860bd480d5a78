"""Books against what the venue says."""

from decimal import Decimal
from pathlib import Path

import pytest

from ringfence import PolicySet, RiskDecision
from ringfence.errors import InputError, LedgerError
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.reconciliation import Difference, VenueSnapshot
from runtime.desk import Records, opened, order, policies

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return policies(tmp_path_factory.mktemp("desk") / "policies")


@pytest.fixture
def guard(desk: PolicySet) -> CentralRiskGuard:
    return opened(desk)


def test_books_that_agree_change_nothing(guard: CentralRiskGuard) -> None:
    found = guard.evaluate_order(order("4"))
    guard.on_fill(found.id, "1", 1_000)
    snapshot = VenueSnapshot(
        "main", {"BTC/USD": "1.0"}, {found.id: 3}, cash="99000.01", cash_tolerance="0.01"
    )

    assert guard.reconcile(snapshot) == ()
    assert guard.unreconciled == frozenset()
    assert guard.evaluate_order(order("1")).decision is RiskDecision.APPROVE


def test_every_difference_is_reported_and_stops_new_risk(desk: PolicySet) -> None:
    records = Records()
    guard = opened(desk, audit=records, settings=GuardSettings(in_memory=True))
    held = guard.evaluate_order(order("4"))
    guard.on_fill(held.id, "1", 1_000)
    lost = guard.evaluate_order(order("2"))
    snapshot = VenueSnapshot(
        "main", {"BTC/USD": "2", "ETH/USD": -1}, {held.id: "2.5", "stranger": "1"}, cash=98_000
    )

    found = guard.reconcile(snapshot)

    assert found == (
        Difference("main", "position", "BTC/USD", Decimal(1), Decimal(2)),
        Difference("main", "position", "ETH/USD", Decimal(0), Decimal(-1)),
        *sorted(
            (
                Difference("main", "order", held.id, Decimal(3), Decimal("2.5")),
                Difference("main", "order", lost.id, Decimal(2), None),
                Difference("main", "order", "stranger", None, Decimal(1)),
            ),
            key=lambda each: each.subject,
        ),
        Difference("main", "cash", "account/main", Decimal(99_000), Decimal(98_000)),
    )
    assert guard.unreconciled == {"main"}
    assert guard.evaluate_order(order("1")).code == "KILL_SWITCH"
    assert guard.evaluate_order(order("1", account="other")).decision is RiskDecision.APPROVE
    assert guard.evaluate_order(order("1", side="sell")).decision is RiskDecision.APPROVE
    assert len(records.of("reconcile")[0]["differences"]) == len(found)


def test_correcting_the_books_lets_the_account_trade_again(guard: CentralRiskGuard) -> None:
    lost = guard.evaluate_order(order("2"))
    guard.reconcile(VenueSnapshot("main"))
    guard.on_cancel(lost.id)

    assert guard.reconcile(VenueSnapshot("main")) == ()
    assert guard.unreconciled == frozenset()
    assert guard.evaluate_order(order("1")).decision is RiskDecision.APPROVE


def test_a_person_can_accept_a_difference(guard: CentralRiskGuard) -> None:
    guard.reconcile(VenueSnapshot("main", {"ETH/USD": 5}))
    for by, reason in (("", "why"), ("ann", "")):
        with pytest.raises(InputError):
            guard.accept_differences("main", by=by, reason=reason)
    assert guard.evaluate_order(order("1")).code == "KILL_SWITCH"

    guard.accept_differences("main", by="ann", reason="a gift from the venue")

    assert guard.evaluate_order(order("1")).decision is RiskDecision.APPROVE
    with pytest.raises(InputError):
        guard.accept_differences("main", by="ann", reason="again")


def test_accepting_does_not_loosen_a_switch(guard: CentralRiskGuard) -> None:
    guard.set_kill_switch("account/main", "halted", by="ann", reason="drill")
    guard.reconcile(VenueSnapshot("main", {"ETH/USD": 5}))
    guard.accept_differences("main", by="ann", reason="known")
    assert guard.kill_switch("account/main") == "halted"
    assert guard.evaluate_order(order("1")).code == "KILL_SWITCH"

    guard.reconcile(VenueSnapshot("main", {"ETH/USD": 5}))
    guard.set_kill_switch("account/main", "active", by="ann", reason="drill over")
    assert guard.evaluate_order(order("1")).code == "KILL_SWITCH"


def test_an_account_that_waits_still_waits_after_a_restart(desk: PolicySet, tmp_path: Path) -> None:
    settings = GuardSettings(without_audit=True)
    guard = opened(desk, state=tmp_path, settings=settings)
    guard.reconcile(VenueSnapshot("main", {"ETH/USD": 5}))
    guard._keeper.release()

    with CentralRiskGuard.open(desk, state=tmp_path, settings=settings) as reopened:
        assert reopened.unreconciled == {"main"}
    with CentralRiskGuard.open(desk, state=tmp_path, settings=settings) as reopened:
        assert reopened.unreconciled == {"main"}
        assert reopened.evaluate_order(order("1")).code == "KILL_SWITCH"


def test_what_cannot_be_compared_is_an_error(guard: CentralRiskGuard) -> None:
    with pytest.raises(LedgerError):
        guard.reconcile(VenueSnapshot("nobody"))
    with pytest.raises(InputError):
        guard.reconcile(VenueSnapshot("main", {"BTC/USD": "many"}))
