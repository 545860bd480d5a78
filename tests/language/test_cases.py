"""What the `given` of a policy test may say, and what it may not."""

import math
from typing import Any

import pytest

from ringfence.errors import PolicyError
from ringfence.language.instruments import read_instruments
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Market
from ringfence.language.plain_cases import plain_case
from ringfence.language.policy_tests import merge, read_case
from ringfence.language.schema import check
from ringfence.language.source import load

pytestmark = pytest.mark.unit

WHEN = {"account": "main", "symbol": "BTC/USD", "side": "buy", "size": "1", "price": "100"}


@pytest.fixture(scope="module")
def linked() -> LinkedSet:
    text = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: test}\n"
        "spec: {gates: [{rule: price-collar@1, limits: {max_deviation: 5%, window: 60s}}]}\n"
    )
    return link([load(text, "desk.yaml")], check_mandatory=False)


def market(linked: LinkedSet, *recent: dict[str, Any]) -> Market:
    given = {"market": {"BTC/USD": {"bid": 100, "ask": 100, "recent": list(recent)}}}
    return read_case(given, WHEN, linked).market["BTC/USD"]


def test_earlier_quotes_stand_beside_the_present_one(linked: LinkedSet) -> None:
    first, second = market(linked, {"age": "10s", "bid": 90, "ask": "92"}, {"age": 0.5}).history

    assert (first.age, first.bid, first.ask) == (10.0, 90.0, 92.0)
    assert second.age == 0.5
    assert second.last != second.last
    assert market(linked).history == ()


@pytest.mark.parametrize("age", ["-1s", -1, None, float("nan"), float("inf")])
def test_an_earlier_quote_lies_in_the_past(linked: LinkedSet, age: Any) -> None:
    with pytest.raises(PolicyError, match=r"E219: an earlier quote has the age .* in the past"):
        market(linked, {"age": age, "bid": 90})


@pytest.mark.parametrize(
    ("quote", "message"),
    [("{bid: 90}", "lacks `age`"), ("{age: 1s, prise: 90}", "prise"), ("90", "must be a mapping")],
)
def test_the_schema_knows_earlier_quotes(quote: str, message: str) -> None:
    text = (
        "apiVersion: ringfence/v1\nkind: PolicyTest\nmetadata: {name: t, version: 1.0.0}\n"
        "cases:\n  - name: one\n    then: {decision: APPROVE}\n"
        f"    given: {{market: {{BTC/USD: {{recent: [{quote}]}}}}}}\n"
    )
    findings = check(load(text, "t.yaml"), "PolicyTest")

    assert len(findings) == 1
    assert message in findings[0].message


def in_a_test(given: str, when: str = "{}") -> str:
    return (
        "apiVersion: ringfence/v1\nkind: PolicyTest\nmetadata: {name: t, version: 1.0.0}\n"
        f"cases:\n  - name: one\n    given: {given}\n    when: {when}\n    then: {{decision: APPROVE}}\n"
    )


@pytest.mark.parametrize(
    ("given", "name", "text"),
    [
        ('{books: {firm: {equity: "abc"}}}', "equity", "abc"),
        ("{books: {firm: {equity: 50000 USD}}}", "equity", "50000 USD"),
        ('{books: {firm: {equity: "50,000"}}}', "equity", "50,000"),
        ('{books: {firm: {equity: ""}}}', "equity", ""),
        ("{books: {firm: {positions: {A: {size: 1, mark: many}}}}}", "mark", "many"),
        ("{books: {firm: {working: [{symbol: A, side: buy, size: 1, price: x}]}}}", "price", "x"),
        ("{market: {A: {bid: x}}}", "bid", "x"),
        ("{market: {A: {completeness: all}}}", "completeness", "all"),
        ("{market: {A: {recent: [{age: 1s, last: 1.2.3}]}}}", "last", "1.2.3"),
        ("{instruments: {A: {lot_step: tiny}}}", "lot_step", "tiny"),
        ("{fx: {EUR/USD: par}}", "EUR/USD", "par"),
        ('{correlations: {"A|B": {rho: high}}}', "rho", "high"),
        ("{recent_orders: [{size: one}]}", "size", "one"),
    ],
)
def test_text_where_a_number_belongs_is_a_finding_at_its_place(
    given: str, name: str, text: str
) -> None:
    document = in_a_test(given)
    before, _, _ = document.splitlines()[5].partition(f"{name}: ")

    (finding,) = check(load(document, "t.yaml"), "PolicyTest")

    wanted = "a share" if name == "completeness" else "a number"
    assert finding.code == "E155"
    assert finding.message == f"`{name}` must be {wanted}, `{text}` is not"
    assert str(finding.span) == f"t.yaml:6:{len(before) + len(name) + 3}"
    assert finding.why
    assert finding.fix.startswith("write for example `")


def test_text_in_an_order_where_a_number_belongs_is_a_finding() -> None:
    found = check(load(in_a_test("{}", "{size: ten, price: '1O0'}"), "t.yaml"), "PolicyTest")

    assert [(each.code, str(each.span)) for each in found] == [
        ("E155", "t.yaml:7:18"),
        ("E155", "t.yaml:7:30"),
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("50000", 50000.0),
        ('"50000"', 50000.0),
        ('"50_000.5"', 50000.5),
        ('" 5e4 "', 50000.0),
        ('"-.5"', -0.5),
        ('"+1."', 1.0),
        ("1E+5", 100000.0),
        (".nan", math.nan),
        ('".NaN"', math.nan),
        ("nan", math.nan),
        ("null", math.nan),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ('"-.inf"', -math.inf),
        ('"Inf"', math.inf),
    ],
)
def test_a_number_may_be_text_and_may_be_missing(
    linked: LinkedSet, written: str, meant: float
) -> None:
    document = load(in_a_test(f"{{market: {{BTC/USD: {{bid: {written}}}}}}}"), "t.yaml")

    assert check(document, "PolicyTest") == []
    read = read_case(document.data["cases"][0]["given"], WHEN, linked)
    bid = read.market["BTC/USD"].bid
    assert bid == meant or (math.isnan(bid) and math.isnan(meant))


def test_a_case_from_python_is_held_to_the_same(linked: LinkedSet) -> None:
    with pytest.raises(PolicyError, match=r"E155: `equity` must be a number, `abc` is not"):
        plain_case({"given": {"books": {"firm": {"equity": "abc"}}}, "when": WHEN}, linked)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"market": {"BTC/USD": {"completeness": 90}}},
            "`completeness: 90` is a share above 100%: write `95%` or `0.95`",
        ),
        ({"fx": {"EUR/USD": 0}}, "exchange rate `EUR/USD: 0` is not above zero"),
        ({"fx": {"EUR/USD": "-1"}}, "is not above zero"),
        ({"instruments": {"BTC/USD": {"multiplier": 0}}}, "no number above zero"),
        ({"instruments": {"BTC/USD": {"multiplier": -1}}}, "no number above zero"),
        ({"instruments": {"BTC/USD": {"min_size": "none"}}}, "no number of zero or more"),
        ({"instruments": {"BTC/USD": {"tick_size": "-0.1"}}}, "no number of zero or more"),
        ({"instruments": {"BTC/USD": {"lot_step": "1e999999999"}}}, "beyond any size"),
        ({"instruments": {"BTC/USD": {"lot_step": "1e-400"}}}, "beyond any size"),
        ({"instruments": {"BTC/USD": {"min_size": "1e400"}}}, "beyond any size"),
    ],
)
def test_what_would_make_an_exposure_vanish_cannot_be(
    linked: LinkedSet, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(PolicyError, match=f"E219: .*{message}"):
        read_case(given, WHEN, linked)


def test_what_is_not_known_of_an_instrument_may_be_left_open(linked: LinkedSet) -> None:
    unknown = {"multiplier": float("nan"), "min_size": None, "tick_size": 0}
    case = read_case({"instruments": {"BTC/USD": unknown}}, WHEN, linked)

    assert math.isnan(case.instruments["BTC/USD"].multiplier)


def test_a_correlation_that_is_no_number_is_unknown(linked: LinkedSet) -> None:
    case = read_case({"correlations": {"A/USD|B/USD": float("nan")}}, WHEN, linked)

    assert case.correlations["A/USD", "B/USD"][0] == 1.0


def test_an_order_without_any_price_is_priced_at_the_mark_of_what_is_held(
    linked: LinkedSet,
) -> None:
    held = {"positions": {"BTC/USD": {"size": "1", "mark": 90}}}
    dark = {"market": {"BTC/USD": {"bid": None, "age": "1s"}}, "books": {"account/main": held}}
    market = {**WHEN, "type": "market", "price": None}

    assert read_case(dark, market, linked).market["BTC/USD"].mark == 90
    assert read_case(dark, market, linked).market["BTC/USD"].age == 1
    assert math.isnan(read_case(dark, WHEN, linked).market["BTC/USD"].mark)
    lit = {**dark, "market": {"BTC/USD": {"last": 95}}}
    assert math.isnan(read_case(lit, market, linked).market["BTC/USD"].mark)
    alone = read_case({"books": {"firm": held}}, market, linked).market["BTC/USD"]
    assert alone.mark == 90
    assert math.isnan(alone.age)


@pytest.mark.parametrize("step", ["1e400", "1e-400"])
def test_instruments_have_no_step_that_cannot_be_counted_with(step: str) -> None:
    text = (
        "apiVersion: ringfence/v1\nkind: Instruments\nmetadata: {name: venue, version: 1.0.0}\n"
        f'spec: {{instruments: {{A/USD: {{lot_step: "{step}"}}}}}}\n'
    )
    findings = read_instruments(load(text, "venue.yaml"))[1]

    assert [each.code for each in findings] == ["E218"]
    assert "beyond any size" in findings[0].message


def test_cash_and_positions_are_compared_with_equity_in_the_currency_of_the_book(
    linked: LinkedSet,
) -> None:
    book = {
        "currency": "USD",
        "cash": 1000,
        "equity": 1125,
        "positions": {"BMW/EUR": {"size": "1", "mark": 100}},
    }
    given = {
        "instruments": {"BMW/EUR": {"lot_step": "1", "multiplier": 1, "quote": "EUR"}},
        "fx": {"EUR/USD": "1.25"},
        "books": {"account/main": book},
    }

    assert read_case(given, WHEN, linked).books["account/main"].equity == 1125
    with pytest.raises(PolicyError, match=r"E219: .*positions worth 125 are not equity 1,100"):
        read_case(merge(given, {"books": {"account/main": {"equity": 1100}}}), WHEN, linked)
    # Without a rate nobody knows whether they agree.
    read_case({**given, "fx": {}}, WHEN, linked)


@pytest.mark.parametrize(("second", "codes"), [("0.9", ["E218"]), ("0.5", [])])
def test_a_correlation_has_one_value_whichever_symbol_comes_first(
    second: str, codes: list[str]
) -> None:
    text = (
        "apiVersion: ringfence/v1\nkind: Instruments\nmetadata: {name: venue, version: 1.0.0}\n"
        "spec:\n  instruments: {}\n"
        f'  correlations: {{"A/USD|B/USD": 0.5, "B/USD|A/USD": {second}}}\n'
    )
    findings = read_instruments(load(text, "venue.yaml"))[1]

    assert [each.code for each in findings] == codes
    assert all("`B/USD|A/USD` is declared a second time" in each.message for each in findings)
