"""Guards that share books: one headroom, one order of events, and nothing lost when the store fails."""

import random
import threading
from itertools import count, pairwise
from pathlib import Path

import pytest

from ringfence import PolicySet, RiskDecision
from ringfence.errors import InputError, LedgerError, StateError
from ringfence.runtime import shared_books
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from runtime.desk import SECOND, Records, order, policies
from runtime.memory_log import MemoryLog
from runtime.shared_desk import Desk

pytestmark = pytest.mark.unit

APPROVE, REJECT = RiskDecision.APPROVE, RiskDecision.REJECT


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return policies(tmp_path_factory.mktemp("desk") / "policies")


def views(guard: CentralRiskGuard) -> str:
    guard.catch_up()
    return repr([[guard.book(name) for name in guard.books], guard.kill_switches])


def test_two_guards_use_one_headroom(desk: PolicySet) -> None:
    shared = Desk(desk)
    one, two = shared.funded("a", "b")

    answers = [guard.evaluate_order(order("6")) for guard in (one, two, one)]

    assert [str(each.size) for each in answers] == ["6.0", "4.0", "0"]
    assert views(one) == views(two)


def test_what_one_guard_hears_moves_the_books_of_all(desk: PolicySet) -> None:
    one, two = Desk(desk).funded("a", "b")
    first = one.evaluate_order(order("6"))
    two.on_fill(first.id, "2", 1_000)
    one.on_cancel(first.id)
    two.set_kill_switch("symbol/ETH/USD", "halted", by="ann", reason="drill")

    assert one.evaluate_order(order("1", symbol="ETH/USD", price="10")).code == "KILL_SWITCH"
    assert str(one.book("account/main").positions["BTC/USD"].size) == "2.0"
    assert views(one) == views(two)
    with pytest.raises(LedgerError):
        two.on_fill("nobody", "1", 1_000)
    with pytest.raises(LedgerError, match="open already"):
        two.on_balance("account/main", "opening", 5)
    assert views(one) == views(two)


def test_one_client_order_id_stands_for_one_order_at_all_guards(desk: PolicySet) -> None:
    one, two = Desk(desk).funded("a", "b")
    first = one.evaluate_order(order("2", client_order_id="x"))
    same = two.evaluate_order(order("2", client_order_id="x"))

    assert (same.id, same.repeated, tuple(same)) == (first.id, True, tuple(first))
    assert two.evaluate_order(order("3", client_order_id="x")).code == "DUPLICATE_ORDER"
    assert str(two.book("account/main").positions["BTC/USD"].buys) == "2.0"


def test_an_id_that_is_used_anew_once_its_answer_is_forgotten_is_taken_back_by_all(
    desk: PolicySet,
) -> None:
    shared = Desk(desk, client_order_window_ns=SECOND)
    records = Records()
    shared.funded("a")
    one, two = shared.guard("b", audit=records), shared.guard("c")
    first = one.evaluate_order(order("1", client_order_id="x"))
    assert two.evaluate_order(order("1", client_order_id="x")).repeated
    one.on_cancel(first.id)
    shared.clock.advance(2 * SECOND)
    shared.mark(two)
    records.fail_wait = True

    assert one.evaluate_order(order("1", client_order_id="x")).code == "AUDIT_UNAVAILABLE"

    two.catch_up()
    assert two.working_orders() == one.working_orders() == ()


def test_an_approval_that_another_guard_repeated_is_not_taken_back(desk: PolicySet) -> None:
    shared = Desk(desk)
    records = Records()
    shared.funded("z")
    one, two = shared.guard("a", audit=records), shared.guard("b")
    # The record fails only once the other guard has repeated the approval.
    wait = records.wait

    def repeat_then_fail(sequence: int) -> None:
        two.evaluate_order(order("2", client_order_id="x"))
        records.fail_wait = True
        wait(sequence)

    records.wait = repeat_then_fail  # type: ignore[method-assign]
    assert one.evaluate_order(order("2", client_order_id="x")).code == "AUDIT_UNAVAILABLE"

    assert str(two.book("account/main").positions["BTC/USD"].buys) == "2.0"
    assert views(one) == views(two)


def test_names_tell_whose_orders_are_orphans(desk: PolicySet) -> None:
    shared = Desk(desk)
    one, two = shared.funded("a", "a-b")
    mine = one.evaluate_order(order("1"))
    two.evaluate_order(order("1"))

    again = shared.guard("a", run=1)

    assert [each.order_id for each in again.orphans] == [mine.id]
    with pytest.raises(InputError, match="names"):
        CentralRiskGuard.open(
            desk, state=MemoryLog(shared.store, "c"), settings=GuardSettings(without_audit=True)
        )


def test_a_guard_that_cannot_keep_up_rejects(desk: PolicySet) -> None:
    shared = Desk(desk, most_tries=3)
    one, two = shared.funded("a", "b")
    log = shared.logs["a"]
    append = log.append

    def overtaken(known: object, number: int, event: list[object], **how: object) -> object:
        if event[0] == "order":
            shared.mark(two)
        return append(known, number, event, **how)  # type: ignore[arg-type]

    log.append = overtaken  # type: ignore[assignment,method-assign]

    assert one.evaluate_order(order("1")).code == "STATE_CONTENDED"
    assert "BTC/USD" not in two.book("account/main").positions


def test_without_its_store_a_guard_rejects_and_recovers_by_itself(desk: PolicySet) -> None:
    shared = Desk(desk)
    one, two = shared.funded("a", "b")
    first = one.evaluate_order(order("6"))
    shared.logs["a"].broken = "down"

    codes = [one.evaluate_order(order("1", client_order_id="x")).code for _ in range(3)]
    with pytest.raises(StateError, match="booked once"):
        one.on_fill(first.id, "3", 1_000)
    for price in (1_001.0, 1_002.0, 1_003.0):
        with pytest.raises(StateError):
            shared.mark(one, price)
    shared.logs["a"].broken = ""
    shared.clock.advance(SECOND)

    assert codes == ["STATE_UNAVAILABLE"] * 3
    assert one.evaluate_order(order("1", client_order_id="x")).decision is APPROVE
    assert views(one) == views(two)
    position = two.book("account/main").positions["BTC/USD"]
    assert (str(position.size), str(position.buys)) == ("3.0", "4.0")


def test_of_orders_that_wait_for_a_store_that_hangs_one_waits_for_its_answer(
    desk: PolicySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Desk(desk)
    (one,) = shared.funded("a")
    # Each answer takes five seconds to stay away; whoever comes next has waited for the guard as long.
    moments = count(0, 5 * SECOND)
    monkeypatch.setattr(shared_books, "perf_counter_ns", lambda: next(moments))
    log = shared.logs["a"]
    log.broken = "down"

    codes, asked = [], []
    for passed in (0, 5 * SECOND, SECOND // 20, SECOND // 10):
        shared.clock.advance(passed)
        before = log.calls
        codes.append(one.evaluate_order(order("1")).code)
        asked.append(log.calls > before)

    assert codes == ["STATE_UNAVAILABLE"] * 4
    assert asked == [True, False, False, True]


@pytest.mark.parametrize("broken", ["before", "after"])
def test_an_order_whose_answer_was_lost_is_rejected_and_leaves_nothing(
    desk: PolicySet, broken: str
) -> None:
    shared = Desk(desk)
    one, two = shared.funded("a", "b")
    shared.logs["a"].broken = broken

    refused = one.evaluate_order(order("6", client_order_id="x"))
    shared.logs["a"].broken = ""
    shared.clock.advance(SECOND)
    shared.mark(one)

    assert refused.code == "STATE_UNAVAILABLE"
    assert two.evaluate_order(order("10")).decision is APPROVE
    assert views(one) == views(two)
    assert one.book("firm").open_orders == two.book("firm").open_orders


@pytest.mark.parametrize("lost", [1, 3, "all"])
def test_what_the_store_lost_is_given_back(desk: PolicySet, lost: int | str) -> None:
    shared = Desk(desk)
    one, two = shared.funded("a", "b")
    for guard in (one, two, one):
        guard.evaluate_order(order("1"))
    two.catch_up()
    before = views(one)
    if lost == "all":
        shared.store.lose_all()
    else:
        shared.store.lose(int(lost))

    assert two.evaluate_order(order("8")).decision is RiskDecision.REDUCE_SIZE
    one.catch_up()
    two.catch_up()

    assert {each.order_id for each in one.book("firm").open_orders} >= {
        name for name in before.split("'") if name.startswith(("a-", "b-"))
    }
    assert views(one) == views(two)


def test_market_data_that_meets_a_store_which_lost_events(desk: PolicySet) -> None:
    shared = Desk(desk)
    one, two = shared.funded("a", "b")
    one.evaluate_order(order("4"))
    two.catch_up()
    shared.store.lose(1)

    shared.clock.advance(SECOND)
    data = MarketData(1_000.0, 1_000.0, 1_000.0, shared.clock.now_ns())
    found = two.evaluate_order(order("8"), data)

    assert str(found.size) == "6.0"
    assert views(one) == views(two)


def test_a_new_guard_starts_from_a_snapshot_and_what_came_after(desk: PolicySet) -> None:
    shared = Desk(desk)
    (one,) = shared.funded("a")
    one.evaluate_order(order("1", client_order_id="x"))
    one.checkpoint()
    one.evaluate_order(order("2"))
    one.set_kill_switch("account/other", "reducing", by="ann", reason="drill")

    two = shared.guard("b")

    assert views(one) == views(two)
    assert two.evaluate_order(order("1", client_order_id="x")).repeated


def test_the_more_a_snapshot_holds_the_rarer_it_is(
    desk: PolicySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_books, "_SNAPSHOT_EVERY", 4)
    monkeypatch.setattr(shared_books, "_SNAPSHOT_ROWS", 40)
    shared = Desk(desk)
    (guard,) = shared.funded("a")
    kept: list[int] = []
    keep = shared.logs["a"].keep_snapshot
    monkeypatch.setattr(
        shared.logs["a"],
        "keep_snapshot",
        lambda start: (kept.append(start.head.count), keep(start)),
    )

    for _ in range(120):
        guard.on_cancel(guard.evaluate_order(order("1")).id)

    gaps = [after - before for before, after in pairwise(kept)]
    assert max(gaps[:5]) <= 6
    assert min(gaps[-5:]) >= 10


def test_names_and_policy_sets_of_answers_are_there_once(desk: PolicySet) -> None:
    (guard,) = Desk(desk).funded("a")
    for number in range(3):
        guard.evaluate_order(order("1", client_order_id=f"c-{number}"))
    answers = list(guard._keeper.books.answers.values())

    assert len({id(each.policy_set) for each in answers}) == 1
    assert [len({id(each.content[at]) for each in answers}) for at in range(6)] == [1] * 6
    assert guard.evaluate_order(order("1", client_order_id="c-1")).repeated


def test_the_trading_day_begins_once_and_for_all(desk: PolicySet) -> None:
    shared = Desk(desk)
    one, two = shared.funded("a", "b")
    one.on_fill(one.evaluate_order(order("5")).id, "5", 1_000)
    shared.mark(one, 900.0)
    assert one.book("account/main").day_loss == 500

    shared.clock.advance(24 * 3_600 * SECOND)
    shared.mark(two, 900.0)

    assert one.evaluate_order(order("0.1", price="900")).decision is APPROVE
    assert two.book("account/main").day_loss == 0
    assert views(one) == views(two)


def test_threads_of_several_guards_never_pass_the_limit(desk: PolicySet) -> None:
    shared = Desk(desk, most_tries=10_000)
    guards = shared.funded("a", "b", "c")
    approved: list[str] = []

    def trade(guard: CentralRiskGuard, seed: int) -> None:
        source = random.Random(seed)
        for _ in range(60):
            answer = guard.evaluate_order(order(str(source.randint(1, 20) / 10)))
            if answer.size:
                approved.append(answer.id)
            if answer.size and source.random() < 0.5:
                guard.on_cancel(answer.id)

    threads = [
        threading.Thread(target=trade, args=(guard, seed)) for seed, guard in enumerate(guards * 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({views(guard) for guard in guards}) == 1
    assert guards[0].book("account/main").positions["BTC/USD"].buys <= 10
    assert len(approved) == len(set(approved)) > 10


def test_listeners_hear_of_what_any_guard_did(desk: PolicySet) -> None:
    one, two = Desk(desk).funded("a", "b")
    heard: list[list[object]] = []
    one.listen(heard.append)

    two.set_kill_switch("firm", "halted", by="ann", reason="drill")
    one.catch_up()

    assert [event[2:] for event in heard if event[0] == "switch"] == [
        ["firm", "halted", "ann", "drill"]
    ]


def test_a_switch_reaches_a_guard_that_has_nothing_to_decide(desk: PolicySet) -> None:
    shared = Desk(desk)
    (one,) = shared.funded("a")
    settings = GuardSettings(name="b", without_audit=True, poll_seconds=0.01)
    two = CentralRiskGuard.open(
        desk, state=MemoryLog(shared.store, "b-0"), clock=shared.clock, settings=settings
    )
    heard = threading.Event()
    two.listen(lambda event: heard.set() if event[0] == "switch" else None)

    one.set_kill_switch("firm", "halted", by="ann", reason="drill")

    assert heard.wait(60)
    assert two.kill_switch("firm") == "halted"
    two.close()


def test_a_log_of_another_trading_day_is_refused(desk: PolicySet, tmp_path: Path) -> None:
    shared = Desk(desk)
    shared.funded("a")
    folder = tmp_path / "policies"
    policies(folder)
    path = folder / "desk.yaml"
    path.write_text(
        path.read_text().replace(
            "  level: account", '  level: account\n  day: {time: "17:00", zone: UTC}'
        )
    )
    with pytest.raises(StateError, match="trading day"):
        CentralRiskGuard.open(
            PolicySet.load(folder),
            state=MemoryLog(shared.store, "b"),
            settings=GuardSettings(name="b", without_audit=True),
        )


def test_a_set_with_another_lot_step_is_refused_for_the_others_count_in_lots(
    desk: PolicySet, tmp_path: Path
) -> None:
    one, two = Desk(desk).funded("a", "b")
    folder = tmp_path / "policies"
    policies(folder)
    path = folder / "instruments.yaml"
    path.write_text(path.read_text().replace('lot_step: "0.1"', 'lot_step: "0.01"'))

    with pytest.raises(StateError, match=r"lot step: of `BTC/USD` it is 0.1, and not 0.01"):
        one.use(PolicySet.load(folder), by="reload")

    assert one.policy_set == desk.sha256
    one.evaluate_order(order("0.5"))
    two.catch_up()
    assert str(two.book("account/main").positions["BTC/USD"].buys) == "0.5"


def test_a_guard_that_ends_says_what_was_never_booked(desk: PolicySet) -> None:
    shared = Desk(desk)
    one, two = shared.funded("a", "b")
    first = one.evaluate_order(order("6"))
    shared.logs["a"].broken = shared.logs["b"].broken = "down"
    with pytest.raises(StateError):
        one.on_fill(first.id, "3", 1_000)

    with pytest.raises(StateError, match="1 events were never booked"):
        one.close()
    two.close()

    assert one.evaluate_order(order("1")).code == "GUARD_CLOSED"
