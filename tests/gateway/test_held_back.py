"""Approvals that are genuine and unused, and yet not sent: what they rest on has changed since."""

from pathlib import Path
from typing import Any

import pytest

from ringfence.errors import ApprovalError
from ringfence.gateway import Gateway, connect_paper, signer_of
from ringfence.language.orders import Market
from ringfence.runtime.credentials import API_SECRET_KEY, load_credentials
from ringfence.runtime.exchanges import OrderAck, OrderState
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock, SeededRandom
from ringfence.runtime.used_approvals import MemoryUsedApprovals
from runtime.desk import NOON, SECOND, opened, order, policies
from runtime.shared_desk import Desk as SharedDesk

pytestmark = pytest.mark.unit

CREDENTIALS = load_credentials(
    (API_SECRET_KEY,), {"RINGFENCE_ENVIRONMENT": "testing"}, random=SeededRandom(2)
)


class Desk:
    """A guard and a gateway to a paper exchange that asks it."""

    def __init__(self, folder: Path) -> None:
        self.clock = FixedClock(NOON)
        given = GuardSettings(in_memory=True, without_audit=True, signer=signer_of(CREDENTIALS))
        self.guard = opened(policies(folder), clock=self.clock, settings=given)
        self.gateway = gateway_of(self.guard, self.clock)
        self.told: list[tuple[str, OrderAck]] = []
        self.gateway.listen(lambda name, answer: self.told.append((name, answer)))

    def approved(self, **fields: Any) -> tuple[Any, Any]:
        asked = order("1", venue="paper", client_order_id="c-1", **fields)
        return self.guard.evaluate_order(asked), asked

    def switch(self, target: str, state: str) -> None:
        self.clock.advance(SECOND)
        self.guard.set_kill_switch(target, state, by="ann", reason="drill")

    def refusal(self, answer: Any, asked: Any) -> str:
        with pytest.raises(ApprovalError) as caught:
            self.gateway.submit(answer.approval, asked)
        return caught.value.code


def gateway_of(guard: CentralRiskGuard, clock: FixedClock) -> Gateway:
    gateway, on_market = connect_paper(
        CREDENTIALS,
        MemoryUsedApprovals(clock),
        instruments=guard.linked.desk.instruments,
        accounts=frozenset({"main"}),
        guard=guard,
        clock=clock,
    )
    on_market("BTC/USD", Market(bid=999.0, ask=1_001.0))
    return gateway


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "policies")


@pytest.mark.parametrize("end", ["on_cancel", "on_expire"])
def test_what_has_ended_in_the_books_never_leaves(desk: Desk, end: str) -> None:
    answer, asked = desk.approved()
    getattr(desk.guard, end)(answer.id)

    assert desk.refusal(answer, asked) == "ENDED"
    assert desk.gateway.sent == 0
    assert desk.gateway.open_orders("main") == ()
    ((name, told),) = desk.told
    assert (name, told.state, told.exchange_order_id) == (answer.id, OrderState.REJECTED, "")
    # It is used up, and no second try fares better.
    assert desk.refusal(answer, asked) == "REPLAYED"


@pytest.mark.parametrize(
    "target", ["firm", "account/main", "strategy/trend", "venue/paper", "symbol/BTC/USD"]
)
def test_what_was_approved_before_a_halt_does_not_leave_after_it(desk: Desk, target: str) -> None:
    desk.guard.on_balance("strategy/trend", "opening", 100_000)
    answer, asked = desk.approved(strategy="trend")
    desk.switch(target, "halted")

    assert desk.refusal(answer, asked) == "SWITCHED"
    assert desk.gateway.sent == 0


def test_a_halt_that_was_lifted_before_the_approval_holds_nothing_back(desk: Desk) -> None:
    desk.switch("firm", "halted")
    desk.switch("firm", "active")
    answer, asked = desk.approved()
    desk.gateway.submit(answer.approval, asked)
    assert desk.gateway.sent == 1


def test_a_halt_elsewhere_holds_nothing_back(desk: Desk) -> None:
    answer, asked = desk.approved()
    for target in ("account/other", "symbol/ETH/USD"):
        desk.switch(target, "halted")
    desk.gateway.submit(answer.approval, asked)
    assert desk.gateway.sent == 1


def test_under_a_switch_to_reducing_only_what_is_reduce_only_still_leaves(desk: Desk) -> None:
    desk.guard.on_direct_fill("main", "", "BTC/USD", "buy", "5", 1_000)
    buys, asked = desk.approved()
    closes = order("1", venue="paper", client_order_id="c-2", side="sell", reduce_only=True)
    approved = desk.guard.evaluate_order(closes)
    desk.switch("account/main", "reducing")

    assert desk.refusal(buys, asked) == "SWITCHED"
    desk.gateway.submit(approved.approval, closes)
    # What the guard approves under the switch reduces, and leaves.
    sells = order("1", venue="paper", client_order_id="c-3", side="sell")
    desk.gateway.submit(desk.guard.evaluate_order(sells).approval, sells)
    assert desk.gateway.sent == 2


def test_what_another_guard_of_the_same_books_approved_leaves(tmp_path: Path) -> None:
    shared = SharedDesk(policies(tmp_path), signer=signer_of(CREDENTIALS))
    one, other = shared.funded("a", "b")
    gateway = gateway_of(other, shared.clock)
    asked = order("1", venue="paper", client_order_id="c-1")
    gateway.submit(one.evaluate_order(asked).approval, asked)
    assert gateway.sent == 1

    # What the others do meanwhile counts as well.
    late = order("1", venue="paper", client_order_id="c-2")
    answer = one.evaluate_order(late)
    other.catch_up()
    one.on_cancel(answer.id)
    with pytest.raises(ApprovalError, match="ENDED"):
        gateway.submit(answer.approval, late)


def test_where_the_store_cannot_be_asked_about_it_nothing_leaves(tmp_path: Path) -> None:
    shared = SharedDesk(policies(tmp_path), signer=signer_of(CREDENTIALS))
    one, other = shared.funded("a", "b")
    gateway = gateway_of(other, shared.clock)
    asked = order("1", venue="paper", client_order_id="c-1")
    answer = one.evaluate_order(asked)
    shared.logs["b"].broken = "down"
    with pytest.raises(ApprovalError, match="REGISTER_DOWN"):
        gateway.submit(answer.approval, asked)
    assert gateway.sent == 0
