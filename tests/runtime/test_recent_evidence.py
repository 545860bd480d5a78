"""Recent orders and quotes in a record: all that a gate looked at, and nothing where none looks."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringfence.backends.numba_kernel import layout
from ringfence.errors import InputError
from ringfence.runtime import recent_evidence
from ringfence.runtime.audit_codec import decode, encode
from ringfence.runtime.derive import Deriver, given_in
from ringfence.runtime.evidence_read import read_evidence
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.recompute_record import How, recompute
from runtime.desk import NOON, SECOND, Records, mark, opened, order, policies

pytestmark = pytest.mark.unit

RATES = "\n    - {rule: order-rate@1, limits: {max_orders: 100/m}}"
TWICE = "\n    - {rule: duplicate-order@1, mode: shadow, limits: {window: 1m}}"
COLLAR = "\n    - {rule: price-collar@1, limits: {max_deviation: 50%, window: 1m}}"
KINDS = "\n    - {rule: order-rate@1, name: kinds, limits: {max_orders: 100, max_per_symbol: 50, window: 1m}}"
ORDERS = "\n    - {rule: order-rate@1, name: orders, level: firm, limits: {max_orders: 100/m, counts: orders}}"
NET = "\n    - {rule: net-exposure@1, limits: {max: 1_000_000 USD}}"
BEFORE = """
apiVersion: ringfence/v1
kind: Rule
metadata: {name: before, version: 1.0.0, title: Before, description: orders alone, source: [us]}
spec:
  applies_to: all
  on_breach: reject
  code: BEFORE
  measures: orders
  parameters:
    max_orders: {type: count, limit: true, window: window, description: most}
    window: {type: duration, description: length}
  checks:
    - {name: rate, measure: order.rate, limit: params.max_orders, explain: too many}
  docs: |
    A rule.
"""


class Raw(Records):
    """Keeps decisions as they are appended."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: list[bytes] = []

    def append(self, kind: str, body: Any) -> int:
        if kind == "decision":
            self.contents.append(body)
        return super().append(kind, body)


def bodies(
    folder: Path, more: str, count: int = 5, cancels: bool = False
) -> tuple[list[dict[str, Any]], Deriver]:
    """Records of equal orders, half a second and a mark apart; with `cancels` each is cancelled, and others come between."""
    desk, records, clock = policies(folder, more=more), Raw(), FixedClock(NOON)
    guard = opened(desk, audit=records, clock=clock, settings=GuardSettings(in_memory=True))
    for number in range(count):
        clock.advance(SECOND // 2)
        mark(guard, clock.now_ns(), 1_000.0 + number)
        answer = guard.evaluate_order(order("0.1", price="1001"))
        if cancels:
            _ = answer.size and guard.on_cancel(answer.id)
            guard.evaluate_order(order("1", symbol="ETH/USD", price="10", strategy="trend"))
    found = [decode(content) for content in records.contents]
    # Canonical, although it is put together as text.
    assert [encode(body) for body in found] == records.contents
    return found, Deriver(desk.linked)


@pytest.mark.parametrize(
    ("more", "keys"),
    [
        ("", None),
        (RATES, {"rates"}),
        (TWICE, {"equal"}),
        (COLLAR, {"quotes"}),
        (NET, {"lot_money"}),
        (RATES + TWICE + COLLAR + NET, {"rates", "equal", "quotes", "lot_money"}),
        ("\n    - {rule: price-collar@1, limits: {max_deviation: 50%}}", None),
    ],
)
def test_it_is_there_where_a_gate_looks(more: str, keys: set[str] | None, tmp_path: Path) -> None:
    found, deriver = bodies(tmp_path, more)

    for body in found:
        recent = body["evidence"].get("recent")
        assert (None if recent is None else set(recent)) == keys
        assert recompute(body, deriver).differences == []
    shown = read_evidence(found[-1]["evidence"])
    seen = len(shown.rates.get(1, ())), len(shown.equal), len(shown.quote_times)
    assert seen == (4 * (RATES in more), 4 * (TWICE in more), 6 * (COLLAR in more))


@pytest.mark.parametrize("more", [RATES, KINDS, ORDERS, KINDS + ORDERS, KINDS + TWICE])
def test_cancels_and_symbols_come_out_again(more: str, tmp_path: Path) -> None:
    found, deriver = bodies(tmp_path, more, cancels=True)

    for body in found:
        again = recompute(body, deriver)
        assert (again.how, again.differences, again.note) == (How.DERIVED, [], "")
    shown = read_evidence(found[-2]["evidence"])
    level = 0 if more == ORDERS else 1
    # Four orders of the symbol, each with its cancel, and four of another one.
    assert len(shown.rates[level]) == 12
    assert bool(shown.kinds) == (more != RATES)
    if shown.kinds:
        assert shown.kinds[level].tolist() == [2, 3, 0] * 4


def test_a_rule_that_knows_no_cancels_is_derived_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "before.yaml").write_text(BEFORE)
    found, deriver = bodies(
        folder, "\n    - {rule: before@1, limits: {max_orders: 8/m}}", cancels=True
    )

    for body in found:
        assert recompute(body, deriver).differences == []
        # So it was written before cancels were there: times alone, of orders.
        old = decode(encode(body))
        for each in old["evidence"]["recent"]["rates"]:
            times = np.frombuffer(base64.b64decode(each[1]), "<i8")
            kinds = np.frombuffer(base64.b64decode(each[2]), np.uint8)
            each[1:] = [base64.b64encode(times[kinds & 1 == 0].tobytes()).decode()]
        again = recompute(old, deriver)
        assert (again.how, again.differences) == (How.DERIVED, [])
    assert found[-1]["code"] == "BEFORE"


@pytest.mark.parametrize("more", [RATES, TWICE, COLLAR])
def test_too_many_are_cut_and_said_to_be(
    more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_evidence, "MOST_ENTRIES", 3)
    found, deriver = bodies(tmp_path, more, count=6)

    hows = [recompute(body, deriver).how for body in found]

    assert hows[0] is How.DERIVED
    assert hows[-1] is How.CUT
    assert found[-1]["evidence"]["recent"]["cut"] is True


def changed(evidence: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {**evidence, **parts}


def test_evidence_that_no_guard_writes_is_refused(tmp_path: Path) -> None:
    found, deriver = bodies(tmp_path, RATES + TWICE + COLLAR + NET)
    evidence = found[-1]["evidence"]
    recent, (firm, account) = evidence["recent"], evidence["books"]
    wrong: list[Any] = [
        None,
        5,
        {},
        changed(evidence, kill_symbol=3),
        changed(evidence, market_ns=2**63),
        changed(evidence, market="AAAA"),
        changed(evidence, market="AAAAAAAA+H8="),
        changed(evidence, books=[firm]),
        changed(evidence, books=[account, firm]),
        changed(evidence, books=[firm, [*account[:3], ["BTC/USD", "BTC/USD"], *account[4:]]]),
        changed(evidence, books=[firm, [*account[:3], [""], *account[4:]]]),
        changed(evidence, books=[firm, [*account[:5], [], *account[6:]]]),
        changed(evidence, books=[firm, [*account[:4], "AAAAAAAA+H8=" * 8, *account[5:]]]),
        changed(evidence, recent={**recent, "rates": [["desk", ""]]}),
        changed(evidence, recent={**recent, "rates": [["firm", ""], ["account", "", ""]]}),
        changed(evidence, recent={**recent, "rates": [["account", "", "AA=="]]}),
        changed(evidence, recent={**recent, "rates": [["account", "AAAAAAAAAAA=", "BA=="]]}),
        changed(evidence, recent={**recent, "equal": "AAAAAAAAAIAAAAAAAAAAgA=="[:-4]}),
        changed(evidence, recent={**recent, "quotes": [recent["quotes"][0], ""]}),
        changed(evidence, recent=None),
    ]
    for each in wrong:
        with pytest.raises(InputError, match="the evidence cannot be read"):
            read_evidence(each)
        if each:
            assert recompute({**found[-1], "evidence": each}, deriver).how is How.FAILED


def test_evidence_of_other_gates_is_refused(tmp_path: Path) -> None:
    found, _ = bodies(tmp_path / "a", RATES + TWICE + COLLAR)
    bare = Deriver(policies(tmp_path / "b").linked)
    for name in ("rates", "equal", "quotes"):
        body = {**found[-1]}
        only = {name: body["evidence"]["recent"][name]}
        body["evidence"] = {**body["evidence"], "recent": only}
        given = given_in(body)
        bare.know([given])
        with pytest.raises(InputError, match="the evidence shows"):
            bare.kernel(given)


def test_another_strategy_or_other_trading_rules_are_found(tmp_path: Path) -> None:
    found, deriver = bodies(tmp_path, "")
    body = found[-1]
    inputs = body["inputs"]
    of_strategy = {**inputs, "order": {**inputs["order"], "strategy": "trend"}}
    assert recompute({**body, "inputs": of_strategy}, deriver).how is How.FAILED
    row = bytearray(base64.b64decode(body["evidence"]["market"]))
    row[8 * layout.LOT_MONEY] ^= 1
    rules = base64.b64encode(row).decode()
    forged = {**body, "evidence": {**body["evidence"], "market": rules}}
    assert recompute(forged, deriver).how is How.FAILED
