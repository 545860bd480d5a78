"""The reference interpreter's semantics: equality, missing data, flips, working orders, reduction."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.backends.reference import decide
from ringfence.backends.reference.interpreter import evaluate
from ringfence.backends.reference.numbers import added, at_most, quanta_down, quanta_up
from ringfence.language.decision import Decision, Outcome, RiskDecision
from ringfence.language.linking import LinkedSet, link
from ringfence.language.parser import parse_expression
from ringfence.language.policy_tests import merge, read_case
from ringfence.language.source import load

pytestmark = pytest.mark.unit

NAN = float("nan")
GIVEN: dict[str, Any] = {
    "clock": "2026-01-05T12:00:00Z",
    "instruments": {"BTC/USD": {"lot_step": "0.1", "min_size": "0.1", "quote": "USD"}},
    "market": {"BTC/USD": {"bid": 100, "ask": 100, "last": 100, "age": "1s"}},
    "books": {
        "account/main": {
            "equity": 10_000,
            "day_start_equity": 10_000,
            "peak_equity": 10_000,
            "positions": {},
            "working": [],
        }
    },
}
WHEN = {"account": "main", "symbol": "BTC/USD", "side": "buy", "size": "1", "price": "100"}


def policy(*gates: str) -> LinkedSet:
    lines = "\n".join(f"    - {{{gate}}}" for gate in gates)
    text = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: test}\n"
        f"spec:\n  gates:\n{lines}\n"
    )
    return link([load(text, "desk.yaml")], check_mandatory=False)


def ask(linked: LinkedSet, given: dict[str, Any] | None = None, **when: Any) -> Decision:
    whole = merge(GIVEN, given or {})
    return decide(linked, read_case(whole, {**WHEN, **when}, linked), check_mandatory=False)


def holding(size: str, working: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    book = {"positions": {"BTC/USD": {"size": size, "mark": 100}}, "working": working or []}
    return {"books": {"account/main": book}}


EXPOSURE = policy("rule: total-exposure@1, limits: {max: 1000 USD}")


def test_numbers_that_are_equal_in_decimals_are_at_the_limit() -> None:
    assert at_most(0.1 + 0.2, 0.3) == 1.0
    assert at_most(440 * 0.6110, 268.84) == 1.0
    assert at_most(1_000_000.00000001, 1_000_000.0) == 0.0
    assert at_most(NAN, 1.0) != at_most(NAN, 1.0)


def test_exposures_round_up_and_values_down_but_whole_quanta_stay() -> None:
    assert quanta_up(440 * 0.6110) == 268_840_000
    assert quanta_up(0.00000001) == 1
    assert quanta_down(-0.00000001) == -1
    assert quanta_up(NAN) != quanta_up(NAN)


def test_a_sum_is_the_same_number_whichever_python_adds_it() -> None:
    # `sum` of Python 3.12 and later makes 1.0 of it.
    assert added([2.0**53, 1.0, -(2.0**53)]) == 0.0
    assert added([]) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "market.bid + 1",
        "1 if market.bid > 3 else 0",
        "min(market.bid, market.ask)",
        "max(market.ask, market.bid)",
        "1 if market.bid > 3 and order.is_buy else 0",
        "1 if not market.bid > 3 else 0",
        "market.ask / market.bid",
        "market.ask / (market.ask - market.ask)",
    ],
)
@pytest.mark.parametrize("missing", [NAN, float("inf"), float("-inf")])
def test_unknown_stays_unknown(text: str, missing: float) -> None:
    text = text.replace("market.bid > 3", "market.bid > market.ask").replace("+ 1", "+ market.ask")
    node, findings = parse_expression(text, {})
    assert findings == []
    assert node is not None

    value = evaluate(node, lambda name: {"market.bid": missing}.get(name, 1.0), {})

    assert value != value


def test_an_order_at_the_limit_passes_and_one_lot_more_is_cut() -> None:
    assert ask(EXPOSURE, size="10").decision is RiskDecision.APPROVE
    over = ask(EXPOSURE, size="10.1")
    assert (over.decision, over.size) == (RiskDecision.REDUCE_SIZE, Decimal("10.0"))
    assert over.gate("total-exposure").outcome is Outcome.REDUCE


def test_working_orders_count_at_their_worst_case() -> None:
    working = [{"order_id": "a", "symbol": "BTC/USD", "side": "buy", "size": "4", "price": 100}]

    assert ask(EXPOSURE, holding("5", working), size="1.0").decision is RiskDecision.APPROVE
    assert ask(EXPOSURE, holding("5", working), size="2.0").size == Decimal("1.0")


def test_a_closing_order_is_exempt_even_above_the_limit() -> None:
    decision = ask(EXPOSURE, holding("50"), side="sell", size="50")

    assert decision.decision is RiskDecision.APPROVE
    assert decision.gate("total-exposure").outcome is Outcome.EXEMPT
    assert decision.gate("total-exposure").reason


def test_a_flip_that_may_not_open_is_cut_to_the_closing_part() -> None:
    decision = ask(EXPOSURE, holding("50"), side="sell", size="55")

    assert (decision.decision, decision.size) == (RiskDecision.REDUCE_SIZE, Decimal("50.0"))


def test_unfilled_sells_leave_less_to_close() -> None:
    working = [{"order_id": "a", "symbol": "BTC/USD", "side": "sell", "size": "45", "price": 100}]
    decision = ask(EXPOSURE, holding("50", working), side="sell", size="50")

    assert (decision.decision, decision.size) == (RiskDecision.REDUCE_SIZE, Decimal("5.0"))


def test_reducing_state_lets_closing_orders_through_but_no_flip() -> None:
    linked = policy("rule: kill-switch@1")
    reducing = {**holding("5"), "control": {"kill_switch": {"firm": "reducing"}}}
    halted = {**holding("5"), "control": {"kill_switch": {"symbol/BTC/USD": "halted"}}}

    assert ask(linked, reducing, side="sell", size="5").decision is RiskDecision.APPROVE
    assert ask(linked, reducing, side="sell", size="6").decision is RiskDecision.REJECT
    assert ask(linked, halted, side="sell", size="5").decision is RiskDecision.REJECT


def test_a_profit_is_no_loss_and_a_deposit_no_gain() -> None:
    linked = policy("rule: daily-loss@1, limits: {max_loss: 100 USD}")

    def with_book(**book: Any) -> Decision:
        return ask(linked, {"books": {"account/main": book}})

    assert with_book(equity=20_000).decision is RiskDecision.APPROVE
    assert with_book(equity=9_900).decision is RiskDecision.APPROVE
    assert with_book(equity=9_899).decision is RiskDecision.REJECT
    assert with_book(equity=10_400, deposits=501).decision is RiskDecision.REJECT


def test_equity_at_or_below_zero_blocks_what_divides_by_it() -> None:
    linked = policy("rule: total-exposure@1, limits: {max_of_equity: 95%}")

    for equity in (0, -5):
        given = {"books": {"account/main": {"equity": equity}}}
        assert ask(linked, given, size="0.1").decision is RiskDecision.REJECT


def test_a_held_symbol_without_a_fresh_mark_makes_the_portfolio_unknown() -> None:
    linked = policy(
        "rule: data-quality@1, limits: {max_age: 5s}",
        "rule: total-exposure@1, limits: {max: 100000 USD}",
    )
    given: dict[str, Any] = {
        "market": {"ETH/USD": {"bid": 10, "ask": 10, "last": 10, "age": "60s"}},
        "books": {"account/main": {"positions": {"ETH/USD": {"size": "1", "mark": 10}}}},
    }
    decision = ask(linked, given)

    assert decision.decision is RiskDecision.REJECT
    assert decision.gate("total-exposure").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"size": "0.15"}, "SIZE_OFF_STEP"),
        ({"size": "0"}, "INVALID_SIZE"),
        ({"size": "-1"}, "INVALID_SIZE"),
        ({"size": NAN}, "INVALID_SIZE"),
        ({"size": None}, "INVALID_SIZE"),
        ({"size": "1e30"}, "SIZE_OFF_STEP"),
        ({"size": "1e999999"}, "SIZE_OFF_STEP"),
        ({"size": 10**400}, "SIZE_OFF_STEP"),
        ({"size": "1e-999999"}, "SIZE_OFF_STEP"),
        ({"price": "0"}, "INVALID_PRICE"),
        ({"price": None}, "INVALID_PRICE"),
        ({"price": float("inf")}, "INVALID_PRICE"),
        ({"side": "hold"}, "INVALID_SIDE"),
        ({"type": "iceberg"}, "INVALID_TYPE"),
        ({"symbol": "DOGE/USD"}, "UNKNOWN_INSTRUMENT"),
        ({"reduce_only": True}, "REDUCE_ONLY_UNTRUE"),
    ],
)
def test_an_order_that_cannot_be_judged_is_refused_with_a_code(
    change: dict[str, Any], code: str
) -> None:
    decision = ask(EXPOSURE, **change)

    assert (decision.decision, decision.code) == (RiskDecision.REJECT, code)
    assert [result.gate for result in decision.gates] == ["total-exposure"]


@pytest.mark.parametrize("price", ["1e30", "1e300", "1e999999", 10**400, "1e-300"])
def test_no_price_escapes_as_an_exception(price: object) -> None:
    linked = policy("rule: venue-rules@1", "rule: total-exposure@1, limits: {max: 1000 USD}")
    given = {"instruments": {"BTC/USD": {"tick_size": "0.00000001"}}}

    assert ask(linked, given, price=price).decision is RiskDecision.REJECT


def test_a_position_beyond_counting_blocks_new_risk() -> None:
    assert ask(EXPOSURE, holding("1e999999")).decision is RiskDecision.REJECT


def test_the_reason_starts_with_the_code_of_the_rule_whatever_the_gate_is_called() -> None:
    linked = policy("rule: total-exposure@1, name: cap, limits: {max: 1 USD}")
    decision = ask(linked)

    assert decision.code == "TOTAL_EXPOSURE"
    assert decision.reason.startswith("TOTAL_EXPOSURE ")
    assert "gate=cap" in decision.reason


def test_a_market_order_without_any_price_is_refused() -> None:
    given = {"market": {"BTC/USD": {"bid": None, "ask": None, "last": None}}}

    assert ask(EXPOSURE, given, type="market", price=None).code == "NO_PRICE"


def test_a_market_order_without_quotes_is_valued_at_the_mark() -> None:
    given = {"market": {"BTC/USD": {"bid": None, "ask": None, "last": 250}}}

    assert ask(EXPOSURE, given, type="market", price=None, size="9").size == Decimal("4.0")


def test_a_shadow_gate_is_recorded_and_decides_nothing() -> None:
    linked = policy("rule: total-exposure@1, limits: {max: 1 USD}, mode: shadow")
    decision = ask(linked)

    assert decision.decision is RiskDecision.APPROVE
    assert decision.gate("total-exposure").outcome is Outcome.BREACH


def test_a_decision_unpacks_into_three() -> None:
    decision, reason, size = ask(EXPOSURE, size="11")

    assert decision == "REDUCE_SIZE"
    assert "TOTAL_EXPOSURE" in str(reason)
    assert size == Decimal("10.0")


@given(
    held=st.integers(-30, 30),
    buys=st.integers(0, 15),
    sells=st.integers(0, 15),
    asked=st.integers(1, 60),
    side=st.sampled_from(["buy", "sell"]),
    limit=st.integers(0, 400),
    cap=st.integers(0, 400),
)
def test_the_reduced_size_equals_trying_every_lot(
    held: int, buys: int, sells: int, asked: int, side: str, limit: int, cap: int
) -> None:
    linked = policy(
        f"rule: total-exposure@1, limits: {{max: {limit} USD}}",
        f"rule: position-size@1, limits: {{max: {cap} USD}}",
    )
    working = [
        {"order_id": name, "symbol": "BTC/USD", "side": name, "size": str(lots / 10), "price": 100}
        for name, lots in (("buy", buys), ("sell", sells))
        if lots
    ]
    given = holding(str(held / 10), working)

    def passes(lots: int) -> bool:
        size = str(Decimal(lots) / 10)
        return ask(linked, given, side=side, size=size).decision is RiskDecision.APPROVE

    best = max((lots for lots in range(1, asked + 1) if passes(lots)), default=0)
    decision = ask(linked, given, side=side, size=str(Decimal(asked) / 10))

    assert decision.size == Decimal(best) / 10
    if best == 0:
        assert decision.decision is RiskDecision.REJECT


@pytest.mark.parametrize("peak", [0, -1, None, NAN])
def test_a_peak_that_is_not_above_zero_is_none(peak: float | None) -> None:
    drawdown = policy("rule: drawdown@1")
    given = {"books": {"account/main": {"peak_equity": peak}}}

    assert ask(drawdown, given).gate("drawdown").outcome is Outcome.UNKNOWN
    risen = {"books": {"account/main": {"peak_equity": 1}}}
    assert ask(drawdown, risen).gate("drawdown").outcome is Outcome.PASS
