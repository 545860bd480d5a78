"""The public entry: load, hash, evaluate."""

from pathlib import Path

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
