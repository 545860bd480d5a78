"""Explanations as people read them: golden texts of single gates, and the parts of figures."""

from typing import Any

import pytest

from review.asked import asked, policy
from ringfence.backends.explain.amounts import Words, plain_number
from ringfence.errors import InputError
from ringfence.language.instruments import Instrument
from ringfence.language.linking import LinkedSet
from ringfence.review.explaining.explanation import explain
from ringfence.review.explaining.explanation_words import explanation_lines

pytestmark = pytest.mark.unit

ETH = {"positions": {"ETH/USD": {"size": "40", "mark": 2000}}}
DOGE = {
    "instruments": {"DOGE/USD": {"lot_step": "0.00000001", "base": "DOGE", "quote": "USD"}},
    "market": {"DOGE/USD": {"bid": 0.1, "ask": 0.1, "last": 0.1, "age": "1s"}},
}
OF_DOGE = {"symbol": "DOGE/USD", "price": "0.1"}


def text(linked: LinkedSet, **given: Any) -> list[str]:
    """The lines of the first gate, and those before it."""
    told = explain(linked, asked(linked, **given), check_mandatory=False)
    lines = [line for line, _ in explanation_lines(told)]
    return lines[lines.index("") + 1 :]


def path(linked: LinkedSet, **given: Any) -> tuple[str, ...]:
    return explain(linked, asked(linked, **given), check_mandatory=False).path


def test_an_exposure_is_written_out_as_a_person_would() -> None:
    linked = policy("{rule: total-exposure@1, limits: {max: 100_000 USD, max_of_equity: 95%}}")

    assert text(linked, book=ETH) == [
        "REDUCE total-exposure of the account (desk@1.0.0, desk.yaml:8)",
        "  money: exposure after = 130,000 USD <= max = 100,000 USD: breach, 30,000 USD too much, 130% used",
        "  of-equity: exposure after = 130,000 USD <= max of equity x equity = 95% x 100,000 USD = 95,000 USD: "
        "breach, 35,000 USD too much, 136.8% used",
        "  exposure after = 40 ETH x 2,000 USD + 1 BTC x 50,000 USD = 130,000 USD (the parts add up exactly)",
        "    held in ETH/USD: 40 ETH x 2,000 USD = 80,000",
        "    this order: 1 BTC x 50,000 USD = 50,000",
        "  equity = 100,000 USD (the ledger, book of the gate's level)",
        "  largest size that passes: 0.3 BTC",
        "  limits: max 100,000 USD (desk.yaml:8), max_of_equity 95% (desk.yaml:8), "
        "working worst-case (default of the rule)",
    ]
    assert path(linked, book=ETH) == (
        "total-exposure leaves 0.300 BTC: the least, in whole lots of 0.001, is 0.300",
        "asked again at 0.300, every enforced gate passes",
    )


def test_just_beyond_a_limit_is_not_at_it() -> None:
    linked = policy("{rule: total-exposure@1, limits: {max: 129_970 USD}}")

    assert text(linked, book=ETH)[1].endswith("breach, 30 USD too much, 100.0231% used")


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("2_000_000", "2,000,000"),
        ("12_345.12345678", "12,345.12345678"),
        ("0.00000012", "0.00000012"),
        ("0.000000001", "0"),
        ("100_000_000", None),
    ],
)
def test_the_largest_size_is_told_to_the_last_lot_however_small_a_lot_is(
    limit: str, told: str | None
) -> None:
    lines = text(
        policy(f"{{rule: order-size@1, limits: {{max_size: {limit}}}}}"), given=DOGE, **OF_DOGE
    )

    # Of more lots than float64 counts no order is taken.
    said = {None: "any size passes", "0": "no size passes"}.get(
        told, f"largest size that passes: {told} DOGE"
    )
    assert f"  {said}" in lines


def test_a_small_lot_step_is_written_out() -> None:
    linked = policy("{rule: order-notional@1, limits: {max: 10 USD}, on_breach: reduce}")

    assert path(linked, given=DOGE, **{**OF_DOGE, "size": "200"})[0].endswith(
        "the least, in whole lots of 0.00000001, is 100.00000000"
    )


def test_working_orders_multipliers_and_rates_are_opened_up() -> None:
    linked = policy("{rule: position-size@1, limits: {max: 100_000 USD}}")
    working = [{"order_id": "w", "symbol": "ADA/EUR", "side": "buy", "size": "300", "price": 0.5}]
    book = {"positions": {"ADA/EUR": {"size": "-100"}}, "working": working}

    lines = text(linked, book=book, symbol="ADA/EUR", size="1000", price="0.5")

    assert lines[2:6] == [
        "  position after = 200 ADA x 0.5 EUR x multiplier 10 x rate 1.25 USD/EUR + 1,000 ADA x 0.5 EUR x "
        "multiplier 10 x rate 1.25 USD/EUR = 7,500 USD (the parts add up exactly)",
        "    short in ADA/EUR: 200 ADA x 0.5 EUR x multiplier 10 x rate 1.25 USD/EUR = 1,250",
        "    this order: 1,000 ADA x 0.5 EUR x multiplier 10 x rate 1.25 USD/EUR = 6,250",
        "    worst case: max(|-100 ADA + 1,300 ADA|, |-100 ADA - 0 ADA|) = 1,200 ADA, this order included",
    ]


def test_parts_that_were_rounded_say_so() -> None:
    linked = policy("{rule: position-size@1, limits: {max: 100_000 USD}}")

    (line,) = (
        each
        for each in text(linked, size="0.001", price="50000.1234567")
        if "position after = 0.001" in each
    )

    assert line == (
        "  position after = 0.001 BTC x 50,000.1234567 USD = 50.000124 USD (each part is rounded up to a "
        "millionth; the parts add up but for that)"
    )


def test_correlated_exposure_says_what_counts_and_what_is_left_out() -> None:
    linked = policy("{rule: correlated-exposure@1, limits: {threshold: 0.7, max: 100_000 USD}}")
    book = {"positions": {"ETH/USD": {"size": "5"}, "ADA/EUR": {"size": "10"}}}
    given = {"correlations": {"BTC/USD|ETH/USD": 0.9, "ADA/EUR|BTC/USD": 0.2}}

    lines = text(linked, book=book, given=given)

    assert "    held in ETH/USD (correlation 0.9): 5 ETH x 2,000 USD = 10,000" in lines
    assert "    ADA/EUR is left out: correlation 0.2, below the threshold 0.7" in lines
    hedge = text(linked, book={"positions": {"ETH/USD": {"size": "-5"}}}, given=given)
    assert "    ETH/USD adds nothing: correlation 0.9, and the book is not long in it" in hedge
    unknown = text(linked, book=book)
    assert (
        "    held in ETH/USD (no known correlation, counts as 1): 5 ETH x 2,000 USD = 10,000"
        in unknown
    )


def test_net_exposure_shows_both_sides() -> None:
    linked = policy("{rule: net-exposure@1, limits: {max: 100_000 USD}}")

    lines = text(linked, book={"positions": {"ETH/USD": {"size": "-40"}}})

    assert lines[2:6] == [
        "  net exposure after = 80,000 USD: max(|net + buys|, |net - sells|), this order among the buys or sells",
        "    net: -40 ETH x 2,000 USD = -80,000 USD",
        "    buys: 1 BTC x 50,000 USD = 50,000 USD",
        "    max(|-80,000 USD + 50,000 USD|, |-80,000 USD - 0 USD|) = 80,000 USD",
    ]


def test_losses_and_drawdowns_are_computed_from_the_book() -> None:
    book = {"equity": 96000, "day_start_equity": 100000, "peak_equity": 120000, "deposits": 1000}
    loss = text(policy("{rule: daily-loss@1, limits: {max_loss_ratio: 5%}}"), book=book)
    fall = text(policy("{rule: drawdown@1, limits: {max_drawdown: 10%}}"), book=book)

    assert loss[1] == (
        "  ratio: day loss ratio = 5% <= max loss ratio = 5%: pass, 0% left, 100% used"
    )
    assert "    max(0, 100,000 USD - (96,000 USD - 1,000 USD)) = 5,000 USD" in loss
    assert "    5,000 USD / 100,000 USD = 5%" in loss
    assert "    max(0, (120,000 USD - 96,000 USD) / 120,000 USD) = 20%" in fall


def test_an_override_in_force_is_named_with_its_window_and_ticket() -> None:
    linked = policy(
        "{rule: order-notional@1, limits: {max: 10_000 USD}, overrides: [{limits: {max: 60_000 USD}, "
        "from: 2026-01-05T08:00:00Z, until: 2026-01-06T00:00:00Z, ticket: RISK-7}, {limits: {max: 1 USD}, "
        "from: 2026-03-01T00:00:00Z, ticket: RISK-8}]}"
    )

    lines = text(linked)

    assert lines[-3:] == [
        "  limits: max 60,000 USD (desk.yaml:8, override)",
        "  override in force: RISK-7, from 2026-01-05T08:00:00Z until 2026-01-06T00:00:00Z, max (desk.yaml:8)",
        "  override not in force: RISK-8, from 2026-03-01T00:00:00Z, max (desk.yaml:8)",
    ]


def test_an_exempt_gate_says_why_the_order_only_reduces() -> None:
    linked = policy("{rule: total-exposure@1, limits: {max: 1 USD}}")
    working = [{"order_id": "w", "symbol": "BTC/USD", "side": "sell", "size": "1", "price": 50000}]
    book = {"positions": {"BTC/USD": {"size": "3"}}, "working": working}

    lines = text(linked, book=book, side="sell", size="2")

    assert lines[0].startswith("EXEMPT total-exposure")
    assert lines[1] == (
        "  exempt: the order only reduces risk; the account's book is long 3 BTC, of which 1 BTC is already "
        "being closed: 2 BTC can be closed, the order sells 2 BTC: it only reduces"
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"given": {"books": {"account/main": {"equity": None}}}}, "the book's money is not known"),
        (
            {"book": ETH, "given": {"market": {"ETH/USD": {"age": "1h"}}}},
            "the book holds ETH/USD, whose mark is too old: its age is 3,600s, at most 5s is allowed",
        ),
        (
            {"book": {"positions": {"XYZ": {"size": "1"}}}},
            "the book holds XYZ, which has no mark",
        ),
        ({"account": "other"}, "there is no book of the account"),
    ],
)
def test_an_unknown_input_says_why(given: dict[str, Any], why: str) -> None:
    linked = policy(
        "{rule: total-exposure@1, limits: {max_of_equity: 95%}}",
        "{rule: data-quality@1, limits: {max_age: 5s, min_completeness: 0%, max_skew: 1s}}",
    )

    assert any(
        line.strip().startswith("equity is unknown: " + why) for line in text(linked, **given)
    )


def test_conditions_say_which_branch_counts() -> None:
    linked = policy("kill-switch@1".join(["rule: ", ""]))
    thrown = {"control": {"kill_switch": {"account/main": "halted"}}}

    assert text(linked, given=thrown) == [
        "BREACH kill-switch of the account (desk@1.0.0, desk.yaml:8)",
        "  state: 0 if (kill state <= 1) and risk reducing else kill state = 2 (halted) <= 0 (active): breach",
        "    kill state <= 1 = 2 (halted) <= 1 is false",
        "    (kill state <= 1) and risk reducing is false, so what counts is kill state = 2 (halted)",
        "  kill state = 2 (halted): the strictest of active 0, reducing 1, halted 2",
        "    account/main halted: halted",
        "  risk reducing = false: the only possible result is a smaller position",
        "    the account's book holds no BTC/USD: the order opens",
    ]


def test_market_fields_are_opened_up() -> None:
    linked = policy("{rule: spread@1, limits: {max_spread: 1%}}")
    lines = text(linked, given={"market": {"BTC/USD": {"bid": 49000, "ask": 51000}}})
    assert "    (51,000 USD - 49,000 USD) / 50,000 USD = 4%" in lines

    collar = policy(
        "{rule: price-collar@1, limits: {max_deviation: 2%, reference: mid, window: 1m}}"
    )
    seen = [{"age": "10s", "bid": 40000, "ask": 40000}]
    lines = text(collar, given={"market": {"BTC/USD": {"recent": seen}}})
    assert "    of 2 seen within 60s the farthest is that of 10s ago" in lines
    assert "    |50,000 USD - 40,000 USD| / 40,000 USD = 25%" in lines


def test_prices_are_those_that_value_an_order() -> None:
    linked = policy("{rule: order-notional@1, limits: {max: 1_000_000 USD}}")

    def valuation(**given: Any) -> str:
        return explain(linked, asked(linked, **given), check_mandatory=False).valuation

    empty = {"market": {"BTC/USD": {"bid": None, "ask": None, "last": None}}}
    marked = {"market": {"BTC/USD": {"bid": None, "ask": None, "mark": 51000}}}
    assert valuation(type="stop", stop_price="49000") == (
        "a stop is valued at its trigger price, 49,000 USD"
    )
    assert valuation(type="market", price=None) == "ask 50,000 USD"
    assert valuation(given=marked) == (
        "max(limit 50,000 USD, mark (there is no ask) 51,000 USD) = 51,000 USD"
    )
    assert valuation(type="market", price=None, given=empty) == (
        "there is neither a limit price nor a quote nor a mark"
    )


def test_what_came_before_the_order_is_counted() -> None:
    rate = policy("{rule: order-rate@1, limits: {max_orders: 5, window: 10s}}")
    equal = policy("{rule: duplicate-order@1, limits: {window: 10s}}")
    symbol = policy("{rule: order-rate@1, limits: {max_per_symbol: 5, window: 10s}}")
    orders = policy("{rule: order-rate@1, limits: {max_orders: 5, window: 10s, counts: orders}}")
    recent = {
        "recent_orders": [
            {"age": "2s"},
            {"age": "4s", "size": "2"},
            {"age": "1m"},
            {"age": "1s", "message": "cancel"},
            {"age": "1s", "symbol": "ETH/USD"},
        ]
    }

    assert "  messages = 3 orders within 10s of the account + 1 cancel + this one = 5" in text(
        rate, given=recent
    )
    assert (
        "  symbol messages = 2 orders within 10s of the account in BTC/USD + 1 cancel + this one = 4"
        in text(symbol, given=recent)
    )
    assert "  messages = 3 within 10s of the account + this one = 4" in text(orders, given=recent)
    assert "  duplicates = 1 equal within 10s = 1" in text(equal, given=recent)


def test_working_orders_and_permissions_are_listed() -> None:
    working = [{"order_id": "w", "symbol": "ETH/USD", "side": "buy", "size": "1", "price": 2000}]
    orders = policy("{rule: open-orders@1, limits: {max_total: 5}}")
    allowed = policy("{rule: instrument-permission@1, limits: {allow: ['BTC/*'], deny: ['*/EUR']}}")

    assert "  open orders after = 1 in ETH/USD + this one = 2" in text(
        orders, book={"working": working}
    )
    assert text(allowed)[-4:-2] == [
        "    BTC/USD matches `BTC/*` of `allow`",
        "    BTC/USD matches nothing of `deny`: */EUR",
    ]


def test_an_order_that_adds_or_closes_too_much_says_so() -> None:
    linked = policy("{rule: kill-switch@1}")
    long = {"positions": {"BTC/USD": {"size": "3"}}}

    assert "    the account's book is long 3 BTC, and the order buys: it adds" in text(
        linked, book=long
    )
    assert (
        "    the account's book is long 3 BTC: 3 BTC can be closed, the order sells 5 BTC: it does not only reduce"
        in text(linked, book=long, side="sell", size="5")
    )


def test_the_day_s_start_may_be_the_balance() -> None:
    linked = policy("{rule: daily-loss@1, limits: {max_loss: 5_000 USD, basis: max}}")

    lines = text(linked, book={"day_start_balance": 101000})

    assert "    day's start: the larger of equity and balance then" in lines
    assert "    max(0, 101,000 USD - (100,000 USD - 0 USD)) = 1,000 USD" in lines


def test_a_book_of_many_symbols_is_cut_in_words() -> None:
    linked = policy("{rule: total-exposure@1, limits: {max: 1_000_000 USD}}")
    positions = {f"S{each}/USD": {"size": "1", "mark": 10} for each in range(20)}

    lines = text(linked, book={"positions": positions})

    assert any(" + 9 more parts = 50,200 USD" in line for line in lines)


def test_a_refusal_comes_before_any_gate() -> None:
    linked = policy("{rule: order-size@1, limits: {max_size: 5}}")

    assert path(linked, size="0.00001") == (
        "refused before any gate counts: SIZE_OFF_STEP size 0.00001 is no multiple of the lot step 0.001",
    )
    assert path(linked, reduce_only=True)[0].startswith("refused")
    shadow = policy("{rule: order-size@1, limits: {max_size: 0.5}, mode: shadow}")
    assert path(shadow)[-1] == "only recorded (shadow): order-size would not pass"


def test_one_gate_alone_by_its_name_or_that_of_its_level() -> None:
    linked = policy(
        "{rule: order-size@1, limits: {max_size: 5}}",
        "{rule: kill-switch@1}",
        "{rule: kill-switch@1, level: firm, name: k}",
    )
    case = asked(linked)

    def shown(only: str, **when: str) -> list[str]:
        told = explain(linked, asked(linked, **when) if when else case, only=only)
        return [each.result.gate for each in told.gates]

    assert shown("kill-switch") == ["kill-switch"]
    assert shown("firm.k") == ["k"]
    # Also of an order that cannot be read.
    assert shown("k", symbol="XYZ") == ["k"]


def test_a_gate_that_is_not_there_is_said() -> None:
    linked = policy("{rule: order-size@1, limits: {max_size: 5}}")

    with pytest.raises(InputError) as failed:
        explain(linked, asked(linked), only="order-sise")

    assert failed.value.message == "no gate `order-sise` binds this order"
    assert "did you mean `order-size`?" in failed.value.fix


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (4040000.0, "4,040,000"),
        (0.611, "0.611"),
        (1 / 3, "0.333333333"),
        (123456789.123456, "123,456,789.123"),
        (1e-9, "1e-09"),
        (1e300, "1e+300"),
        (float("nan"), "unknown"),
        (-1234.5, "-1,234.5"),
    ],
)
def test_numbers_are_written_as_people_do(value: float, said: str) -> None:
    assert plain_number(value) == said


def test_amounts_have_their_unit() -> None:
    words = Words("USD", Instrument("BTC/EUR", base="BTC", quote="EUR"))

    said = [
        words.amount(value, unit, choices)
        for value, unit, choices in (
            (1.5, "money", ()),
            (0.25, "ratio", ()),
            (2.0, "quantity", ()),
            (50.0, "price", ()),
            (5.0, "duration", ()),
            (1.0, "state", ()),
            (1.0, "boolean", ()),
            (1.0, "choice", ("limit", "market")),
            (3.0, "count", ()),
            (1e300, "quantity", ()),
            (float("inf"), "money", ()),
        )
    ]

    assert said == [
        "1.5 USD", "25%", "2 BTC", "50 EUR", "5s", "1 (reducing)", "true", "market", "3", "no bound", "unknown",
    ]  # fmt: skip
