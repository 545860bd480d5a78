"""How much of every limit is used, without an order: held against the reference, and by plain examples."""

import math
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from ringfence.backends.numba_kernel import layout
from ringfence.backends.reference.decide import asked_gates
from ringfence.language.decision import Outcome
from ringfence.language.fields import MESSAGES
from ringfence.language.tickets import read_ticket
from ringfence.runtime import limits_now
from ringfence.runtime.asked import MarketData, read_order
from ringfence.runtime.audit_codec import decode
from ringfence.runtime.derived_case import derived_case
from ringfence.runtime.evidence_read import read_evidence
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.limit_metrics import OTHER
from ringfence.runtime.limit_rows import LimitNow
from ringfence.runtime.limits_now import LiveLimits
from ringfence.runtime.metrics import Metric
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import FixedClock
from runtime.desk import IN_MEMORY, NOON, SECOND, mark, opened, order, policies
from runtime.histories import happen, loaded, policy_texts, steps

pytestmark = pytest.mark.unit

_RANKS = {Outcome.PASS: 0, Outcome.BREACH: 1, Outcome.UNKNOWN: 2}
DAY = 86_400 * SECOND


def lived(sets: PolicySet, history: list[Any]) -> tuple[CentralRiskGuard, FixedClock]:
    """A guard to which all of this happened."""
    clock = FixedClock(NOON)
    given = GuardSettings(in_memory=True, without_audit=True, accounts=("new",))
    guard = CentralRiskGuard.open(sets, clock=clock, settings=given)
    for account in ("main", "other"):
        guard.on_balance(f"account/{account}", "opening", 100_000)
    for symbol, price in (("BTC/USD", 100.0), ("ETH/USD", 10.0), ("SOL/EUR", 10.0)):
        if symbol in sets.linked.desk.instruments:
            guard.on_mark(symbol, MarketData(price, price, price, NOON))
    orders: list[str] = []
    for kind, *about in history:
        clock.advance(SECOND // 1_000)
        if kind == "time":
            clock.advance(about[0])
        elif kind == "direct" and about[1] not in sets.linked.desk.instruments:
            # Of what is not declared there is no second opinion.
            continue
        elif kind != "use":
            happen(guard, clock, orders, kind, about)
    return guard, clock


def gates_of_reference(guard: CentralRiskGuard, now: int, side: str, **names: str) -> list[Any]:
    """The reference's gates for an order of no lots, on what the guard's books hold."""
    request = order(guard.evaluator.linked.desk.instruments[names["symbol"]].lot_step, side=side)
    request.price, request.type = None, "market"
    for name, value in names.items():
        setattr(request, name, value)
    asked = read_order(request)
    route = guard.evaluator.route(asked)  # type: ignore[arg-type]
    guard.evaluator.ask(route, asked, 1, now)  # type: ignore[arg-type]
    shown = read_evidence(decode(guard.evaluator.evidence(route).encode()))  # type: ignore[arg-type]
    linked = guard.evaluator.linked
    case = derived_case(linked, asked, now, shown, reducing=False)  # type: ignore[arg-type]
    ticket, _ = read_ticket(case, linked)
    assert ticket is not None
    ticket.lots = 0
    if math.isnan(ticket.valuation_price):
        ticket.valuation_price = 0.0
    bounds = linked.bind(*(names.get(n, "") for n in ("account", "strategy", "venue", "symbol")))
    return asked_gates(linked, case, bounds, ticket)


def most_that_passes(gate: Any, check: Any, most: int) -> int:
    """By bisection, as the reference does it; `most` where all of it passes."""

    def passes(lots: int) -> bool:
        gate.inputs.lots = lots
        exempt = gate.gate.applies_to == "risk_increasing" and gate.inputs.risk_reducing
        return exempt or gate.found(check).outcome is Outcome.PASS

    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if passes(middle) else (low, middle - 1)
    return low


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
@given(texts=policy_texts(), history=steps)
def test_every_measure_is_what_the_reference_finds_without_an_order(
    texts: dict[str, str], history: list[Any]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        guard, clock = lived(loaded(Path(place), texts), history)
    live = LiveLimits(guard)
    now, found = clock.now_ns(), {}
    for row in live.now(largest=True).limits:
        assert found.setdefault(
            (row.policy, row.gate, row.check, row.book, row.account, row.symbol), row
        )
    held = 0
    for account in ("main", "other", "new"):
        for symbol in ("BTC/USD", "ETH/USD", "SOL/EUR"):
            if symbol not in guard.evaluator.linked.desk.instruments:
                continue
            for strategy in ("", "trend"):
                names = {"account": account, "symbol": symbol, "strategy": strategy}
                sides = [gates_of_reference(guard, now, side, **names) for side in ("buy", "sell")]
                for gates in zip(*sides, strict=True):
                    held += hold(found, gates, names)
    assert held


def hold(found: dict[Any, LimitNow], gates: Any, names: dict[str, str]) -> int:
    """Hold each check of a gate, buying and selling, against what was found; returns how many."""
    gate = gates[0].gate
    if gate.level == "strategy" and not names["strategy"]:
        return 0
    book = "firm" if gate.level == "firm" else f"{gate.level}/{names[gate.level]}"
    for check in gates[0].binding:
        if "kill_state" in check.measure_text and names["strategy"]:
            # A strategy's switch is that of orders it sends: no limit of an account.
            continue
        keys = [
            (gate.policy.label, gate.name, check.name, book, account, symbol)
            for account in (names["account"], "")
            for symbol in (names["symbol"], "")
        ]
        row = next(found[key] for key in keys if key in found)
        if row.outcome == "each-order":
            assert row.measure is row.utilisation is row.headroom is None
            continue
        told = []
        for each in gates:
            each.inputs.lots = 0
            told.append(each.found(check))
        for each in told:
            note(f"{row} {each}")
        counted = check.measure_text in (
            *MESSAGES,
            "book.open_orders_after",
            "book.open_orders_symbol_after",
        )
        for each in told:
            if counted:
                each.measure -= 1
                each.outcome = Outcome.PASS if each.measure <= each.limit else each.outcome
        worst = max(told, key=lambda each: (_RANKS[each.outcome], each.measure))
        assert row.outcome == worst.outcome.value
        assert row.measure == (worst.measure if math.isfinite(worst.measure) else None)
        assert row.limit == (worst.limit if math.isfinite(worst.limit) else None)
        if row.largest_buy is not None:
            for each, size in zip(gates, (row.largest_buy, row.largest_sell), strict=True):
                step = each.inputs.ticket.instrument.lot_step
                if size is not None:
                    lots = int(float(size) / float(step) + 0.5)
                    assert most_that_passes(each, check, 4 * lots + 4) == lots
    return len(gates[0].binding)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return policies(
        tmp_path_factory.mktemp("limits") / "p",
        more="\n    - {rule: open-orders@1, limits: {max_total: 20}}"
        "\n    - {rule: order-rate@1, level: firm, limits: {max_orders: 10/m}}"
        "\n    - {rule: venue-rules@1}",
    )


@pytest.fixture
def guard(desk: PolicySet) -> CentralRiskGuard:
    return opened(desk, clock=FixedClock(NOON))


def row_of(live: LiveLimits, gate: str, book: str, symbol: str = "", **more: Any) -> LimitNow:
    (row,) = (
        each
        for each in live.now(gate=gate, **more).limits
        if (each.book, each.symbol) == (book, symbol)
    )
    return row


def by_name(metrics: Any) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


def test_a_limit_says_how_much_is_used_and_where_it_is_written(guard: CentralRiskGuard) -> None:
    live = LiveLimits(guard)
    guard.evaluate_order(order("4"))

    row = row_of(live, "position-size", "account/main", "BTC/USD", largest=True)

    assert (row.measure, row.limit, row.utilisation, row.headroom) == (4_000, 10_000, 0.4, 6_000)
    assert (row.unit, row.outcome, row.mode, row.account) == ("money", "pass", "enforce", "main")
    assert (row.largest_buy, row.largest_sell, row.base) == ("6.0", "10.0", "BTC")
    assert (row.policy, row.rule, row.parameters) == (
        "desk-main@2.3.0",
        "position-size@1.0.0",
        ("max",),
    )
    assert (
        Path(row.file).read_text().splitlines()[row.line - 1].find("10_000 USD") == row.column - 1
    )
    assert (row.override, row.ticket, row.until_ns) == (False, "", None)


def test_what_counts_orders_counts_those_that_are_there(guard: CentralRiskGuard) -> None:
    live = LiveLimits(guard)
    assert row_of(live, "open-orders", "account/main").measure == 0

    for _ in range(2):
        guard.evaluate_order(order("1"))

    assert row_of(live, "open-orders", "account/main").measure == 2
    assert row_of(live, "order-rate", "firm").utilisation == 0.2


def test_the_closest_come_first(guard: CentralRiskGuard) -> None:
    guard.evaluate_order(order("4"))
    guard.set_kill_switch("account/other", "halted", by="me", reason="a test")

    limits = LiveLimits(guard).now().limits

    assert {(each.gate, each.book) for each in limits[:2]} == {("kill-switch", "account/other")}
    assert [each.outcome for each in limits[:2]] == ["breach", "breach"]
    used = [each.utilisation for each in limits if each.utilisation is not None]
    assert used == sorted(used, reverse=True)
    assert limits[-1].outcome == "each-order"


def test_switches_hide_nothing_that_is_beyond_its_limit(guard: CentralRiskGuard) -> None:
    guard.on_direct_fill("main", "taker", "BTC/USD", "buy", "100", 50_000.0)
    guard.set_kill_switch("firm", "halted", by="me", reason="a test")
    live = LiveLimits(guard)

    beyond = [each for each in live.now().limits if each.outcome == "breach"]
    without = live.now(switches=False, most=3)

    switches = [each.gate == "kill-switch" for each in beyond]
    assert switches == sorted(switches)
    assert set(switches) == {True, False}
    assert [each.gate for each in without.limits] == [each.gate for each in beyond[:3]]
    assert all(each.gate != "kill-switch" for each in live.now(switches=False).limits)


def test_of_switches_that_are_beyond_only_the_first_are_told(guard: CentralRiskGuard) -> None:
    guard.on_direct_fill("main", "taker", "BTC/USD", "buy", "100", 50_000.0)
    guard.set_kill_switch("firm", "halted", by="me", reason="a test")
    live = LiveLimits(guard)
    every = live.now()

    few = live.now(most_switches=1)

    switches = [each for each in every.limits if each.gate == "kill-switch"]
    assert len(switches) > 1
    assert few.limits == tuple(each for each in every.limits if each not in switches[1:])
    assert (few.total, few.switches_left) == (every.total, len(switches) - 1)
    assert every.switches_left == 0


def test_limits_of_one_account_symbol_and_gate(guard: CentralRiskGuard) -> None:
    live = LiveLimits(guard)

    of_both = live.now(account="main", symbol="ETH/USD")

    assert {each.book for each in of_both.limits} == {"account/main", "firm"}
    assert {each.symbol for each in of_both.limits} == {"ETH/USD", ""}
    assert {each.gate for each in live.now(gate="drawdown").limits} == {"drawdown"}
    few = live.now(account="main", most=3)
    assert len(few.limits) == 3 < few.total
    assert live.now(account="nobody").total == live.now(symbol="DOGE/USD").total == 0


def test_the_peak_of_the_day_outlives_what_made_it(guard: CentralRiskGuard) -> None:
    live = LiveLimits(guard)
    live.sample()
    first = guard.evaluate_order(order("8"))
    guard.on_cancel(first.id)

    # It was over before anyone looked: the decision told of it.
    row = row_of(live, "position-size", "account/main", "BTC/USD")

    assert (row.utilisation, row.peak, row.peak_ns) == (0.0, 0.8, NOON)


def test_an_order_that_was_reduced_used_the_whole_limit(guard: CentralRiskGuard) -> None:
    live = LiveLimits(guard)
    live.sample()
    reduced = guard.evaluate_order(order("15"))
    guard.on_cancel(reduced.id)

    assert row_of(live, "position-size", "account/main", "BTC/USD").peak == 1.0
    assert row_of(live, "total-exposure", "account/main").peak == 0.0


def test_a_rejected_order_raises_no_peak(guard: CentralRiskGuard) -> None:
    live = LiveLimits(guard)
    live.sample()
    guard.set_kill_switch("firm", "halted", by="me", reason="a test")
    guard.evaluate_order(order("8"))

    assert row_of(live, "position-size", "account/main", "BTC/USD").peak == 0.0


def test_peaks_begin_anew_with_the_trading_day(desk: PolicySet) -> None:
    clock = FixedClock(NOON)
    guard = opened(desk, clock=clock)
    live = LiveLimits(guard)
    guard.on_cancel(guard.evaluate_order(order("8")).id)
    assert live.now().since_ns == NOON

    clock.advance(DAY)
    mark(guard, clock.now_ns(), 1_000.0)
    found = live.now()

    assert found.since_ns == NOON + DAY
    end = datetime.fromtimestamp(found.day_ends_ns / SECOND, UTC)
    assert (end.hour, end.minute) == (0, 0)
    assert row_of(live, "position-size", "account/main", "BTC/USD").peak == 0.0


def test_peaks_outlive_a_change_of_policies_and_of_names(
    guard: CentralRiskGuard, tmp_path: Path
) -> None:
    live = LiveLimits(guard)
    guard.on_cancel(guard.evaluate_order(order("8")).id)
    live.sample()

    guard.use(policies(tmp_path / "other"), by="me")
    guard.on_balance("account/third", "opening", 10)

    assert row_of(live, "position-size", "account/main", "BTC/USD").peak == 0.8
    assert row_of(live, "position-size", "account/third", "BTC/USD").utilisation == 0.0


OVERRIDE = """
    - rule: position-size@1
      name: raised
      limits: {max: 5_000 USD}
      overrides:
        - scope: {accounts: [main], symbols: [BTC/USD]}
          from: 2026-01-05T00:00:00Z
          until: 2026-01-06T00:00:00Z
          ticket: RISK-7
          limits: {max: 20_000 USD}
"""


def test_an_override_is_told_while_it_is_in_force(tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    live = LiveLimits(opened(policies(tmp_path / "p", more=OVERRIDE), clock=clock))

    raised = row_of(live, "raised", "account/main", "BTC/USD")
    plain = row_of(live, "raised", "account/main", "ETH/USD")
    clock.advance(DAY)
    after = row_of(live, "raised", "account/main", "BTC/USD")

    assert (raised.limit, raised.override, raised.ticket) == (20_000, True, "RISK-7")
    assert raised.until_ns is not None
    assert datetime.fromtimestamp(raised.until_ns / SECOND, UTC).day == 6
    assert "20_000" in Path(raised.file).read_text().splitlines()[raised.line - 1]
    assert (plain.limit, plain.override) == (after.limit, after.override) == (5_000, False)


def test_what_is_not_known_is_said_to_be_so(desk: PolicySet) -> None:
    guard = CentralRiskGuard.open(desk, clock=FixedClock(NOON), settings=IN_MEMORY)
    live = LiveLimits(guard)

    row = row_of(live, "drawdown", "account/main")

    assert (row.outcome, row.measure, row.utilisation, row.peak) == ("unknown", None, None, None)
    metrics = by_name(live.metrics())
    assert metrics["ringfence_drawdown_ratio"].samples == ()
    unknown = {s.labels["outcome"]: s.value for s in metrics["ringfence_limits"].samples}
    assert unknown["unknown"] > 0  # type: ignore[operator]


def test_metrics_have_a_bounded_number_of_series(guard: CentralRiskGuard) -> None:
    guard.evaluate_order(order("4"))
    mark(guard, NOON + 1, 900.0)
    live = LiveLimits(guard, most_series=4)

    metrics = by_name(live.metrics())

    used = {
        (s.labels["gate"], s.labels["book"]): s.value
        for s in metrics["ringfence_limit_utilisation_ratio"].samples
    }
    own = [book for _, book in used if book != OTHER]
    assert len(own) == 4
    assert ("position-size", "account/main") in used
    assert used["drawdown", OTHER] == 0.0
    (folded,) = metrics["ringfence_limit_series_folded"].samples
    assert folded.value > 0  # type: ignore[operator]


def test_drawdown_and_loss_are_told_with_their_tightest_limit(guard: CentralRiskGuard) -> None:
    bought = guard.evaluate_order(order("10"))
    guard.on_fill(bought.id, "10", 1_000)
    mark(guard, NOON + 1, 900.0)

    metrics = by_name(LiveLimits(guard).metrics())

    def of(name: str) -> dict[str, Any]:
        return {s.labels["book"]: s.value for s in metrics[name].samples}

    assert of("ringfence_drawdown_ratio") == {"account/main": 0.01, "account/other": 0.0}
    assert of("ringfence_drawdown_limit_ratio")["account/main"] == 0.2
    assert of("ringfence_day_loss_ratio")["account/main"] == 0.01
    assert of("ringfence_day_loss_limit_ratio")["account/main"] == 0.03


def test_the_copy_leaves_the_rings_of_single_orders_out(guard: CentralRiskGuard) -> None:
    live = LiveLimits(guard)
    for count in range(3):
        guard.evaluate_order(order("0.1"))
        books = guard._books.ledger.arrays.books
        copied = live.sample().stand.books
        assert copied.left.shape[0] == 1 < books.left.shape[0]
        assert copied.rate_n[0] == books.rate_n[0] == count + 1
        assert (copied.rate_ts == books.rate_ts).all()
        assert copied.settings[layout.LEFT_N] == 0


def test_it_looks_by_itself_until_it_is_stopped(
    guard: CentralRiskGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, twice = [], threading.Event()
    real = LiveLimits.sample

    def sample(live: LiveLimits) -> Any:
        looked.append(1)
        if len(looked) == 2:
            twice.set()
            raise RuntimeError("once")
        return real(live)

    monkeypatch.setattr(limits_now.LiveLimits, "sample", sample)
    with LiveLimits(guard, every_seconds=0.001) as live:
        assert twice.wait(60)
        seen = live.metrics()
        assert by_name(seen)["ringfence_limits"].samples
    (failed,) = by_name(live.metrics())["ringfence_limits_failed"].samples
    assert failed.value == 1


@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.sampled_from(("1", "2", "5", "9", "20")), max_size=6))
def test_peaks_never_fall_within_a_day(sizes: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        guard = opened(policies(Path(place) / "p"), clock=FixedClock(NOON))
    live = LiveLimits(guard)
    before = 0.0
    for size in sizes:
        guard.evaluate_order(order(size))
        row = row_of(live, "position-size", "account/main", "BTC/USD")
        assert row.utilisation is not None
        assert (row.peak or 0.0) >= max(before, row.utilisation)
        before = row.peak or 0.0


def test_whoever_sees_some_accounts_sees_their_limits_and_those_of_all(
    guard: CentralRiskGuard,
) -> None:
    live = LiveLimits(guard)

    assert {each.book for each in live.now(seen={"other"}).limits} == {"account/other", "firm"}
    assert {each.book for each in live.now(seen=()).limits} == {"firm"}
    assert live.now(account="main", seen={"other"}).total == live.now(gate="order-rate").total
    assert "each-order" not in {each.outcome for each in live.now(each_order=False).limits}
