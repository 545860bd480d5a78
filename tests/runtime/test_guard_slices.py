"""Guards in groups: a slice of the firm each, more when it is needed, and one kill switch."""

from pathlib import Path
from typing import Any

import pytest

from ringfence import PolicySet, RiskDecision
from ringfence.errors import InputError, StateError
from ringfence.runtime.asked import MarketData
from ringfence.runtime.derive import Deriver
from ringfence.runtime.firm_slices import PARTS, Slice
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.recompute_record import How, recompute
from ringfence.runtime.shared_log import Head, StateUnavailableError
from runtime.desk import SECOND, Records, order
from runtime.firm_desk import CAPITAL, FIRM_GATES, GROUPS, Firm, firm_policies
from runtime.memory_log import MemoryLog, Store

pytestmark = pytest.mark.unit

APPROVE, REDUCE, REJECT = RiskDecision.APPROVE, RiskDecision.REDUCE_SIZE, RiskDecision.REJECT
STEP = PARTS // 16


@pytest.fixture(scope="module")
def policy_set(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return firm_policies(tmp_path_factory.mktemp("firm") / "policies")


@pytest.fixture
def firm(policy_set: PolicySet) -> Firm:
    return Firm(policy_set)


def other(size: object = "1", **fields: object) -> object:
    return order(size, account="other", **fields)


def held(firm: Firm) -> dict[str, int]:
    groups = firm.slices.state().groups
    return {name: each.slice.share if each.slice else 0 for name, each in groups.items()}


def test_a_group_begins_with_a_step_and_takes_more_when_an_order_needs_it(firm: Firm) -> None:
    one = firm.guard("one")
    assert held(firm)["one"] == STEP
    assert one.book("firm").equity == CAPITAL / 16

    # 16,000 is the firm's limit: a step is 1,000, and 5,000 take five.
    assert one.evaluate_order(order("5")).decision is APPROVE
    assert held(firm)["one"] == 5 * STEP
    assert one.book("firm").day_start_equity == one.book("firm").peak_equity == CAPITAL * 5 / 16


def test_all_groups_together_use_the_firm_s_limit_and_no_more(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")

    answers = [one.evaluate_order(order("9")), two.evaluate_order(other("9"))]

    assert [str(each.size) for each in answers] == ["9.0", "7.0"]
    assert answers[1].code == "TOTAL_EXPOSURE"
    assert two.evaluate_order(other("0.1")).decision is REJECT
    assert sum(held(firm).values()) == PARTS


def test_what_is_not_used_is_given_back_when_another_group_wants_it(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    working = one.evaluate_order(order("12"))
    one.on_cancel(working.id)
    two.evaluate_order(other("3"))
    assert two.evaluate_order(other("9")).decision is REDUCE

    one.catch_up()
    firm.clock.advance(SECOND // 2)
    again = two.evaluate_order(other("7"))

    assert again.decision is APPROVE
    assert held(firm)["one"] < 2 * STEP
    assert one.book("firm").equity == pytest.approx(
        CAPITAL / PARTS * firm.slices.state().groups["one"].slice.capital
    )


def test_what_is_used_is_not_given_back(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    one.on_fill(one.evaluate_order(order("6")).id, "3", 1_000)
    two.evaluate_order(other("16"))
    for _ in range(5):
        one.catch_up()

    assert held(firm)["one"] * 16_000 / PARTS >= 6_000
    assert one.evaluate_order(order("6", side="sell")).decision is APPROVE


@pytest.mark.parametrize("who", ["holder", "visitor"])
def test_a_slice_is_lowered_only_where_the_log_stands_as_it_was_looked_at(
    firm: Firm, who: str
) -> None:
    one, same, two = firm.guard("one"), firm.guard("one", "b"), firm.guard("two")
    one.on_cancel(one.evaluate_order(order("10")).id)
    append = MemoryLog.append
    begun: list[object] = []
    ordered: list[Any] = []

    def overtaken(log: MemoryLog, known: Head, number: int, event: list[object], **how: Any) -> Any:
        if event[0] == "slice" and event[4] and not begun:
            begun.append(event)
            firm.slices.wanted_ns = 0
            firm.mark(same)
            same.catch_up()
            ordered.append(same.evaluate_order(order("9")))
        return append(log, known, number, event, **how)

    if who == "visitor":
        firm.clock.advance(3_600 * SECOND)
    firm.mark(two)
    firm.mark(one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryLog, "append", overtaken)
        if who == "holder":
            two.evaluate_order(other("8"))
        (two if who == "visitor" else one).catch_up()
        firm.clock.advance(SECOND)
        answer = two.evaluate_order(other("9"))

    assert ordered[0].decision is APPROVE
    assert answer.size < 9
    one.catch_up()
    two.catch_up()
    assert one.book("firm").exposure + two.book("firm").exposure <= 16_000


def test_an_order_that_other_gates_refuse_takes_no_slice(firm: Firm) -> None:
    one = firm.guard("one")
    one.set_kill_switch("symbol/BTC/USD", "halted", by="ann", reason="drill")

    assert one.evaluate_order(order("5")).code == "KILL_SWITCH"
    assert held(firm)["one"] == STEP


def test_a_group_that_nobody_speaks_for_loses_what_it_does_not_use(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    one.evaluate_order(order("10"))
    one.on_cancel(one.working_orders()[0].order_id)
    kept = one.evaluate_order(order("2"))
    firm.clock.advance(3_600 * SECOND)
    firm.mark(two)
    two.catch_up()

    assert two.evaluate_order(other("13")).decision is APPROVE
    assert two.evaluate_order(other("2")).decision is REDUCE

    # It comes back, finds its slice lowered before it decides, and its order where it was.
    firm.mark(one)
    one.catch_up()
    assert one.evaluate_order(order("0.1")).code == "TOTAL_EXPOSURE"
    assert [each.order_id for each in one.working_orders()] == [kept.id]
    assert {name: value for name, value in _metrics(two).items() if "reclaims" in name} == {
        "ringfence_slice_reclaims": 1
    }


def test_a_group_whose_log_cannot_be_read_keeps_its_slice(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    one.evaluate_order(order("10"))
    firm.clock.advance(3_600 * SECOND)
    firm.mark(two)
    two.catch_up()
    log = firm.slices.log

    def broken(group: str, origin: str) -> MemoryLog:
        found = log(group, origin)
        found.broken = "down"
        return found

    firm.slices.log = broken  # type: ignore[method-assign]

    assert str(two.evaluate_order(other("9")).size) == "6.0"
    two.catch_up()
    assert two.evaluate_order(other("1")).decision is REJECT
    assert held(firm)["one"] == 10 * STEP


def test_a_lost_answer_takes_nothing_twice(firm: Firm) -> None:
    one = firm.guard("one")
    firm.slices.broken = "after"
    assert one.evaluate_order(order("2")).decision is REDUCE
    firm.slices.broken = ""
    assert held(firm)["one"] == 2 * STEP
    assert one.book("firm").equity == CAPITAL / 16

    one.catch_up()

    assert one.book("firm").equity == CAPITAL / 8
    assert one.evaluate_order(order("1")).decision is APPROVE
    assert held(firm)["one"] == 2 * STEP


def test_a_crash_between_the_two_steps_is_mended_at_the_next_start(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    # Given out, and not in the log yet.
    firm.slices.take("one", Slice(STEP, STEP), STEP, STEP)
    again = firm.guard("one", "b")
    assert again.book("firm").equity == CAPITAL / 8

    # Given back in the log, and not in the store yet.
    renew = firm.slices.renew
    firm.slices.wanted_ns = firm.clock.now_ns() + SECOND
    calls = []

    def once(*arguments: object, **named: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise StateUnavailableError("lost")
        return renew(*arguments, **named)  # type: ignore[arg-type]

    firm.slices.renew = once  # type: ignore[assignment,method-assign]
    with pytest.raises(StateError):
        again.catch_up()
    firm.slices.renew = renew  # type: ignore[method-assign]
    assert again.book("firm").equity < CAPITAL / 8
    assert held(firm)["one"] == 2 * STEP

    firm.guard("one", "c")
    assert held(firm)["one"] < 2 * STEP
    del one, two


def test_a_loss_beyond_a_slice_is_covered_by_what_is_free(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    one.on_fill(one.evaluate_order(order("10")).id, "10", 1_000)
    before = held(firm)["one"]

    # The firm may lose 20,000; ten of sixteen parts of that are 12,500.
    one.on_direct_fill("main", "", "BTC/USD", "buy", "0.1", 151_000)
    one.catch_up()
    two.catch_up()

    assert before == 10 * STEP
    assert held(firm)["one"] == 12 * STEP
    assert two.evaluate_order(other("0.1")).decision is APPROVE


def test_one_group_s_loss_stops_new_risk_in_all_of_them(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    one.on_fill(one.evaluate_order(order("5")).id, "5", 1_000)
    two.on_fill(two.evaluate_order(other("2")).id, "2", 1_000)
    one.on_direct_fill("main", "", "BTC/USD", "buy", "0.1", 700_000)
    one.catch_up()
    two.catch_up()

    refused = two.evaluate_order(other("0.1"))
    assert (refused.decision, refused.code) == (REJECT, "FIRM_OVER_LIMIT")
    assert "groups=one" in refused.reason
    assert two.evaluate_order(other("1", side="sell")).decision is APPROVE


def test_a_group_with_unknown_losses_holds_the_others_off(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    one.on_fill(one.evaluate_order(order("1")).id, "1", 1_000)
    firm.clock.advance(10 * SECOND)
    firm.mark(two)
    one.catch_up()
    two.catch_up()
    assert two.evaluate_order(other("1")).code == "FIRM_OVER_LIMIT"

    firm.mark(one)
    one.catch_up()
    two.catch_up()
    assert two.evaluate_order(other("1")).decision is APPROVE


def test_what_a_dead_group_lost_is_looked_at_with_newer_prices(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    one.on_fill(one.evaluate_order(order("1")).id, "1", 1_000)
    firm.clock.advance(10 * SECOND)
    one.catch_up()
    firm.clock.advance(10 * SECOND)
    firm.mark(two)
    two.catch_up()
    assert two.evaluate_order(other("1")).code == "FIRM_OVER_LIMIT"

    two.catch_up()

    assert two.evaluate_order(other("1")).decision is APPROVE


def test_what_a_dead_group_loses_holds_the_others_off(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    two.on_fill(two.evaluate_order(other("2")).id, "2", 1_000)
    two.on_direct_fill("other", "", "BTC/USD", "buy", "20", 1_000)
    two.catch_up()
    firm.clock.advance(70 * SECOND)
    firm.mark(one, 50.0)
    one.catch_up()
    firm.clock.advance(SECOND)
    firm.mark(one, 50.0)
    one.catch_up()

    assert one.evaluate_order(order("0.1", price="50")).code == "FIRM_OVER_LIMIT"


def test_the_firm_s_switch_reaches_every_group_and_the_next_ones(firm: Firm) -> None:
    records = Records()
    one, two = firm.guard("one"), firm.guard("two", audit=records)
    one.set_kill_switch("firm", "halted", by="ann", reason="drill")
    assert one.evaluate_order(order("1")).code == "KILL_SWITCH"

    two.catch_up()

    assert two.kill_switch("firm") == "halted"
    assert two.evaluate_order(other("1")).code == "KILL_SWITCH"
    assert records.of("firm")[0]["switch"] == ["firm", "halted", "ann", "drill"]
    two.set_kill_switch("firm", "active", by="bob", reason="over")
    one.catch_up()
    assert one.evaluate_order(order("1")).decision is APPROVE
    assert firm.guard("two", "b").kill_switch("firm") == "active"


def test_a_switch_that_could_not_be_told_is_told_later(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    firm.slices.broken = "down"
    with pytest.raises(StateError, match="in this group alone"):
        one.set_kill_switch("firm", "halted", by="ann", reason="drill")
    assert one.evaluate_order(order("1")).code == "KILL_SWITCH"
    firm.slices.broken = ""
    firm.clock.advance(2 * SECOND)

    one.catch_up()
    two.catch_up()

    assert two.kill_switch("firm") == "halted"


def test_a_guard_that_the_firm_does_not_hear_takes_no_new_risk(firm: Firm) -> None:
    one = firm.guard("one")
    one.on_fill(one.evaluate_order(order("1")).id, "1", 1_000)
    firm.slices.broken = "down"
    firm.clock.advance(6 * SECOND)
    firm.mark(one)

    assert one.evaluate_order(order("0.1")).code == "FIRM_UNHEARD"
    assert one.evaluate_order(order("0.5", side="sell")).decision is APPROVE
    with pytest.raises(StateError):
        one.catch_up()
    firm.slices.broken = ""
    firm.clock.advance(2 * SECOND)
    firm.mark(one)
    one.catch_up()
    assert one.evaluate_order(order("0.1")).decision is APPROVE


def test_a_store_that_forgot_everything_is_told_anew(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    one.evaluate_order(order("10"))
    one.set_kill_switch("firm", "reducing", by="ann", reason="drill")
    two.catch_up()
    two.set_kill_switch("firm", "active", by="ann", reason="over")
    firm.slices.forget()
    with pytest.raises(StateError, match="not founded"):
        one.catch_up()
    firm.slices.found(CAPITAL, GROUPS)
    firm.clock.advance(2 * SECOND)
    firm.mark(two)

    # Whoever asks for more looks into the books of the group that was not heard of.
    two.on_cancel(two.evaluate_order(other("9")).id)
    assert held(firm)["one"] == 0
    two.catch_up()
    assert str(two.evaluate_order(other("9")).size) == "6.0"
    two.set_kill_switch("firm", "halted", by="bob", reason="again")
    one.catch_up()
    assert one.kill_switch("firm") == "halted"
    assert held(firm)["one"] == 10 * STEP


def test_groups_that_hold_more_than_there_is_take_no_new_risk(firm: Firm) -> None:
    one, two = firm.guard("one"), firm.guard("two")
    one.evaluate_order(order("9"))
    two.evaluate_order(other("1"))
    # A replica that knew nothing of it took over, and gave it out again.
    firm.slices.groups["one"] = Slice(STEP, STEP)
    two.evaluate_order(other("14"))
    one.catch_up()
    two.catch_up()

    assert two.evaluate_order(other("0.1")).code == "FIRM_OVERDRAWN"
    two.on_cancel(two.working_orders()[-1].order_id)
    two.catch_up()
    two.catch_up()
    assert two.evaluate_order(other("0.1")).decision is APPROVE


def test_an_account_trades_in_its_group_alone(firm: Firm) -> None:
    one = firm.guard("one")
    refused = one.evaluate_order(other("1"))
    assert (refused.decision, refused.code) == (REJECT, "OTHER_GROUP")
    assert "account/other" in refused.reason


def test_a_policy_set_swapped_in_is_held_to_the_slice(firm: Firm, tmp_path: Path) -> None:
    one = firm.guard("one")
    one.evaluate_order(order("8"))
    narrow = FIRM_GATES.replace("16_000", "8_000")
    one.use(firm_policies(tmp_path / "narrow", narrow), by="ann")

    refused = one.evaluate_order(order("0.1"))
    assert refused.decision is REJECT
    # All sixteen steps together are the whole of the new limit.
    limits = [each.limit for each in refused.gates if each.gate == "total-exposure"]
    assert limits == [900_000, 8_000]
    with pytest.raises(InputError, match="cannot be split"):
        one.use(
            firm_policies(
                tmp_path / "net", "    - {rule: net-exposure@1, limits: {max: 9_000 USD}}"
            ),
            by="ann",
        )


def test_a_shadow_is_held_to_the_slice_as_it_is(firm: Firm) -> None:
    records = Records()
    one = firm.guard("one", audit=records)
    one.shadow(firm.policy_set)
    for size in ("2", "3"):
        one.evaluate_order(order(size))

    assert one.shadow_differences == {"decisions": 2}
    body = records.of("decision")[-1]
    assert body["slice"] == ["one", 5 * STEP, 5 * STEP]


def test_decisions_on_a_slice_are_derived_again_from_their_records(firm: Firm) -> None:
    records = Records()
    one, two = firm.guard("one", audit=records), firm.guard("two", audit=records)
    for size in ("1", "2", "20"):
        one.evaluate_order(order(size))
    two.evaluate_order(other("0.3"))
    two.on_direct_fill("other", "", "BTC/USD", "buy", "0.1", 300_000)
    two.catch_up()
    one.catch_up()
    one.evaluate_order(order("1"))
    bodies = records.of("decision")
    assert [body["code"] for body in bodies][-1] == "FIRM_OVER_LIMIT"

    deriver = Deriver(firm.policy_set.linked)
    for body in bodies:
        found = recompute(dict(body), deriver)
        assert (found.how, found.differences) == (How.DERIVED, [])
    forged = dict(bodies[2]) | {"slice": ["one", PARTS, PARTS // 2]}
    assert recompute(forged, deriver).differences
    for broken in (["one", 1], ["one", 1, PARTS + 1], "x"):
        assert recompute(forged | {"slice": broken}, deriver).how is How.FAILED
    assert recompute(forged | {"held_off": 1}, deriver).how is How.FAILED


def test_slices_are_recorded_and_counted(firm: Firm) -> None:
    records = Records()
    one = firm.guard("one", audit=records)
    one.evaluate_order(order("2"))

    assert [body["share"] for body in records.of("slice")] == [0.0, 1 / 16, 1 / 8]
    assert records.of("slice")[-1]["capital"] == "81920.000000"
    found = _metrics(one)
    assert found["ringfence_slice_capital"] == CAPITAL / 8
    assert found["ringfence_slice_share"] == 1 / 8
    assert found["ringfence_slice_moves"] == 3


@pytest.mark.parametrize(
    ("settings", "state", "why"),
    [
        ({"name": "a"}, "log", "needs a group"),
        ({"name": "a", "group": "nobody"}, "log", "no group"),
        ({"in_memory": True, "group": "one"}, "none", "guards share"),
    ],
)
def test_a_guard_that_cannot_be_of_a_group_is_not_opened(
    firm: Firm, settings: dict[str, object], state: str, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        CentralRiskGuard.open(
            firm.policy_set,
            state=firm.slices.log("one", "a") if state == "log" else None,
            clock=firm.clock,
            settings=GuardSettings(
                without_audit=True, poll_seconds=0, slices=firm.slices, **settings
            ),  # type: ignore[arg-type]
        )


def test_books_with_and_without_a_slice_are_kept_apart(firm: Firm) -> None:
    store = Store()
    plain = GuardSettings(name="a", without_audit=True, poll_seconds=0)
    whole = CentralRiskGuard.open(
        firm.policy_set, state=MemoryLog(store, "a"), clock=firm.clock, settings=plain
    )
    whole.on_balance("account/main", "opening", 1_000)
    firm.slices.stores["one"] = store
    with pytest.raises(StateError, match="begun without a slice"):
        firm.guard("one", "b")

    firm.guard("two")
    with pytest.raises(InputError, match="hold a slice"):
        CentralRiskGuard.open(
            firm.policy_set, state=firm.slices.log("two", "x"), clock=firm.clock, settings=plain
        )


def test_the_firm_s_book_of_a_group_takes_no_other_money(firm: Firm) -> None:
    one = firm.guard("one")
    with pytest.raises(InputError, match="slice of the capital"):
        one.on_balance("firm", "deposit", 1_000)
    one.on_balance("account/main", "deposit", 1_000)
    assert one.book("firm").equity == CAPITAL / 16


def test_the_slice_survives_snapshots(firm: Firm) -> None:
    one = firm.guard("one")
    one.evaluate_order(order("3"))
    one.set_kill_switch("firm", "reducing", by="ann", reason="drill")
    one.catch_up()
    one.checkpoint()

    again = firm.guard("one", "b")

    # As text: a price that nobody knows is not equal to itself.
    assert repr(again.book("firm")) == repr(one.book("firm"))
    assert again.kill_switch("firm") == "reducing"


def test_a_live_guard_does_all_of_it_by_itself(policy_set: PolicySet) -> None:
    """The switch is there without anybody asking for it; the wait ends when it is."""
    from adapters.redis_server import wait_until

    firm = Firm(policy_set)
    one = firm.guard("one")
    two = CentralRiskGuard.open(
        policy_set,
        state=firm.slices.log("two", "live"),
        clock=firm.clock,
        settings=GuardSettings(
            name="live", without_audit=True, poll_seconds=0.01, slices=firm.slices, group="two"
        ),
    )
    two.on_mark("BTC/USD", MarketData(1_000.0, 1_000.0, 1_000.0, firm.clock.now_ns()))
    one.set_kill_switch("firm", "halted", by="ann", reason="drill")

    wait_until(lambda: two.kill_switch("firm") == "halted", "the switch")
    two.close()


def _metrics(guard: CentralRiskGuard) -> dict[str, float]:
    return {
        metric.name: sum(sample.value for sample in metric.samples)  # type: ignore[misc]
        for metric in guard.metrics()
        if "slice" in metric.name
    }
