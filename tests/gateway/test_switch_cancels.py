"""A kill switch ends the orders in its scope: once, all of them, and until the exchange says so."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.approved_orders import RefusalList
from gateway.test_following import LONG, counted
from gateway.whole_desk import CREDENTIALS, Events, WholeDesk, whole_desk
from ringfence.errors import ApprovalError, AuditError, ExchangeError, StateError
from ringfence.gateway import CancelSettings, SwitchCancels, connect_paper, signer_of
from ringfence.gateway.looping import Looking
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.used_approvals import MemoryUsedApprovals
from runtime.desk import NOON, mark, opened, order, policies
from runtime.memory_log import MemoryLog, Store

pytestmark = pytest.mark.integration

BOTH = CancelSettings(reducing=("*",))


class Paper:
    """A guard and a paper exchange, with orders that wait far from the market."""

    def __init__(self, folder: Path, settings: CancelSettings | None = None) -> None:
        self.clock, self.records = FixedClock(NOON), RefusalList()
        desk = policies(folder / "policies")
        signer = signer_of(CREDENTIALS)
        guard_settings = GuardSettings(
            in_memory=True, without_audit=True, signer=signer, strategies=("other",)
        )
        self.guard = opened(desk, clock=self.clock, settings=guard_settings)
        for name in ("trend", "other"):
            self.guard.on_balance(f"strategy/{name}", "opening", 100_000)
        self.gateway, self.on_market = connect_paper(
            CREDENTIALS,
            MemoryUsedApprovals(self.clock),
            instruments=desk.linked.desk.instruments,
            accounts=frozenset({"main", "other"}),
            clock=self.clock,
        )
        self.now_s = 0.0
        self.cancels = SwitchCancels(
            self.guard,
            self.gateway,
            self.records,
            settings=settings,
            clock=self.clock,
            monotonic=lambda: self.now_s,
        )

    def send(self, name: str, size: Any = "1", **fields: Any) -> str:
        fields = {"strategy": "trend", "venue": "paper", "client_order_id": name, **fields}
        asked = order(size, **fields)
        answer = self.guard.evaluate_order(asked)
        assert answer.decision == "APPROVE", answer.reason
        self.gateway.submit(answer.approval, asked)
        return answer.id

    def switch(self, target: str, state: str = "halted") -> None:
        self.guard.set_kill_switch(target, state, by="ann", reason="drill")

    def left(self) -> list[str]:
        """Orders that work, at the guard and at the exchange alike."""
        ours = sorted(each.client_order_id for each in self.guard.working_orders())
        there = [
            each.client_order_id
            for account in ("main", "other")
            for each in self.gateway.open_orders(account)
        ]
        assert ours == sorted(there)
        return ours


@pytest.fixture
def paper(tmp_path: Path) -> Paper:
    return Paper(tmp_path)


def numbers(cancels: SwitchCancels, name: str = "switch_cancels") -> dict[str, float]:
    (found,) = (each for each in cancels.metrics() if each.name == f"ringfence_{name}")
    return {s.labels.get("result", ""): s.value for s in found.samples}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("firm", []),
        ("account/main", ["elsewhere"]),
        ("account/other", ["ether", "here", "strategy"]),
        ("strategy/other", ["elsewhere", "ether", "here"]),
        ("venue/paper", []),
        ("symbol/ETH/USD", ["elsewhere", "here", "strategy"]),
    ],
)
def test_a_halt_ends_the_orders_in_its_scope_and_no_others(
    target: str, left: list[str], paper: Paper
) -> None:
    paper.send("here")
    paper.send("ether", symbol="ETH/USD", price="10")
    paper.send("strategy", strategy="other")
    paper.send("elsewhere", account="other")
    paper.cancels.look()
    assert len(paper.left()) == 4

    paper.switch(target)
    paper.cancels.look()

    assert paper.left() == left
    assert numbers(paper.cancels) == {"cancelled": 4 - len(left)}
    assert {body["switches"][0] for _, body in paper.records.records} == {target}


def test_which_states_of_which_targets_cancel_is_configured(tmp_path: Path) -> None:
    paper = Paper(
        tmp_path, CancelSettings(halted=("account/*",), reducing=("symbol/BTC/USD", "firm"))
    )
    paper.send("here")
    paper.send("ether", symbol="ETH/USD", price="10")
    for target, state in (
        ("firm", "halted"),
        ("symbol/BTC/USD", "halted"),
        ("account/main", "reducing"),
    ):
        paper.switch(target, state)
        paper.cancels.look()
        assert paper.left() == ["ether", "here"]
    paper.switch("symbol/BTC/USD", "reducing")
    paper.cancels.look()

    assert paper.left() == ["ether"]


def test_reducing_ends_only_what_could_add_risk(tmp_path: Path) -> None:
    paper = Paper(tmp_path, BOTH)
    paper.guard.on_direct_fill("main", "trend", "BTC/USD", "buy", "5", 1_000)
    paper.send("adds", "1", price="900")
    paper.send("reduces", "3", side="sell", price="1100")
    paper.send("reduces too", "2", side="sell", price="1100")
    paper.send("beyond", "1", side="sell", price="1100")
    paper.send("opens", "1", account="other", side="sell", price="1100")
    paper.switch("firm", "reducing")
    paper.cancels.look()

    # Five are held: sales of five reduce, whichever of them fill; a sixth would go short.
    assert paper.left() == ["reduces", "reduces too"]


def test_an_approval_that_was_not_sent_can_never_be(paper: Paper) -> None:
    asked = order("1", venue="paper", client_order_id="c-1")
    answer = paper.guard.evaluate_order(asked)
    paper.switch("firm")
    paper.cancels.look()

    assert paper.guard.working_orders() == ()
    with pytest.raises(ApprovalError, match="REPLAYED"):
        paper.gateway.submit(answer.approval, asked)
    assert numbers(paper.cancels) == {"withdrawn": 1}


def test_an_order_without_a_name_is_withdrawn_or_told(paper: Paper) -> None:
    paper.send("")
    answer = paper.guard.evaluate_order(order("1", venue="paper"))
    assert answer.decision == "APPROVE"
    paper.switch("firm")
    for _ in range(4):
        paper.cancels.look()
        paper.now_s += 60

    failed = [body for kind, body in paper.records.records if kind == "cancel-failed"]
    assert {body["code"] for body in failed} == {"NAME"}
    assert numbers(paper.cancels, "switch_cancels_failing") == {"": len(failed)}


def test_a_switch_that_is_reset_leaves_what_has_not_been_cancelled(paper: Paper) -> None:
    paper.send("c-1")
    paper.switch("firm")
    paper.switch("firm", "active")
    paper.cancels.look()

    assert paper.left() == ["c-1"]


def test_a_switch_of_another_guard_of_the_same_books_cancels_too(tmp_path: Path) -> None:
    desk, store, clock = policies(tmp_path / "policies"), Store(), FixedClock(NOON)
    signer = signer_of(CREDENTIALS)

    def guard(name: str) -> CentralRiskGuard:
        settings = GuardSettings(name=name, without_audit=True, poll_seconds=0.01, signer=signer)
        return CentralRiskGuard.open(
            desk, state=MemoryLog(store, f"{name}-0"), clock=clock, settings=settings
        )

    with guard("a") as one, guard("b") as two:
        one.on_balance("account/main", "opening", 100_000)
        for symbol, price in (("BTC/USD", 1_000.0), ("ETH/USD", 10.0)):
            one.on_mark(symbol, MarketData(price, price, price, clock.now_ns()))
        gateway, _ = connect_paper(
            CREDENTIALS,
            MemoryUsedApprovals(clock),
            instruments=desk.linked.desk.instruments,
            accounts=frozenset({"main"}),
            clock=clock,
        )
        asked = order("1", venue="paper", client_order_id="c-1")
        gateway.submit(one.evaluate_order(asked).approval, asked)
        cancels = SwitchCancels(one, gateway, settings=CancelSettings(look_s=3_600), clock=clock)
        one.listen(cancels.heard)
        events = Events(one)
        with cancels:
            two.set_kill_switch("account/main", "halted", by="ann", reason="drill")
            events.wait(lambda: one.working_orders() == ())

        assert gateway.open_orders("main") == ()


# At Kraken


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[WholeDesk]:
    with whole_desk(tmp_path, daily="halt") as made:
        yield made


def cancels_of(desk: WholeDesk, **changed: Any) -> SwitchCancels:
    return SwitchCancels(desk.guard, desk.gateway, desk.log, clock=desk.clock, **changed)


def halt(desk: WholeDesk, target: str = "account/main") -> None:
    desk.guard.set_kill_switch(target, "halted", by="ann", reason="drill")


def opened_there(desk: WholeDesk) -> list[str]:
    return [each["cl_ord_id"] for each in desk.server.orders.values() if each["status"] == "open"]


def test_a_rule_that_halts_a_book_cancels_its_orders(desk: WholeDesk) -> None:
    desk.send("5", "held")
    desk.server.fill(next(iter(desk.server.orders)), "5", "1000")
    desk.follower.catch_up()
    desk.send("1", "c-1")
    desk.send("1", LONG, price="900")
    cancels = cancels_of(desk, settings=CancelSettings(look_s=3_600))
    desk.guard.listen(cancels.heard)
    events = Events(desk.guard)
    with cancels:
        # 5 at 1,000 fall to 200: four of a hundred thousand are lost.
        mark(desk.guard, desk.clock.now_ns() + 1, 200.0)
        assert desk.decide("0.1", "c-2", price="200").code == "DAILY_LOSS"
        assert desk.guard.kill_switch("account/main") == "halted"
        events.wait(lambda: desk.working() == [])

    assert opened_there(desk) == []
    records = desk.records("switch-cancel")
    assert {each["client_order_id"] for each in records} == {"c-1", LONG}
    assert all(each["switches"] == ["account/main"] for each in records)


def test_cancels_are_tried_until_the_exchange_says_it_ended(desk: WholeDesk) -> None:
    now = [0.0]
    cancels = cancels_of(desk, monotonic=lambda: now[0])
    desk.send("1", "c-1")
    desk.send("1", "c-2")
    halt(desk)
    # Four requests make one try.
    desk.server.fail("CancelOrder", *["EService:Unavailable"] * 16)
    waits = []
    while desk.server.faults["CancelOrder"]:
        waits.append(cancels.look())
        assert opened_there(desk) == ["c-1", "c-2"]
        now[0] += waits[-1]
    # Each try waits for the one before, and the orders take turns.
    assert waits[:2] == [0.5, 0.5]
    tried = [each["cl_ord_id"] for each in desk.server.asked("CancelOrder")]
    assert tried == ["c-1"] * 4 + ["c-2"] * 4 + ["c-1"] * 4 + ["c-2"] * 4
    while desk.working():
        now[0] += cancels.look()

    assert opened_there(desk) == []
    assert numbers(cancels) == {"failed": 4, "cancelled": 2}
    assert numbers(cancels, "switch_cancels_open") == {"": 0}


def test_what_cannot_be_cancelled_is_told_once_and_tried_on(desk: WholeDesk) -> None:
    now = [0.0]
    cancels = cancels_of(desk, monotonic=lambda: now[0])
    desk.send("1", "c-1")
    halt(desk)
    desk.server.fail("CancelOrder", *["EGeneral:Permission denied"] * 9)
    waits = []
    for _ in range(9):
        waits.append(cancels.look())
        now[0] += 60
    told = desk.records("cancel-failed")
    failing = numbers(cancels, "switch_cancels_failing")
    cancels.look()

    assert len(desk.server.asked("CancelOrder")) == 10
    assert [(each["client_order_id"], each["code"]) for each in told] == [("c-1", "REFUSED")]
    assert failing == {"": 1}
    assert desk.working() == opened_there(desk) == []


def test_a_cancel_whose_answer_was_lost_is_asked_about(desk: WholeDesk) -> None:
    desk.send("1", "c-1")
    halt(desk)
    desk.server.fail("CancelOrder", "drop after")
    cancels_of(desk).look()

    assert desk.working() == []
    assert numbers(cancels_of(desk)) == {}


def test_an_order_that_fills_meanwhile_ends_with_its_fills(desk: WholeDesk) -> None:
    now = [0.0]
    cancels = cancels_of(desk, monotonic=lambda: now[0])
    _, ack = desk.send("5", "c-1")
    desk.server.fill(ack.exchange_order_id, "2", "1000")
    halt(desk)
    cancels.look()
    # It is cancelled, but two were filled that the guard has not heard of.
    waiting = desk.working()
    now[0] += cancels.look()
    desk.follower.catch_up()
    now[0] += cancels.look()
    cancels.look()

    assert waiting == ["c-1"]
    assert len(desk.server.asked("CancelOrder")) == 1
    assert (desk.working(), desk.held()) == ([], 2)


def test_an_unknown_outcome_is_cancelled_when_it_arrives_after_all(desk: WholeDesk) -> None:
    now = [0.0]
    cancels = cancels_of(desk, monotonic=lambda: now[0])
    desk.server.fail("AddOrder", "hold")
    desk.send("2", "c-1")
    halt(desk)
    now[0] += cancels.look()
    before = desk.working()
    desk.server.let_in()
    now[0] += cancels.look()

    assert before == ["c-1"]
    assert desk.working() == opened_there(desk) == []


def test_after_a_restart_a_switch_that_was_set_before_cancels(desk: WholeDesk) -> None:
    for name in ("c-1", LONG):
        desk.send("1", name)
    halt(desk, "firm")
    desk.pass_time(120)
    later = desk.again()
    try:
        events = Events(later.guard)
        with cancels_of(later):
            events.wait(lambda: later.working() == [])
        assert opened_there(later) == []
        assert later.guard.kill_switch("firm") == "halted"
    finally:
        later.stop()


def test_every_cancel_goes_out_before_anything_is_asked(desk: WholeDesk) -> None:
    for number in range(4):
        desk.send("1", f"c-{number}")
    halt(desk)
    desk.server.requests.clear()
    cancels_of(desk).look()

    assert [name for name, _ in desk.server.requests][:4] == ["CancelOrder"] * 4
    assert desk.working() == []


def test_cancels_of_a_second_switch_do_not_wait_for_the_questions_of_the_first(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.send("1", "c-1")
    desk.send("1", "c-2")
    desk.send("1", "c-3", symbol="ETH/USD", price="10")
    cancels = cancels_of(desk)
    desk.guard.listen(cancels.heard)
    find = desk.gateway.find

    def meanwhile(account: str, name: str) -> Any:
        halt(desk, "symbol/ETH/USD")
        return find(account, name)

    halt(desk, "symbol/BTC/USD")
    with monkeypatch.context() as patch:
        patch.setattr(desk.gateway, "find", meanwhile)
        again_s = cancels.look()
    asked = [name for name, _ in desk.server.requests].count("QueryOrders")
    cancels.look()

    assert (again_s, asked) == (0.0, 1)
    assert desk.working() == opened_there(desk) == []


def test_an_end_that_a_follower_tells_first_is_recorded_as_well(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.send("1", "c-1")
    halt(desk)
    cancels = cancels_of(desk)

    def slow(*_: str) -> Any:
        raise ExchangeError("UNREACHABLE", "no answer")

    with monkeypatch.context() as patch:
        patch.setattr(desk.gateway, "find", slow)
        cancels.look()
    desk.follower.catch_up()
    cancels.look()

    (record,) = desk.records("switch-cancel")
    assert (record["client_order_id"], record["result"]) == ("c-1", "ended")


def test_a_surprise_does_not_end_the_thread() -> None:
    looked: list[int] = []
    failures: list[Exception] = []
    failed, done = threading.Event(), threading.Event()

    def look() -> float:
        looked.append(1)
        if len(looked) == 1:
            raise ZeroDivisionError
        done.set()
        return 3_600

    def fail(error: Exception) -> None:
        failures.append(error)
        failed.set()

    looking = Looking("test", look, fail)
    looking.start()
    assert failed.wait(60)
    looking.wake()
    assert done.wait(60)
    looking.stop()
    looking.stop()

    assert [type(each) for each in failures] == [ZeroDivisionError]


def test_orders_of_accounts_that_the_gateway_does_not_serve_are_left_to_others(
    desk: WholeDesk,
) -> None:
    desk.decide("1", "c-1", account="other")
    desk.send("1", "c-2")
    halt(desk, "firm")
    cancels_of(desk).look()

    assert desk.working() == ["c-1"]


def test_a_register_that_is_down_lets_the_exchange_be_asked(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.send("1", "c-1")
    halt(desk)

    def fail(*_: Any) -> bool:
        raise OSError("disk")

    monkeypatch.setattr(desk.used, "claim", fail)
    cancels_of(desk).look()

    assert desk.working() == opened_there(desk) == []


def test_an_end_that_cannot_be_kept_is_told_again(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.decide("1", "c-1")
    desk.send("1", "c-2")
    halt(desk)
    now = [0.0]
    cancels = cancels_of(desk, monotonic=lambda: now[0])

    def fail(_: str) -> bool:
        raise StateError("not kept")

    with monkeypatch.context() as patch:
        patch.setattr(desk.guard, "on_cancel", fail)
        for _ in range(2):
            now[0] += cancels.look()
            # What the guard cannot keep holds up no cancel.
            assert opened_there(desk) == []
    assert desk.working() == ["c-1", "c-2"]
    cancels.look()

    assert desk.working() == []
    assert numbers(cancels) == {"error-StateError": 4, "withdrawn": 1, "cancelled": 1}


def test_a_log_that_is_full_keeps_no_order_alive(desk: WholeDesk) -> None:
    desk.send("1", "c-1")
    halt(desk)

    class Full:
        def append(self, *_: Any) -> int:
            raise AuditError("full")

    cancels = SwitchCancels(desk.guard, desk.gateway, Full(), clock=desk.clock)
    cancels.look()

    assert desk.working() == []
    assert numbers(cancels) == {"cancelled": 1, "error-AuditError": 1}


def test_the_gateway_counts_what_it_did(desk: WholeDesk) -> None:
    desk.send("1", "c-1")
    desk.server.fail("CancelOrder", "EGeneral:Permission denied")
    with pytest.raises(Exception, match="Permission denied"):
        desk.gateway.cancel("main", "c-1")
    assert desk.gateway.cancel("main", "c-1")
    assert not desk.gateway.cancel("main", "c-1")
    with pytest.raises(ApprovalError):
        desk.gateway.submit(desk.decide("1", "c-2").approval, order("9", venue="kraken"))

    told = {
        metric.name: {tuple(s.labels.values()): s.value for s in metric.samples if s.value}
        for metric in desk.gateway.metrics()
    }
    took = told.pop("ringfence_exchange_request_seconds")
    assert {operation for (_, operation), each in took.items() if sum(each.counts)} >= {
        "cancel",
        "submit",
    }
    assert told == {
        "ringfence_orders_sent": {("kraken",): 1},
        "ringfence_approvals_refused": {("kraken", "ALTERED"): 1},
        "ringfence_cancels": {
            ("kraken", "failed"): 1,
            ("kraken", "cancelled"): 1,
            ("kraken", "not-working"): 1,
        },
        "ringfence_exchange_errors": {("kraken", "REFUSED"): 1},
    }
    assert counted(desk.follower, "stream_up") == {"": 0}
