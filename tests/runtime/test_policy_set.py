"""The public entry: load, hash, evaluate."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ringfence import OrderRequest, PolicyError, PolicySet, RiskDecision

pytestmark = pytest.mark.unit

POLICIES = Path(__file__).resolve().parents[2] / "policies"


def test_formatting_and_comments_do_not_change_the_hash(tmp_path: Path) -> None:
    for file in POLICIES.glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        (tmp_path / file.name).write_text("# another comment\n\n" + text + "\n\n", encoding="utf-8")

    assert PolicySet.load(tmp_path).sha256 == PolicySet.load(POLICIES).sha256


def test_an_order_that_no_policy_covers_is_rejected() -> None:
    case = {
        "given": {"instruments": {"X/USDT": {"lot_step": 1, "quote": "USDT"}}, "market": {}},
        "when": {"account": "stranger", "symbol": "X/USDT", "side": "buy", "size": 1, "price": 1},
    }
    decision, reason, size = PolicySet.load(POLICIES).evaluate(case)

    assert decision is RiskDecision.REJECT
    assert reason
    assert not size


def test_bad_policies_raise_all_findings(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: [\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("a: 1\na: 2\n", encoding="utf-8")

    with pytest.raises(PolicyError) as raised:
        PolicySet.load(tmp_path)

    assert {each.span.path for each in raised.value.diagnostics if each.span} == {
        str(tmp_path / "a.yaml"),
        str(tmp_path / "b.yaml"),
    }


def test_an_order_request_is_plain_data() -> None:
    order = OrderRequest("main", "BTC/USD", "buy", "1", "50000")
    order.size = "0.5"

    assert (order.type, order.size) == ("limit", "0.5")


BOOK = {"currency": "USDT", "equity": 1e6, "day_start_equity": 1e6, "peak_equity": 1e6}
WORLD = {
    "clock": "2026-01-05T12:00:00Z",
    "instruments": {"BTC/USDT": {"lot_step": "0.001", "quote": "USDT"}},
    "market": {"BTC/USDT": {"bid": 100, "ask": 100, "last": 100, "age": "1s"}},
    "books": {"account/alpha": BOOK, "firm": BOOK},
}
ORDER = {"account": "alpha", "symbol": "BTC/USDT", "side": "buy", "size": "1", "price": "100"}


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    return PolicySet.load(POLICIES)


def test_numbers_of_any_type_and_a_request_give_the_same_answer(policies: PolicySet) -> None:
    book = {name: Decimal(each) if name != "currency" else each for name, each in BOOK.items()}
    exact = {
        **WORLD,
        "clock": datetime(2026, 1, 5, 12),
        "instruments": {"BTC/USDT": {"lot_step": Decimal("0.001"), "quote": "USDT"}},
        "books": {"account/alpha": book, "firm": book},
        "correlations": None,
    }
    answers = [
        policies.evaluate({"given": WORLD, "when": ORDER}),
        policies.evaluate({"name": "one", "given": exact, "when": {**ORDER, "size": Decimal(1)}}),
        policies.evaluate({"given": WORLD, "when": OrderRequest(**ORDER)}),
        policies.evaluate({"given": {**WORLD, "clock": 1767614400_000000000}, "when": ORDER}),
    ]

    assert [str(each.decision) for each in answers] == ["APPROVE"] * 4
    assert len({str(each) for each in answers}) == 1


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ([], "mapping with `given` and `when`"),
        ({"given": {**WORLD, "control": {"kill_switch": {"accounts/alpha": "halted"}}}}, "E155"),
        ({"given": {**WORLD, "control": {"kill_switch": {"firm": "Halted"}}}}, "E154"),
        ({"given": WORLD, "control": {"kill_switch": {"firm": "halted"}}}, "unknown key `control`"),
        ({"given": {**WORLD, "bookz": {}}}, "did you mean `books`"),
        ({"given": "nothing"}, "E153"),
        ({"given": WORLD, "when": "buy"}, "neither a mapping nor"),
        ({"given": WORLD, "when": {**ORDER, "reduceonly": True}}, "did you mean `reduce_only`"),
        ({"given": {**WORLD, "market": {"BTC/USDT": object()}}}, "E153"),
        ({"given": {**WORLD, "recent_orders": [{"account": object()}]}}, "plain data"),
    ],
)
def test_what_nobody_would_read_is_refused(policies: PolicySet, case: Any, message: str) -> None:
    whole = {"when": ORDER, **case} if isinstance(case, dict) else case

    with pytest.raises(PolicyError) as raised:
        policies.evaluate(whole)

    assert message in str(raised.value)


def test_a_case_without_an_end_is_refused(policies: PolicySet) -> None:
    endless: dict[str, Any] = {}
    endless["given"] = endless

    with pytest.raises(PolicyError, match="nested deeper"):
        policies.evaluate(endless)


@pytest.mark.parametrize(
    "size", ["1e999999999", "-1e999999999", "1e-999999999", "nan", "", None, []]
)
def test_a_size_that_cannot_be_is_rejected(policies: PolicySet, size: Any) -> None:
    case = {"given": WORLD, "when": {**ORDER, "size": size}}

    assert policies.evaluate(case).decision is RiskDecision.REJECT


def test_what_two_files_declare_in_two_ways_is_refused(tmp_path: Path) -> None:
    head = "apiVersion: ringfence/v1\nkind: Instruments\nmetadata: {name: NAME, version: 1.0.0}\n"
    rules = 'lot_step: "STEP", min_size: 1, tick_size: 1, multiplier: 1, base: A, quote: USD'
    spec = (
        f"spec: {{instruments: {{A/USD: {{{rules}}}}}, "
        'fx: {EUR/USD: RATE}, correlations: {"A/USD|B/USD": RHO}}\n'
    )

    def declare(name: str, step: str, rate: str, rho: str, pair: str = "A/USD|B/USD") -> None:
        text = (head + spec).replace("NAME", name).replace("STEP", step).replace("RATE", rate)
        text = text.replace("RHO", rho).replace("A/USD|B/USD", pair)
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")

    declare("one", "0.1", "1.1", "0.5")
    declare("two", "0.10", "1.10", "0.50", "B/USD|A/USD")
    assert PolicySet.load(tmp_path).linked.desk.fx == {("EUR", "USD"): 1.1}

    declare("two", "1", "1.2", "0.6", "B/USD|A/USD")
    with pytest.raises(PolicyError) as raised:
        PolicySet.load(tmp_path)

    assert [
        (each.code, each.message.partition("`")[2][:7]) for each in raised.value.diagnostics
    ] == [
        ("E218", "A/USD` "),
        ("E218", "EUR/USD"),
        ("E218", "A/USD|B"),
    ]
    assert all("one.yaml:4" in each.why for each in raised.value.diagnostics)
