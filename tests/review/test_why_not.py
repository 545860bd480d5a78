"""What would have to change for a size to pass: each way was asked of the interpreter, and is a near one."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from review.asked import asked, policy
from ringfence.backends.reference import decide
from ringfence.errors import InputError
from ringfence.language.changed_limits import with_rows
from ringfence.language.decision import RiskDecision
from ringfence.language.linking import LinkedSet
from ringfence.language.parameters import Money
from ringfence.review.explaining.explanation import explain
from ringfence.review.explaining.explanation_words import explanation_lines
from ringfence.review.explaining.why_not import Way, WhyNot, why_not
from ringfence.review.sayable import in_style, sayable, sayable_value

pytestmark = pytest.mark.unit

EXPOSURE = "{rule: total-exposure@1, limits: {max: 100_000 USD}}"
SHARE = "{rule: total-exposure@1, limits: {max_of_equity: 95%}}"
WIDE = {"market": {"BTC/USD": {"bid": 49000, "ask": 51000}}}
ETH = {"positions": {"ETH/USD": {"size": "40", "mark": 2000}}}


def ask(linked: LinkedSet, size: str = "1", **given: Any) -> WhyNot:
    return why_not(linked, asked(linked, **given), size, check_mandatory=False)


def ways(linked: LinkedSet, size: str = "1", **given: Any) -> list[Way]:
    """Of the one gate that blocks; each that was tried is confirmed."""
    (needs,) = ask(linked, size, **given).needs
    assert all(way.confirmed is not False for way in needs.ways)
    return list(needs.ways)


def said(linked: LinkedSet, size: str = "1", **given: Any) -> list[str]:
    return [way.text for way in ways(linked, size, **given)]


def test_a_limit_and_a_smaller_position_would_do() -> None:
    assert said(policy(EXPOSURE), book=ETH) == [
        "a limit of at least `max: 130_000 USD`",
        "15 ETH less of ETH/USD in account/main (now 40 ETH)",
    ]


def test_the_limit_is_rounded_outward_to_a_number_that_can_be_said() -> None:
    limit, _ = ways(policy(EXPOSURE), size="1.003", book=ETH)

    assert limit.values == {"max": "131_000 USD"}


def test_a_share_of_equity_needs_a_share_or_more_equity() -> None:
    assert said(policy(SHARE), book=ETH)[:2] == [
        "a limit of at least `max_of_equity: 130%`",
        "an equity of at least 137,000 USD of account/main (now 100,000 USD)",
    ]
    # At an equity below zero no share is enough.
    assert "limit" not in {way.kind for way in ways(policy(SHARE), book={"equity": -5})}


def test_the_position_of_the_order_s_symbol_comes_first() -> None:
    book = {"positions": {"BTC/USD": {"size": "1.5"}, "ETH/USD": {"size": "1"}}}

    assert said(policy(EXPOSURE), book=book)[1] == (
        "0.54 BTC less of BTC/USD in account/main (now 1.5 BTC)"
    )


def test_a_notional_may_fit_at_a_lower_price() -> None:
    linked = policy("{rule: order-notional@1, limits: {max: 49_000 USD}}")
    market = {"market": {"BTC/USD": {"bid": 40000, "ask": 40010}}}

    assert said(linked, given=market) == [
        "a limit of at least `max: 50_000 USD`",
        "a limit price of at most 49,000 USD",
    ]
    # The ask is above it: no limit price makes the order worth less.
    assert [way.kind for way in ways(linked)] == ["limit"]


@pytest.mark.parametrize(
    ("price", "wanted"), [("60000", "at most 51,000"), ("40000", "at least 49,000")]
)
def test_a_collar_wants_a_price_nearer_to_the_reference(price: str, wanted: str) -> None:
    linked = policy("{rule: price-collar@1, limits: {max_deviation: 2%, reference: mid}}")

    assert said(linked, price=price)[1] == f"a limit price of {wanted} USD"


def test_losses_need_equity() -> None:
    loss = policy("{rule: daily-loss@1, limits: {max_loss: 5_000 USD}}")
    fall = policy("{rule: drawdown@1, limits: {max_drawdown: 10%}}")

    assert said(loss, book={"equity": 94000})[1].startswith("an equity of at least 95,000 USD")
    assert said(fall, book={"equity": 80000})[1].startswith("an equity of at least 90,000 USD")


def test_rates_and_duplicates_need_time() -> None:
    recent = {"recent_orders": [{"age": "2s"}, {"age": "4s"}]}
    rate = policy("{rule: order-rate@1, limits: {max_orders: 2, window: 10s}}")
    duplicate = policy("{rule: duplicate-order@1, limits: {window: 10s}}")

    assert said(rate, given=recent) == [
        "a limit of at least `max_orders: 3`",
        "the same order 6s later, when earlier ones have left the window",
    ]
    assert said(duplicate, given=recent) == [
        "the same order 8s later, when earlier ones have left the window"
    ]


def test_counts_need_fewer_orders_or_positions() -> None:
    working = [
        {"order_id": str(each), "symbol": "ETH/USD", "side": "buy", "size": "1", "price": 2000}
        for each in range(3)
    ]
    orders = policy("{rule: open-orders@1, limits: {max_total: 2}}")
    positions = policy("{rule: position-count@1, limits: {max_positions: 1}}")

    assert said(orders, book={"working": working})[1] == "2 working orders fewer"
    assert said(positions, book=ETH)[1] == "1 other symbols fewer in the book"


def test_liquidity_needs_depth() -> None:
    linked = policy("{rule: depth@1, limits: {max_share: 10%}}")

    assert said(linked, given={"market": {"BTC/USD": {"depth": 4}}})[1] == (
        "a size on the ask side of at least 10 BTC (now 4 BTC)"
    )


def test_a_switch_is_for_a_person_and_no_gate_is_ever_switched_off() -> None:
    linked = policy("{rule: kill-switch@1}")
    thrown = {"control": {"kill_switch": {"firm": "halted", "symbol/BTC/USD": "reducing"}}}

    (way,) = ways(linked, given=thrown)

    assert way.text == (
        "the kill switch has to be reset by a person who may: firm is halted, symbol/BTC/USD is reducing"
    )
    assert way.confirmed
    reducing = {"control": {"kill_switch": {"firm": "reducing"}}}
    assert said(linked, given=reducing)[0].endswith(
        "an order that only reduces risk passes as it is"
    )


def test_bad_data_says_what_it_needs() -> None:
    linked = policy(
        "{rule: data-quality@1, limits: {max_age: 5s, min_completeness: 95%, max_skew: 1s}}"
    )
    old = said(linked, given={"market": {"BTC/USD": {"age": "10s"}}})
    gap = said(linked, given={"market": {"BTC/USD": {"last": None}}})
    crossed = said(linked, given={"market": {"BTC/USD": {"bid": 50001}}})

    assert "market data of BTC/USD that is no older than 5s" in old
    assert "market data with last of BTC/USD" in gap
    assert said(policy("{rule: spread@1, limits: {max_spread: 1%}}"), given=WIDE)[1] == (
        "a narrower spread in BTC/USD"
    )
    assert crossed == ["a quote of BTC/USD that is not crossed: the bid at or below the ask"]


def test_an_unknown_input_has_to_be_known() -> None:
    (way,) = ways(policy(SHARE), book={"equity": None})

    assert (way.kind, way.confirmed) == ("need", None)
    assert way.text.startswith("`book.equity` has to be known")


def test_a_symbol_that_is_not_allowed_has_no_way_but_is_explained() -> None:
    assert (
        ways(policy("{rule: instrument-permission@1, limits: {allow: ['ETH/*'], deny: []}}")) == []
    )


def test_a_price_off_the_tick_is_offered_the_two_beside_it() -> None:
    prices = [way.values["price"] for way in ways(policy("{rule: venue-rules@1}"), price="50000.3")]

    assert prices == ["50000", "50000.5"]


def test_several_gates_are_asked_alone_and_all_together() -> None:
    linked = policy(EXPOSURE, "{rule: order-size@1, limits: {max_size: 1}}")

    told = ask(linked, "3")

    assert [needs.result.gate for needs in told.needs] == ["total-exposure", "order-size"]
    assert told.together is not None
    assert told.together.confirmed
    assert told.together.values == {
        "desk@1.0.0/total-exposure: max": "150_000 USD",
        "desk@1.0.0/order-size: max_size": "3",
    }


def test_what_no_limit_can_mend_stays_when_all_are_changed() -> None:
    linked = policy("{rule: order-size@1, limits: {max_size: 1}}", "{rule: kill-switch@1}")
    thrown = {"control": {"kill_switch": {"firm": "halted"}}}

    together = ask(linked, "3", given=thrown).together

    assert together is not None
    assert not together.confirmed
    assert together.text.endswith("are not enough: kill-switch would still not pass")


def test_a_size_that_passes_needs_nothing() -> None:
    assert ask(policy(EXPOSURE), "1").passes
    refused = ask(policy(EXPOSURE), "0.0001")
    assert (refused.passes, refused.needs) == (False, ())


@pytest.mark.parametrize("size", ["0", "-1", "much", None])
def test_a_size_is_a_number_above_zero(size: Any) -> None:
    linked = policy(EXPOSURE)

    with pytest.raises(InputError, match="is no size"):
        why_not(linked, asked(linked), size)


@settings(max_examples=30)
@given(
    held=st.integers(-3000, 3000),
    other=st.integers(-9000, 9000),
    size=st.integers(1, 9000),
    price=st.integers(30_000, 70_000),
    limits=st.tuples(st.integers(1_000, 300_000), st.integers(1, 200), st.integers(1_000, 99_999)),
)
def test_every_way_is_confirmed_and_a_limit_a_little_tighter_would_not_do(
    held: int, other: int, size: int, price: int, limits: tuple[int, int, int]
) -> None:
    exposure, share, notional = limits
    linked = policy(
        f"{{rule: total-exposure@1, limits: {{max: {exposure} USD, max_of_equity: {share}%}}}}",
        f"{{rule: order-notional@1, limits: {{max: {notional} USD}}, on_breach: reduce}}",
        f"{{rule: net-exposure@1, limits: {{max: {exposure} USD}}}}",
    )
    positions = {
        "BTC/USD": {"size": str(Decimal(held) / 1000)},
        "ETH/USD": {"size": str(Decimal(other) / 100)},
    }
    case = asked(linked, book={"positions": positions}, price=str(price))
    asked_size = Decimal(size) / 1000

    told = why_not(linked, case, asked_size, check_mandatory=False)

    for needs in told.needs:
        assert all(way.confirmed for way in needs.ways)
        for way in needs.ways:
            if way.kind == "limit":
                _tighter_fails(linked, case, asked_size, needs.result.gate, way)
    assert told.together is None or told.together.confirmed


def _tighter_fails(linked: LinkedSet, case: Any, size: Decimal, gate: str, way: Way) -> None:
    """Three digits overshoot by at most one in a hundred."""
    order = replace(case.order, size=size)
    values = {
        name: float(text.split(" ")[0].replace("_", "").rstrip("%"))
        for name, text in way.values.items()
    }

    def tighter(each: Any, row: Any) -> Any:
        if each.name != gate:
            return row
        changed = {}
        for name, value in row.values.items():
            if name not in values:
                continue
            number = values[name] * 0.985
            changed[name] = Money(number, "USD") if isinstance(value, Money) else number / 100
        return replace(row, values={**row.values, **changed})

    decision = decide(with_rows(linked, tighter), replace(case, order=order), check_mandatory=False)
    assert decision.gate(gate).outcome not in ("pass", "exempt")
    assert decision.decision is not RiskDecision.APPROVE


@given(st.floats(1e-6, 1e12), st.booleans())
def test_a_sayable_number_is_near_and_on_its_side(value: float, up: bool) -> None:
    found = sayable(value, up=up)

    assert abs(found - value) <= 0.0101 * value
    assert found >= value * (1 - 2e-9) if up else found <= value * (1 + 2e-9)
    assert len(f"{found:.12e}".partition("e")[0].rstrip("0").replace(".", "")) <= 3


def test_a_sayable_number_keeps_what_can_be_said_already() -> None:
    assert [sayable(each, up=True) for each in (0.0, 4_000_000.0, 0.95, 1e-6)] == [
        0,
        4e6,
        0.95,
        1e-6,
    ]
    assert (sayable_value(2.5, "count", up=True), sayable_value(2.5, "count", up=False)) == (3, 2)
    for wrong in (float("nan"), -1.0):
        with pytest.raises(ValueError, match=str(wrong)):
            sayable(wrong, up=True)


@pytest.mark.parametrize(
    ("number", "kind", "written", "found"),
    [
        (3_330_000.0, "money", "4_000_000 USDT", "3_330_000 USDT"),
        (3_330_000.0, "money", "4000000 USDT", "3330000 USDT"),
        (1_290.0, "money", "200_000 USDT", "1_290 USDT"),
        (0.208, "ratio", "25%", "20.8%"),
        (0.0208, "ratio", "250 bps", "208 bps"),
        (0.208, "ratio", "0.25", "0.208"),
        (1.0, "ratio", "0.5", "1.0"),
        (1.9, "ratio", "0.95", "190%"),
        (2.5, "multiple", "3x", "2.5x"),
        (2.5, "multiple", "300%", "250%"),
        (7.0, "count", "10/s", "7/s"),
        (0.25, "duration", "500ms", "250ms"),
        (0.5, "quantity", "1", "0.5"),
        (12_000.0, "quantity", "", "12_000"),
        (5.0, "duration", "", "5s"),
        (3.0, "multiple", "", "3x"),
        (0.95, "ratio", "", "95%"),
    ],
)
def test_a_number_is_written_in_the_style_that_was_there(
    number: float, kind: str, written: str, found: str
) -> None:
    value = Money(1.0, "USDT") if kind == "money" else 1.0

    assert in_style(number, value, kind, written) == found


def test_in_words_each_way_alone_would_do_and_all_that_is_missing_is_needed() -> None:
    linked = policy(SHARE, "{rule: daily-loss@1, limits: {max_loss: 5_000 USD}}")

    def words(**given: Any) -> list[str]:
        case = asked(linked, **given)
        told = explain(linked, case, check_mandatory=False)
        why = why_not(linked, case, "3", check_mandatory=False)
        return [text for text, _ in explanation_lines(replace(told, why_not=why))]

    missing = words(book={"equity": None})
    assert "  total-exposure of the account (desk@1.0.0) needs:" in missing
    assert "  daily-loss of the account (desk@1.0.0) needs:" in missing
    lossy = words(book={"equity": 90000})
    assert "For 3 BTC/USD to pass (2 gates block it now):" in lossy
    assert "  daily-loss of the account (desk@1.0.0) needs one of:" in lossy
    assert lossy[-2:] == [
        "  all of these limits at once (asked again with all of them: passes)",
        "    desk@1.0.0/total-exposure: max_of_equity: 167%; desk@1.0.0/daily-loss: max_loss: 10_000 USD",
    ]
