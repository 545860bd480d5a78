"""Books that a gate halts for how they stand, though no order meets the breach."""

import math
import tempfile
from itertools import product
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ringfence import AuditError, PolicySet, StateError
from ringfence.language.decision import Outcome
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.limits_now import LiveLimits
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.standing_gates import standing_gates
from runtime.desk import NOON, SECOND, Records, opened, order, policies
from runtime.histories import loaded, policy_texts, steps
from runtime.shared_desk import Desk as SharedDesk
from runtime.test_limits_now import gates_of_reference, lived

pytestmark = pytest.mark.unit

# 10 BTC were bought at 1,000: a loss of 3.4 % of the day's start, where 3 % are allowed.
DEEP, SOUND = 660.0, 990.0
MAIN = "account/main"
TIGHTER = """
    - rule: daily-loss@1
      name: tight-in-ether
      limits: {max_loss_ratio: 50%}
      on_breach: halt
      overrides:
        - {scope: {symbols: [ETH/USD]}, limits: {max_loss_ratio: 1%}}
"""


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def records() -> Records:
    return Records()


def desk(place: Path, clock: FixedClock, **given: Any) -> CentralRiskGuard:
    """A guard whose account `main` holds 10 BTC, bought at 1,000."""
    given.setdefault("daily", "halt")
    log = given.pop("audit", None)
    chosen = GuardSettings(in_memory=True, without_audit=log is None)
    guard = opened(policies(place, **given), clock=clock, settings=chosen, audit=log)
    guard.on_direct_fill("main", "", "BTC/USD", "buy", "10", 1_000)
    return guard


def tick(guard: CentralRiskGuard, clock: FixedClock, price: float) -> None:
    clock.advance(SECOND)
    guard.on_mark("BTC/USD", MarketData(price, price, price, clock.now_ns()))


def code(guard: CentralRiskGuard, **changes: Any) -> str:
    """Of the answer to a small order; empty for an approval."""
    return guard.evaluate_order(order("0.1", price="600", **changes)).code


def test_a_loss_that_marks_alone_bring_halts_the_book_and_says_why(
    tmp_path: Path, clock: FixedClock, records: Records
) -> None:
    guard = desk(tmp_path, clock, audit=records)
    limits = LiveLimits(guard)
    assert limits.halt_breached() == ()

    tick(guard, clock, DEEP)
    assert limits.halt_breached() == (MAIN,)

    # It stays so when the price comes back, for a person has to look into it.
    tick(guard, clock, SOUND)
    assert code(guard) == "KILL_SWITCH"
    assert limits.halt_breached() == ()
    assert guard.kill_switch("account/other") == guard.kill_switch("firm") == "active"
    assert [each["switch"] for each in records.of("switch")] == [
        [
            MAIN,
            "halted",
            "rule:daily-loss",
            "DAILY_LOSS loss=3.4% limit=3% gate=daily-loss policy=desk-main@2.3.0",
        ]
    ]


def test_a_gate_that_rejects_or_is_in_the_shadow_halts_nothing(
    tmp_path: Path, clock: FixedClock
) -> None:
    shadow = TIGHTER.replace("on_breach: halt", "on_breach: halt\n      mode: shadow")
    guard = desk(tmp_path, clock, daily="reject", more=shadow.replace("50%", "1%"))
    tick(guard, clock, DEEP)
    assert LiveLimits(guard).halt_breached() == ()
    assert guard.kill_switches == ()


def test_what_is_unknown_halts_nothing(tmp_path: Path, clock: FixedClock) -> None:
    guard = desk(tmp_path, clock)
    tick(guard, clock, math.nan)
    assert LiveLimits(guard).halt_breached() == ()


def test_looks_and_orders_count_the_same_ticks(tmp_path: Path, clock: FixedClock) -> None:
    guard = desk(tmp_path, clock, daily="halt, confirm_ticks: 3")
    limits = LiveLimits(guard)
    tick(guard, clock, DEEP)
    for _ in range(5):
        limits.halt_breached()
        assert code(guard) == "DAILY_LOSS"
    tick(guard, clock, DEEP)
    assert limits.halt_breached() == ()
    assert guard.kill_switch(MAIN) == "active"

    tick(guard, clock, DEEP)
    assert limits.halt_breached() == (MAIN,)
    assert guard.kill_switches[0].reason.endswith("met at 3 ticks")


def test_a_look_that_finds_the_limit_kept_starts_the_count_anew(
    tmp_path: Path, clock: FixedClock
) -> None:
    guard = desk(tmp_path, clock, daily="halt, confirm_ticks: 2")
    limits = LiveLimits(guard)
    for price in (DEEP, SOUND, DEEP):
        tick(guard, clock, price)
        limits.halt_breached()
    assert guard.kill_switches == ()


def test_a_book_whose_positions_a_person_takes_down_is_left_to_do_so(
    tmp_path: Path, clock: FixedClock
) -> None:
    guard = desk(tmp_path, clock)
    limits = LiveLimits(guard)
    tick(guard, clock, DEEP)
    limits.halt_breached()
    guard.set_kill_switch(MAIN, "reducing", by="ann", reason="taking it down")
    tick(guard, clock, DEEP)
    assert limits.halt_breached() == ()
    # Nor does a bot that goes on buying close the way out.
    assert code(guard) == "KILL_SWITCH"
    assert code(guard, side="sell") == ""

    # Who releases it while the loss stands has it halted again.
    guard.set_kill_switch(MAIN, "active", by="ann", reason="all well")
    assert limits.halt_breached() == (MAIN,)


def test_a_limit_that_holds_orders_of_one_symbol_alone_waits_for_such_an_order(
    tmp_path: Path, clock: FixedClock
) -> None:
    guard = desk(tmp_path, clock, daily="reject", more=TIGHTER)
    limits = LiveLimits(guard)
    # 2 % of the day's start: too much for orders in ether only.
    tick(guard, clock, 800.0)
    assert limits.halt_breached() == ()
    assert code(guard) == ""

    guard.on_mark("ETH/USD", MarketData(10.0, 10.0, 10.0, clock.now_ns()))
    found = guard.evaluate_order(order("1", symbol="ETH/USD", price="10"))
    assert found.code == "DAILY_LOSS"
    assert guard.kill_switch(MAIN) == "halted"


SCOPED = """
apiVersion: ringfence/v1
kind: Policy
metadata: {{name: {name}, version: 1.0.0, owner: risk@example.com, description: some orders alone}}
spec:
  level: {level}
  currency: USD
  scope: {{{scope}}}
  gates:
    - {{rule: daily-loss@1, limits: {{max_loss_ratio: 1%}}, on_breach: halt}}
"""


def scoped_desk(
    place: Path, clock: FixedClock, *scopes: str, level: str = "account"
) -> CentralRiskGuard:
    """As `desk`, with a policy for each scope that halts at a third of the loss that the desk's own rejects at."""
    policies(place)
    for n, scope in enumerate(scopes):
        (place / f"{n}.yaml").write_text(SCOPED.format(name=f"tight-{n}", level=level, scope=scope))
    guard = opened(PolicySet.load(place), clock=clock)
    guard.on_balance("strategy/trend", "opening", 100_000)
    guard.on_direct_fill("main", "trend", "BTC/USD", "buy", "10", 1_000)
    return guard


@pytest.mark.parametrize(
    "scope", ["symbols: [ETH/USD]", "strategies: [trend]", "venues: [paper]", "symbols: [ETH/*]"]
)
def test_a_policy_for_some_orders_of_a_book_alone_waits_for_such_an_order(
    tmp_path: Path, clock: FixedClock, scope: str
) -> None:
    guard = scoped_desk(tmp_path, clock, scope)
    tick(guard, clock, 790.0)
    assert LiveLimits(guard).halt_breached() == ()
    assert code(guard) == ""

    guard.on_mark("ETH/USD", MarketData(10.0, 10.0, 10.0, clock.now_ns()))
    asked = order("1", symbol="ETH/USD", price="10", strategy="trend", venue="paper")
    assert guard.evaluate_order(asked).code == "DAILY_LOSS"
    assert guard.kill_switch(MAIN) == "halted"


@pytest.mark.parametrize(
    ("scopes", "level", "target"),
    [
        (["accounts: [main]"], "account", MAIN),
        (["symbols: [ETH/*]", "symbols: [BTC/*]"], "account", MAIN),
        (["strategies: [trend]"], "strategy", "strategy/trend"),
        (['accounts: ["*"]'], "firm", "firm"),
    ],
)
def test_policies_that_bind_every_order_of_a_book_halt_it(
    tmp_path: Path, clock: FixedClock, scopes: list[str], level: str, target: str
) -> None:
    guard = scoped_desk(tmp_path, clock, *scopes, level=level)
    tick(guard, clock, 790.0)
    assert set(LiveLimits(guard).halt_breached()) == {target}


def test_of_the_firm_s_book_orders_of_other_accounts_pass(
    tmp_path: Path, clock: FixedClock
) -> None:
    guard = scoped_desk(tmp_path, clock, "accounts: [main]", level="firm")
    tick(guard, clock, 790.0)
    assert LiveLimits(guard).halt_breached() == ()


def test_with_other_limits_what_was_found_under_the_former_counts_no_more(
    tmp_path: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = desk(tmp_path / "a", clock)
    limits = LiveLimits(guard)
    tick(guard, clock, DEEP)
    sample = limits.sample

    def swapped() -> Any:
        found = sample()
        guard.use(policies(tmp_path / "b", daily="reject"), by="ann")
        return found

    monkeypatch.setattr(limits, "sample", swapped)
    assert limits.halt_breached() == ()
    assert guard.kill_switches == ()


def test_a_halt_that_cannot_be_recorded_holds_and_is_told(
    tmp_path: Path, clock: FixedClock, records: Records
) -> None:
    guard = desk(tmp_path, clock, audit=records)
    tick(guard, clock, DEEP)
    records.fail_append = True
    with pytest.raises(AuditError):
        LiveLimits(guard).halt_breached()
    assert guard.kill_switch(MAIN) == "halted"


def shared_loss(place: Path) -> tuple[SharedDesk, list[CentralRiskGuard], Records]:
    """Guards `a` and `b` of the same books, which both know of a loss; and the log of `b`."""
    shared, records = SharedDesk(policies(place, daily="halt")), Records()
    guards = [*shared.funded("a"), shared.guard("b", audit=records)]
    guards[0].on_direct_fill("main", "", "BTC/USD", "buy", "10", 1_000)
    shared.clock.advance(SECOND)
    shared.mark(guards[0], DEEP)
    guards[1].catch_up()
    return shared, guards, records


@pytest.mark.parametrize("state", ["reducing", "halted"])
def test_what_another_guard_of_the_same_books_was_told_of_the_switch_holds(
    tmp_path: Path, state: str
) -> None:
    _, (one, other), records = shared_loss(tmp_path)
    one.set_kill_switch(MAIN, state, by="ann", reason="taking it down")
    assert LiveLimits(other).halt_breached() == ()
    one.catch_up()
    assert [(each.state, each.by) for each in one.kill_switches] == [(state, "ann")]
    assert records.of("switch") == []


def test_of_two_guards_of_the_same_books_one_halts_them(tmp_path: Path) -> None:
    _, (one, other), records = shared_loss(tmp_path)
    assert LiveLimits(one).halt_breached() == (MAIN,)
    assert LiveLimits(other).halt_breached() == ()
    assert records.of("switch") == []


def test_while_a_store_that_guards_share_is_away_no_halt_waits_to_undo_what_a_person_sets(
    tmp_path: Path,
) -> None:
    shared, (one, other), records = shared_loss(tmp_path)
    shared.logs["b"].broken = "down"
    for _ in range(3):
        shared.clock.advance(SECOND)
        with pytest.raises(StateError):
            LiveLimits(other).halt_breached()
    one.set_kill_switch(MAIN, "reducing", by="ann", reason="taking it down")
    shared.logs["b"].broken = ""
    shared.clock.advance(SECOND)
    assert LiveLimits(other).halt_breached() == ()
    assert other.kill_switch(MAIN) == "reducing"
    assert records.of("switch") == []


def test_a_halt_that_did_not_happen_is_not_recorded(
    tmp_path: Path, clock: FixedClock, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = desk(tmp_path, clock, audit=records)
    limits = LiveLimits(guard)
    tick(guard, clock, DEEP)
    found = standing_gates(limits.sample())

    def broken(now_ns: int) -> int:
        raise StateError(f"interrupted at {now_ns}", "start a new guard")

    monkeypatch.setattr(guard._keeper, "advance", broken)
    with pytest.raises(StateError):
        guard.halt_standing(found, guard.evaluator.linked, clock.now_ns())
    assert records.of("switch") == []


class Slow(Records):
    """A log that says of each wait, from within it, whether the guard answers others meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.guard: CentralRiskGuard | None = None
        self.answered: list[bool] = []

    def wait(self, sequence: int) -> None:
        super().wait(sequence)
        if self.guard is not None:
            other = Thread(target=self.guard.kill_switch, args=(MAIN,), daemon=True)
            other.start()
            other.join(10)
            self.answered.append(not other.is_alive())


def test_of_many_books_that_are_halted_at_once_orders_do_not_wait_for_the_log(
    tmp_path: Path, clock: FixedClock
) -> None:
    records = Slow()
    guard = desk(tmp_path, clock, audit=records)
    guard.on_direct_fill("other", "", "BTC/USD", "buy", "10", 1_000)
    tick(guard, clock, DEEP)
    limits = LiveLimits(guard)
    records.guard = guard
    assert set(limits.halt_breached()) == {MAIN, "account/other"}
    assert records.answered == [True]
    assert records.waited == len(records.bodies)


def test_of_books_within_their_limits_or_halted_already_a_look_hands_over_nothing(
    tmp_path: Path, clock: FixedClock
) -> None:
    guard = desk(tmp_path, clock)
    limits = LiveLimits(guard)
    assert standing_gates(limits.sample()) == []
    tick(guard, clock, DEEP)
    assert [each.target for each in standing_gates(limits.sample())] == [MAIN]
    limits.halt_breached()
    assert standing_gates(limits.sample()) == []


@pytest.mark.parametrize("halts", [True, False])
def test_while_it_is_started_each_look_halts_unless_it_is_told_not_to(
    tmp_path: Path, clock: FixedClock, halts: bool
) -> None:
    guard, looked = desk(tmp_path, clock), Event()
    seen: list[Any] = []
    limits = LiveLimits(guard, every_seconds=0.001, halts=halts)

    def hear(event: Any) -> None:
        if event[0] == "switch":
            seen.append(event)
            looked.set()

    guard.listen(hear)
    tick(guard, clock, DEEP)
    real = limits.sample
    looks: list[Any] = []

    def sample() -> Any:
        found = real()
        looks.append(found)
        if not halts and len(looks) > 2:
            looked.set()
        return found

    limits.sample = sample  # type: ignore[method-assign]
    with limits:
        assert looked.wait(30)
    assert guard.kill_switch(MAIN) == ("halted" if halts else "active")
    assert len(seen) == halts


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
@given(texts=policy_texts(), history=steps)
def test_a_look_halts_where_every_order_would_meet_the_breach(
    texts: dict[str, str], history: list[Any]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        guard, clock = lived(loaded(Path(place), texts), history)
    now = clock.now_ns()
    symbols = ("BTC/USD", "ETH/USD", "SOL/EUR")
    met: dict[tuple[str, str], list[bool]] = {}
    for account in ("main", "other", "new"):
        for symbol, side in product(symbols, ("buy", "sell")):
            if symbol in guard.evaluator.linked.desk.instruments:
                gates = gates_of_reference(guard, now, side, account=account, symbol=symbol)
                for each in filter(lambda each: each.gate.halts, gates):
                    target = "firm" if each.gate.level == "firm" else f"account/{account}"
                    each.inputs.lots = 0
                    outcomes = [each.found(check).outcome for check in each.binding]
                    met.setdefault((each.gate.label, target), []).append(Outcome.BREACH in outcomes)
    breached = {target for (_, target), orders in met.items() if all(orders)}
    expected = {target for target in breached if guard.kill_switch(target) == "active"}
    assert set(LiveLimits(guard).halt_breached()) == expected
