"""The guard: what it answers, what it reserves, what it records, and how it fails."""

import base64
import json
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringfence import OrderRequest, PolicySet, RiskDecision
from ringfence.backends.numba_kernel import layout
from ringfence.backends.reference import decide
from ringfence.errors import InputError, LedgerError, PolicyError
from ringfence.language.orders import Case, Market
from ringfence.runtime import evaluator
from ringfence.runtime.asked import MarketData
from ringfence.runtime.audit_decision import gates_in
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from runtime.desk import (
    NOON,
    SECOND,
    Records,
    Signer,
    mark,
    opened,
    order,
    policies,
)

pytestmark = pytest.mark.unit


class OrderRejected(Exception):  # noqa: N818  # as its users name it
    """As a trading process has one."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return policies(tmp_path_factory.mktemp("desk") / "policies")


@pytest.fixture
def guard(desk: PolicySet) -> CentralRiskGuard:
    return opened(desk)


def buys(guard: CentralRiskGuard, account: str = "main") -> Decimal:
    position = guard.book(f"account/{account}").positions.get("BTC/USD")
    return Decimal(0) if position is None else position.buys


def send(central_risk_guard: Any, order_request: Any, market_data: Any) -> None:
    """The usage of the issue, as written."""
    decision, reason, adjusted_size = central_risk_guard.evaluate_order(order_request, market_data)
    if decision == RiskDecision.REJECT:
        raise OrderRejected(reason)
    elif decision == RiskDecision.REDUCE_SIZE:  # noqa: RET506
        order_request.size = adjusted_size


def test_the_usage_of_a_trading_process(guard: CentralRiskGuard) -> None:
    market = MarketData(1_000.0, 1_000.0, 1_000.0, NOON)
    small, large = order("4"), order("9")

    send(guard, small, market)
    send(guard, large, market)
    with pytest.raises(OrderRejected, match="POSITION_SIZE position=11,000 USD limit=10,000 USD"):
        send(guard, order("1"), market)

    assert (small.size, large.size) == ("4", Decimal("6.0"))


def test_a_decision_carries_its_gates_and_its_policy_set(
    guard: CentralRiskGuard, desk: PolicySet
) -> None:
    found = guard.evaluate_order(order("15"))

    assert found.decision is RiskDecision.REDUCE_SIZE
    assert (found.size, found.headroom) == (Decimal("10.0"), Decimal("10.0"))
    assert found.policy_set == desk.sha256 == guard.policy_set
    assert len(found.gates) == 8
    gate = found.gate("position-size")
    assert (gate.measure, gate.limit, gate.margin) == (15_000, 10_000, -5_000)
    # Of a limit that is the least that may be, what is left lies above it.
    fields = found.gate("data-quality")
    assert (fields.outcome, fields.check) == ("pass", "completeness")
    assert (fields.measure, fields.limit) == (1.0, 0.95)
    assert fields.margin == pytest.approx(0.05)
    with pytest.raises(KeyError):
        found.gate("none")


def test_it_answers_as_the_reference_does(guard: CentralRiskGuard, desk: PolicySet) -> None:
    for size, side in (("3", "buy"), ("8.5", "buy"), ("1.2", "sell"), ("30", "sell")):
        request = order(size, side=side)
        case = Case(
            request,
            NOON,
            desk.linked.desk.instruments,
            {
                symbol: Market(price, price, price, age=0.0)
                for symbol, price in (("BTC/USD", 1_000.0), ("ETH/USD", 10.0))
            },
            {name: guard.book(name).as_case_book() for name in ("firm", "account/main")},
        )
        expected = decide(desk.linked, case)

        found = guard.evaluate_order(request)

        assert tuple(found) == tuple(expected)
        assert repr(found.gates) == repr(expected.gates)
        assert found.code == expected.code


def test_what_is_approved_is_reserved_until_it_ends(guard: CentralRiskGuard) -> None:
    first = guard.evaluate_order(order("4"))
    second = guard.evaluate_order(order("3"))

    assert buys(guard) == 7
    assert guard.on_fill(first.id, "1", 1_000) == 1
    assert guard.on_fill(first.id, "1", 1_000) == 0
    assert guard.on_cancel(first.id)
    assert guard.on_expire(second.id)
    assert not guard.on_expire(second.id)
    assert buys(guard) == 0
    assert guard.book("account/main").positions["BTC/USD"].size == 1
    with pytest.raises(LedgerError):
        guard.on_fill("nobody's", "1", 1_000)


def test_an_order_without_a_strategy_moves_no_strategy(guard: CentralRiskGuard) -> None:
    guard.evaluate_order(order("1"))
    guard.evaluate_order(order("2", strategy="trend", venue="paper"))

    assert guard.book("strategy/trend").positions["BTC/USD"].buys == 2
    assert "strategy/" not in guard.books


@pytest.mark.parametrize("count", range(4, 18))
def test_any_number_of_names_finds_room(desk: PolicySet, count: int) -> None:
    names = tuple(f"more-{number}" for number in range(count))
    settings = GuardSettings(in_memory=True, without_audit=True, accounts=names)

    assert opened(desk, settings=settings).evaluate_order(order("1")).code == ""


# Client order ids


def test_the_same_order_gets_the_same_answer_and_reserves_once(desk: PolicySet) -> None:
    guard = opened(desk, settings=GuardSettings(True, True, signer=Signer()))
    first = guard.evaluate_order(order("4", client_order_id="a"))

    again = guard.evaluate_order(order(Decimal("4.0"), client_order_id="a"))

    assert (again.id, tuple(again)) == (first.id, tuple(first))
    assert again.approval == first.approval
    assert again.approval["approval_id"] == first.id
    assert again.repeated
    assert buys(guard) == 4


def test_an_approval_that_is_not_wanted_can_be_had_later(desk: PolicySet) -> None:
    guard = opened(desk, settings=GuardSettings(True, True, signer=Signer()))

    first = guard.evaluate_order(order("4", client_order_id="a"), signs=False)
    again = guard.evaluate_order(order("4", client_order_id="a"))

    assert (first.decision, first.approval) == (RiskDecision.APPROVE, None)
    assert again.approval["approval_id"] == first.id
    assert buys(guard) == 4


@pytest.mark.parametrize(
    "other",
    [
        {"size": "5"},
        {"side": "sell"},
        {"price": "999"},
        {"symbol": "ETH/USD"},
        {"account": "other"},
        {"strategy": "trend"},
        {"venue": "paper"},
        {"type": "stop"},
        {"reduce_only": True},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_order_with_the_same_id_is_rejected(
    guard: CentralRiskGuard, other: dict[str, Any]
) -> None:
    guard.evaluate_order(order("4", client_order_id="a"))

    found = guard.evaluate_order(order(**{"size": "4", "client_order_id": "a", **other}))

    assert (found.decision, found.code) == (RiskDecision.REJECT, "DUPLICATE_ORDER")
    assert found.approval is None
    assert buys(guard) == 4


def test_an_id_is_forgotten_after_its_window(desk: PolicySet) -> None:
    clock = FixedClock(NOON)
    settings = GuardSettings(True, True, client_order_window_ns=SECOND, most_client_orders=1)
    guard = opened(desk, clock=clock, settings=settings)
    first = guard.evaluate_order(order("1", client_order_id="a"))
    full = guard.evaluate_order(order("1", client_order_id="b"))

    clock.advance(2 * SECOND)
    later = guard.evaluate_order(order("1", client_order_id="a"))

    assert full.code == "TOO_MANY_CLIENT_ORDERS"
    assert later.decision is RiskDecision.APPROVE
    assert later.id != first.id


# Market data


def test_market_data_of_an_order_marks_the_books(guard: CentralRiskGuard) -> None:
    guard.on_direct_fill("main", "", "BTC/USD", "buy", "1", 1_000)

    found = guard.evaluate_order(
        order("1", price="900"), MarketData(900.0, 900.0, 900.0, NOON + SECOND)
    )

    assert found.decision is RiskDecision.APPROVE
    assert guard.book("account/main").equity == 99_900


def test_older_market_data_is_left_out(guard: CentralRiskGuard) -> None:
    found = guard.evaluate_order(order("1"), MarketData(1.0, 1.0, 1.0, NOON - SECOND))

    assert found.decision is RiskDecision.APPROVE
    assert guard.book("account/main").positions["BTC/USD"].mark == 1_000


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (MarketData(1_000.0, 1_001.0, 1_000.0, NOON), "MARKET_DATA_CONTRADICTORY"),
        (MarketData(1_000.0, 1_000.0, 1_000.0, NOON + 2 * SECOND), "MARKET_DATA_AHEAD"),
        (MarketData(1_002.0, 1_001.0, 1_000.0, NOON + 1), "DATA_QUALITY"),
        (MarketData(None, None, None, NOON + 1), "DATA_QUALITY"),
        (MarketData(1_000.0, 1_000.0, 1_000.0, True), "INVALID_MARKET_DATA"),
        (MarketData([], 1_000.0, 1_000.0, NOON), "INVALID_MARKET_DATA"),  # type: ignore[arg-type]
        ({"bid": 1}, "INVALID_MARKET_DATA"),
    ],
)
def test_market_data_that_cannot_be_used_rejects(
    guard: CentralRiskGuard, data: Any, code: str
) -> None:
    found = guard.evaluate_order(order("1"), data)

    assert (found.decision, found.code) == (RiskDecision.REJECT, code)


def test_stale_market_data_rejects_new_risk_and_lets_out(desk: PolicySet) -> None:
    clock = FixedClock(NOON)
    guard = opened(desk, clock=clock)
    guard.on_direct_fill("main", "", "BTC/USD", "buy", "1", 1_000)

    clock.advance(6 * SECOND)

    assert guard.evaluate_order(order("1")).code == "DATA_QUALITY"
    assert guard.evaluate_order(order("1", side="sell")).decision is RiskDecision.APPROVE


def test_marks_that_cannot_be_used_are_refused(guard: CentralRiskGuard) -> None:
    for symbol, data, why in (
        ("XRP/USD", MarketData(1.0, 1.0, 1.0, NOON), "`XRP/USD` is unknown"),
        ("BTC/USD", MarketData(1.0, 1.0, 1.0, NOON + 5 * SECOND), "ahead"),
        ("BTC/USD", None, "no market data"),
        ("BTC/USD", 3, "market data"),
    ):
        with pytest.raises(InputError, match=why):
            guard.on_mark(symbol, data)  # type: ignore[arg-type]


# Kill switches


@pytest.mark.parametrize(
    "target", ["firm", "account/main", "strategy/trend", "venue/paper", "symbol/BTC/USD"]
)
def test_a_switch_stops_orders_until_a_person_resets_it(
    guard: CentralRiskGuard, target: str
) -> None:
    request = order("1", strategy="trend", venue="paper")
    guard.set_kill_switch(target, "halted", by="ann", reason="drill")
    stopped = guard.evaluate_order(request)
    guard.set_kill_switch(target, "active", by="ann", reason="drill over")

    assert stopped.code == "KILL_SWITCH"
    assert guard.evaluate_order(request).decision is RiskDecision.APPROVE
    assert guard.kill_switches[0].reason == "drill over"


def test_reducing_lets_only_closing_orders_pass(guard: CentralRiskGuard) -> None:
    guard.on_direct_fill("main", "", "BTC/USD", "buy", "1", 1_000)
    guard.set_kill_switch("account/main", "reducing", by="ann", reason="drill")

    assert guard.evaluate_order(order("1")).code == "KILL_SWITCH"
    assert guard.evaluate_order(order("1.1", side="sell")).code == "KILL_SWITCH"
    assert guard.evaluate_order(order("1", side="sell")).decision is RiskDecision.APPROVE


@pytest.mark.parametrize(
    ("target", "state", "by", "reason"),
    [
        ("firm", "active", "", "why"),
        ("firm", "active", "ann", " "),
        ("firm", "off", "ann", "why"),
        ("account/nobody", "halted", "ann", "why"),
        ("venue/nowhere", "halted", "ann", "why"),
        ("desk/main", "halted", "ann", "why"),
        ("", "halted", "ann", "why"),
    ],
)
def test_a_switch_needs_a_target_a_person_and_a_reason(
    guard: CentralRiskGuard, target: str, state: str, by: str, reason: str
) -> None:
    with pytest.raises(InputError):
        guard.set_kill_switch(target, state, by=by, reason=reason)

    assert guard.kill_switches == ()


def test_a_loss_halts_the_account_where_its_gate_says_so(tmp_path: Path) -> None:
    clock, records = FixedClock(NOON), Records()
    settings = GuardSettings(in_memory=True)
    guard = opened(policies(tmp_path, daily="halt"), clock=clock, settings=settings, audit=records)
    guard.on_direct_fill("main", "", "BTC/USD", "buy", "10", 1_000)
    clock.advance(SECOND)
    mark(guard, clock.now_ns(), 660.0)

    found = guard.evaluate_order(order("1"))
    mark(guard, clock.now_ns(), 1_000.0)
    after = guard.evaluate_order(order("1", account="main", symbol="ETH/USD", price="10"))

    assert found.reason == ("DAILY_LOSS loss=3.4% limit=3% gate=daily-loss policy=desk-main@2.3.0")
    assert guard.kill_switch("account/main") == "halted"
    assert after.code == "KILL_SWITCH"
    assert guard.evaluate_order(order("1", account="other")).decision is RiskDecision.APPROVE
    assert records.of("switch")[0]["switch"][:3] == ["account/main", "halted", "rule:daily-loss"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            {"size": "0.1", "price": "1000.001"},
            "VENUE_RULES tick=1 limit=0 gate=venue-rules policy=desk-main@2.3.0 "
            "(the price is no multiple of the tick size)",
        ),
        (
            {"symbol": "ETH/USD", "size": "2", "price": "10"},
            "ORDER_SIZE size=2 limit=0.00001 gate=order-size policy=desk-main@2.3.0",
        ),
    ],
)
def test_a_reason_names_what_was_measured_and_writes_numbers_out(
    tmp_path: Path, given: dict[str, str], reason: str
) -> None:
    more = """
    - {rule: venue-rules@1}
    - {rule: order-size@1, limits: {max_size: 0.00001}}
"""
    guard = opened(policies(tmp_path, more=more))

    assert guard.evaluate_order(order(given.pop("size"), **given)).reason == reason


def test_a_switch_is_told_by_its_state(guard: CentralRiskGuard) -> None:
    guard.set_kill_switch("firm", "reducing", by="ann", reason="drill")

    assert guard.evaluate_order(order("1")).reason == (
        "KILL_SWITCH state=reducing limit=active gate=kill-switch policy=desk-main@2.3.0 "
        "(a kill switch that touches this order is not active for trading)"
    )


def test_only_a_gate_that_looks_at_the_book_alone_can_halt(tmp_path: Path) -> None:
    more = """
    - {rule: order-notional@1, limits: {max: 50_000 USD}, on_breach: halt}
"""
    with pytest.raises(PolicyError, match="E208: `order-notional` cannot halt"):
        policies(tmp_path, more=more)


def test_looser_only_once_recorded_stricter_at_once(desk: PolicySet) -> None:
    records = Records()
    guard = opened(desk, audit=records, settings=GuardSettings(in_memory=True))
    records.fail_append = True
    with pytest.raises(Exception, match="full"):
        guard.set_kill_switch("firm", "halted", by="ann", reason="drill")
    with pytest.raises(Exception, match="full"):
        guard.set_kill_switch("firm", "active", by="ann", reason="over")

    assert guard.kill_switch("firm") == "halted"


# Audit


def test_every_decision_is_recorded_with_its_inputs(desk: PolicySet) -> None:
    records = Records()
    guard = opened(desk, audit=records, settings=GuardSettings(in_memory=True))

    found = guard.evaluate_order(order("4"), MarketData(1_000.0, 1_000.0, 1_000.0, NOON))
    guard.evaluate_order(order("-1"))
    guard.evaluate_order(object(), object())

    first, second, third = records.of("decision")
    assert (first["id"], first["decision"], first["policy_set"]) == (
        found.id,
        "APPROVE",
        desk.sha256,
    )
    assert first["inputs"]["order"]["size"] == "4"
    assert first["inputs"]["market"]["bid"] == 1_000
    (size,) = [each for each in gates_in(first, {}) if each["gate"] == "position-size"]
    assert (size["outcome"], size["measure"], size["limit"]) == ("pass", 4_000.0, 10_000.0)
    # The books before the order was reserved.
    assert [book[0] for book in first["evidence"]["books"]] == ["firm", "account"]
    assert first["evidence"]["books"][1][3] == []
    row = np.frombuffer(base64.b64decode(first["evidence"]["books"][1][1]))
    assert row[layout.EQUITY] == 100_000
    market = np.frombuffer(base64.b64decode(first["evidence"]["market"]))
    assert market[layout.BID] == 1_000
    assert (second["code"], third["code"]) == ("INVALID_SIZE", "INVALID_ORDER")
    assert json.dumps(records.bodies)
    # With a position: its symbol, its row and its working orders.
    guard.evaluate_order(order("1"))
    held = records.of("decision")[3]["evidence"]["books"][1]
    assert (held[3], held[5]) == (["BTC/USD"], [1])
    assert np.frombuffer(base64.b64decode(held[4]))[layout.BUYS] == 40
    assert records.waited >= 1


def test_orders_of_a_batch_are_decided_one_after_the_other_as_each_alone(desk: PolicySet) -> None:
    asked = [
        order(size, client_order_id=name) for size, name in (("4", "a"), ("4", "b"), ("4", "a"))
    ]
    asked.append(order("1", symbol="NO/SUCH"))
    one = opened(desk, settings=GuardSettings(in_memory=True, without_audit=True))
    other = opened(desk, settings=GuardSettings(in_memory=True, without_audit=True))

    alone = [one.evaluate_order(each) for each in asked]
    together = other.evaluate_orders([(each, None) for each in asked])

    assert [tuple(each) for each in together] == [tuple(each) for each in alone]
    assert [each.repeated for each in together] == [False, False, True, False]
    assert buys(other) == buys(one)


def test_a_batch_whose_records_are_not_durable_approves_and_reserves_nothing(
    desk: PolicySet,
) -> None:
    records = Records()
    guard = opened(desk, audit=records, settings=GuardSettings(in_memory=True))
    records.fail_wait = True

    found = guard.evaluate_orders(
        [(order("4", client_order_id="a"), None), (order("1", symbol="NO/SUCH"), None)]
    )

    assert [each.code for each in found] == ["AUDIT_UNAVAILABLE", "AUDIT_UNAVAILABLE"]
    assert buys(guard) == 0
    assert guard.evaluate_orders([]) == []


def test_a_rejection_too_is_told_only_once_its_record_is_durable(desk: PolicySet) -> None:
    records = Records()
    guard = opened(desk, audit=records, settings=GuardSettings(in_memory=True))
    guard.set_kill_switch("firm", "halted", by="ann", reason="drill")

    for asked in (order("1", client_order_id="a"), order("1", symbol="NO/SUCH"), None):
        assert guard.evaluate_order(asked).decision is RiskDecision.REJECT
        assert records.waited == len(records.bodies)

    records.fail_wait = True
    assert guard.evaluate_order(order("1", client_order_id="b")).code == "AUDIT_UNAVAILABLE"
    records.fail_wait = False
    assert guard.evaluate_order(order("1", client_order_id="b")).code == "KILL_SWITCH"
    guard.close()
    records.fail_wait = True
    assert guard.evaluate_order(order("1")).code == "GUARD_CLOSED"


@pytest.mark.parametrize("part", ["fail_append", "fail_wait"])
def test_without_a_record_there_is_no_approval_and_no_reservation(
    desk: PolicySet, part: str
) -> None:
    records = Records()
    guard = opened(desk, audit=records, settings=GuardSettings(in_memory=True))
    setattr(records, part, True)

    found = guard.evaluate_order(order("4", client_order_id="a"))

    assert (found.decision, found.code) == (RiskDecision.REJECT, "AUDIT_UNAVAILABLE")
    assert (found.size, found.approval) == (0, None)
    assert buys(guard) == 0

    setattr(records, part, False)
    again = guard.evaluate_order(order("4", client_order_id="a"))
    assert again.decision is RiskDecision.APPROVE
    assert not again.repeated
    assert buys(guard) == 4

    setattr(records, part, True)
    repeated = guard.evaluate_order(order("4", client_order_id="a"))
    assert repeated.code == "AUDIT_UNAVAILABLE"
    assert buys(guard) == 4


def test_a_signer_that_fails_leaves_no_reservation(desk: PolicySet) -> None:
    class Broken:
        def sign(self, **fields: Any) -> Any:
            raise RuntimeError(fields)

    records = Records()
    guard = opened(desk, audit=records, settings=GuardSettings(True, signer=Broken()))

    found = guard.evaluate_order(order("4"))

    assert (found.code, found.reason) == ("INTERNAL_ERROR", "INTERNAL_ERROR error=RuntimeError")
    assert buys(guard) == 0
    assert [(each["id"], each["code"]) for each in records.of("decision")] == [
        (found.id, "INTERNAL_ERROR")
    ]


def test_an_order_that_cannot_be_decided_is_rejected_and_recorded(
    desk: PolicySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any) -> None:
        raise RuntimeError(given)

    records = Records()
    guard = opened(desk, audit=records)
    monkeypatch.setattr(guard.evaluator, "lots", fail)

    alone = guard.evaluate_order(order("4"))
    (of_batch,) = guard.evaluate_orders([(order("4"), None)])

    assert alone.reason == of_batch.reason == "INTERNAL_ERROR error=RuntimeError"
    found = records.of("decision")
    assert [each["id"] for each in found] == [alone.id, of_batch.id]
    assert {each["inputs"]["order"]["size"] for each in found} == {"4"}


def test_an_approval_is_bound_to_the_order(desk: PolicySet) -> None:
    guard = opened(desk, settings=GuardSettings(True, True, signer=Signer()))

    found = guard.evaluate_order(order("15", strategy="trend", venue="paper", client_order_id="a"))

    assert found.approval == {
        "approval_id": found.id,
        "account": "main",
        "strategy": "trend",
        "venue": "paper",
        "symbol": "BTC/USD",
        "side": "buy",
        "type": "limit",
        "size": Decimal("10.0"),
        "price": Decimal(1000),
        "reduce_only": False,
        "client_order_id": "a",
        "policy_set": desk.sha256,
        "issued_ns": NOON,
        "expires_ns": NOON + 5 * SECOND,
    }


def test_a_guard_without_state_or_audit_must_be_asked_for(desk: PolicySet) -> None:
    for settings in (
        GuardSettings(),
        GuardSettings(in_memory=True),
        GuardSettings(without_audit=True),
    ):
        with pytest.raises(InputError):
            CentralRiskGuard.open(desk, settings=settings)


def test_a_closed_guard_rejects(guard: CentralRiskGuard) -> None:
    with guard:
        pass
    guard.close()

    assert guard.evaluate_order(order("1")).code == "GUARD_CLOSED"
    with pytest.raises(InputError):
        guard.on_cancel("x")


# Unknown names, and gates that look back


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"account": "nobody"}, "UNKNOWN_ACCOUNT"),
        ({"account": ""}, "UNKNOWN_ACCOUNT"),
        ({"strategy": "none"}, "UNKNOWN_STRATEGY"),
        ({"venue": "nowhere"}, "UNKNOWN_VENUE"),
        ({"symbol": "XRP/USD"}, "UNKNOWN_INSTRUMENT"),
        ({"side": "hold"}, "INVALID_SIDE"),
        ({"type": "iceberg"}, "INVALID_TYPE"),
        ({"price": None}, "INVALID_PRICE"),
        ({"price": float("nan")}, "INVALID_PRICE"),
        ({"size": "0.05"}, "SIZE_OFF_STEP"),
        ({"size": float("nan")}, "INVALID_SIZE"),
        ({"size": 10**5_000}, "INVALID_SIZE"),
        ({"client_order_id": "é"}, "INVALID_CLIENT_ORDER_ID"),
        ({"reduce_only": 1}, "INVALID_ORDER"),
        ({"reduce_only": True}, "REDUCE_ONLY_UNTRUE"),
        ({"timestamp": "now"}, "INVALID_ORDER"),
    ],
)
def test_what_is_not_known_or_valid_is_rejected(
    guard: CentralRiskGuard, fields: dict[str, Any], code: str
) -> None:
    found = guard.evaluate_order(order(**fields))

    assert (found.decision, found.code) == (RiskDecision.REJECT, code)
    assert found.reason.startswith(code)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"account": "nobody"}, "account `nobody`"),
        ({"strategy": "none\n"}, "strategy `none\\n`"),
        ({"venue": "é" * 1_000}, "venue `\\xe9"),
        ({"symbol": "XRP/USD"}, "symbol `XRP/USD`"),
        ({"size": "0.05"}, "size `0.05`"),
    ],
)
def test_a_refusal_names_the_value_that_it_is_for(
    guard: CentralRiskGuard, fields: dict[str, Any], named: str
) -> None:
    reason = guard.evaluate_order(order(**({"size": "1"} | fields))).reason
    assert named in reason
    assert reason.isprintable()
    assert len(reason) < 150


@pytest.mark.parametrize("rate", ["max_orders: 2999", "max_orders: 1500, counts: orders"])
def test_rates_and_duplicates_count_what_was_approved(rate: str, tmp_path: Path) -> None:
    more = f"""
    - {{rule: order-rate@1, limits: {{{rate}, window: 10s}}}}
    - {{rule: duplicate-order@1, limits: {{window: 1s}}}}
"""
    clock = FixedClock(NOON)
    guard = opened(policies(tmp_path, more=more), clock=clock)
    guard.evaluate_order(order("1"))
    twice = guard.evaluate_order(order("1"))
    # More than the rings held at first, and names that make the arrays grow between.
    for number in range(1_499):
        if number == 1_000:
            for account in range(20):
                guard.on_balance(f"account/new-{account}", "opening", 1)
        found = guard.evaluate_order(order("0.1", price=str(900 + number)))
        if found.decision is RiskDecision.APPROVE:
            guard.on_cancel(found.id)
        assert found.decision is not RiskDecision.REJECT, found

    assert twice.code == "DUPLICATE_ORDER"
    assert guard.evaluate_order(order("0.1")).code == "ORDER_RATE"
    clock.advance(SECOND)
    assert guard.evaluate_order(order("1")).code == "ORDER_RATE"


def test_one_headroom_is_never_used_twice(guard: CentralRiskGuard) -> None:
    """100 threads ask for 1 each where 10 are left."""
    found: list[Decimal] = []
    start = threading.Barrier(20)

    def ask(number: int) -> None:
        start.wait()
        for each in range(5):
            answer = guard.evaluate_order(order("1", client_order_id=f"{number}-{each}"))
            found.append(answer.size)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 100
    assert sum(found) == buys(guard) == 10


def test_threads_with_one_client_order_id_reserve_once(guard: CentralRiskGuard) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(guard.evaluate_order(order("1", client_order_id="a")).id)
        )
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert buys(guard) == 1


def test_a_subclass_is_not_an_order(guard: CentralRiskGuard) -> None:
    class Changing(OrderRequest):
        pass

    assert (
        guard.evaluate_order(Changing("main", "BTC/USD", "buy", "1", "1")).code == "INVALID_ORDER"
    )


@pytest.mark.parametrize("unused", [0, 4])
def test_a_record_holds_what_each_gate_found_however_many_the_set_has(
    desk: PolicySet, monkeypatch: pytest.MonkeyPatch, unused: int
) -> None:
    # 0: as if the set had very many gates beside those of the order.
    monkeypatch.setattr(evaluator, "_MOST_UNUSED", unused)
    records = Records()
    guard = opened(desk, audit=records, settings=GuardSettings(in_memory=True))

    for size in ("4", "11", "500"):
        found = guard.evaluate_order(order(size))

        recorded = gates_in(records.of("decision")[-1], {})
        assert [
            (each["gate"], each["outcome"], repr(each["measure"]), repr(each["limit"]))
            for each in recorded
        ] == [
            (each.gate, str(each.outcome), repr(each.measure), repr(each.limit))
            for each in found.gates
        ]
