"""`ringfence audit reproduce` and `verify --recompute`: the same again, or what differs and where."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ringfence.cli import audit_derive
from ringfence.cli.main import main
from ringfence.language.orders import OrderRequest
from ringfence.runtime import audit_recompute
from ringfence.runtime.asked import MarketData
from ringfence.runtime.audit_decision import short_gates
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader, Record
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.policy_store import PolicyStore
from ringfence.runtime.ports import FixedClock
from runtime.desk import NOON, opened, order, policies
from runtime.desk import mark as marked
from runtime.forged_logs import forge

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Draft202012Validator(
    json.loads((ROOT / "schemas" / "audit-reproduction.v1.schema.json").read_text())
)
MORE = """
    - {rule: order-rate@1, limits: {max_orders: 4/s}}
    - {rule: duplicate-order@1, mode: shadow, limits: {window: 1m}}
    - {rule: price-collar@1, limits: {max_deviation: 10%, window: 1m}}
"""


@pytest.fixture
def desk(tmp_path: Path) -> PolicySet:
    return policies(tmp_path / "desk", more=MORE)


@pytest.fixture
def log(tmp_path: Path, desk: PolicySet) -> Path:
    """An approval, its answer once more, a reduction, denials by gates, and refusals of four kinds."""
    clock = FixedClock(NOON)
    folder = tmp_path / "audit"
    with AuditLog.open(folder, durability="process", clock=clock) as audit:
        guard = opened(desk, clock=clock, audit=audit)
        for number, given in enumerate(
            (
                order("1", client_order_id="a"),
                order("1", client_order_id="a"),
                order("2", client_order_id="a"),
                order("30"),
                order("1", price="1500"),
                order("1", symbol="ETH/USD", side="sell", price=10.0, type="market"),
                order("1", symbol="DOGE/USD"),
                order("0.05"),
                order("-3"),
                order("1", account="nobody"),
            )
        ):
            # Some came with a request that has a name.
            guard.evaluate_order(given, request_id=f"trace-{number}" if number % 3 else "")
        marked(guard, clock.now_ns() - 1, 1.0)
        guard.evaluate_order(order(), MarketData(1.0, 1.0, 1.0, 2**63 - 1))
        guard.evaluate_order("no order")
        guard.close()
    return folder


def said(arguments: list[str], log: Path, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert main(["audit", *arguments, "--log", str(log)]) == code
    shown = capsys.readouterr()
    assert shown.err == ""
    return shown.out


def decisions(log: Path) -> list[Record]:
    return [record for record in AuditReader(log).poll() if record.kind == "decision"]


def test_a_decision_is_the_same_again(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = decisions(log)[0]

    lines = said(["reproduce", first.body["id"]], log, capsys).splitlines()

    assert lines[0] == f"record {first.sequence}, decision {first.body['id']}: APPROVE"
    assert lines[2:] == [
        "every gate and the decision were derived again",
        "the same in all 11 gates: outcome, measure and limit, bit for bit",
    ]


@pytest.mark.parametrize(
    ("place", "how", "note"),
    [
        (0, "derived", ""),
        (1, "repeated", ""),
        (2, "state", "DUPLICATE_ORDER"),
        (3, "derived", ""),
        (4, "derived", ""),
        (6, "refused", ""),
        (7, "refused", ""),
        (8, "refused", ""),
        (9, "state", "UNKNOWN_ACCOUNT"),
        (10, "state", "MARKET_DATA_AHEAD"),
        (11, "refused", ""),
    ],
)
def test_json_fits_the_schema_and_says_what_could_be_derived(
    place: int, how: str, note: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = decisions(log)[place]

    shown = json.loads(said(["reproduce", str(record.sequence), "--json"], log, capsys))

    SCHEMA.validate(shown)
    assert (shown["how"], shown["same"], shown["differences"]) == (how, True, [])
    assert shown["note"].startswith(note)
    assert bool(shown["note"]) == bool(note)


def test_the_whole_log_is_derived_again(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(["verify", "--recompute", "--reference"], log, capsys).splitlines()
    shown = json.loads(said(["verify", "--recompute", "--json"], log, capsys))

    assert lines[0].endswith("the chain is whole")
    assert lines[1].startswith("12 decisions, ")
    assert "  DUPLICATE_ORDER 1" in lines
    assert shown["whole"]
    SCHEMA.validate(shown["recomputed"])
    assert shown["recomputed"]["how"] == {"derived": 4, "refused": 4, "repeated": 1, "state": 3}
    assert shown["recomputed"]["states"] == {
        "DUPLICATE_ORDER": 1,
        "MARKET_DATA_AHEAD": 1,
        "UNKNOWN_ACCOUNT": 1,
    }


def without_size_gate(body: dict[str, Any]) -> dict[str, Any]:
    gates = [each for each in short_gates(body) if each[0] != "position-size"]
    return {**body, "gates": gates}


def approved(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "decision": "APPROVE", "code": "", "reason": "", "size": "30"}


def with_measure(body: dict[str, Any]) -> dict[str, Any]:
    gates = [[*each[:2], each[2] + 0.5, *each[3:]] for each in short_gates(body)]
    return {**body, "gates": gates}


def with_another_order(body: dict[str, Any]) -> dict[str, Any]:
    order = {**body["inputs"]["order"], "size": "20"}
    return {**body, "inputs": {**body["inputs"], "order": order}}


def with_another_switch(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "evidence": {**body["evidence"], "kill_symbol": 2}}


def without_evidence(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "evidence"}


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (approved, "decision: recorded APPROVE, the kernel derives REDUCE_SIZE"),
        (with_measure, "gate position-size, measure: recorded 31000.5, the kernel derives 31000.0"),
        (without_size_gate, "gates: recorded ["),
        (with_another_order, "the reference interpreter derives 21000.0"),
        (
            with_another_switch,
            "gate kill-switch, outcome: recorded pass, the kernel derives breach",
        ),
        (without_evidence, "evidence: the record does not show what the gates looked at"),
    ],
)
def test_a_record_that_was_changed_shows_although_its_chain_was_computed_anew(
    edit: Any, told: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = decisions(log)[3]
    assert target.body["decision"] == "REDUCE_SIZE"
    forge(log, lambda number, _, body: edit(body) if number == target.sequence else body)

    assert "the chain is whole" in said(["verify"], log, capsys)
    shown = said(["verify", "--recompute"], log, capsys, code=1)
    one = said(["reproduce", str(target.sequence)], log, capsys, code=1)
    both = json.loads(said(["reproduce", str(target.sequence), "--json"], log, capsys, code=1))

    assert f"record {target.sequence}, {target.body['id']}:" in shown
    assert told in shown
    assert told in one
    SCHEMA.validate(both)
    assert not both["same"]


@pytest.mark.parametrize(
    ("place", "changes", "told"),
    [
        (1, {"size": "2"}, "size: recorded 2, it should be 1"),
        (8, {"code": "INVALID_SIDE", "reason": "INVALID_SIDE x"}, "it should be INVALID_SIZE"),
        (8, {"decision": "APPROVE"}, "does not show what the gates looked at"),
        (8, {"code": "ELSE"}, "reason: recorded INVALID_SIZE"),
        (7, {"code": "NO_FX_RATE", "reason": "NO_FX_RATE x"}, "it should be SIZE_OFF_STEP"),
        (5, {"evidence": {"books": []}}, "evidence: the evidence cannot be read"),
        (5, {"decided_ns": "noon"}, "evidence: the record does not say when"),
        (5, {"lease": {"confirmed_ns": NOON, "lease_ns": 5}}, "policy lease"),
        (5, {"policy_set": "0" * 64}, "the log does not hold the policy set"),
    ],
)
def test_what_contradicts_itself_is_told(
    place: int, changes: dict[str, Any], told: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = decisions(log)[place].sequence
    forge(log, lambda number, _, body: {**body, **changes} if number == target else body)

    assert told in said(["verify", "--recompute"], log, capsys, code=1)


def test_a_policy_set_that_was_changed_is_found(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def raise_limit(_: int, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind != "policy-set":
            return body
        files = [[path, text.replace("10_000", "99_000")] for path, text in body["files"]]
        return {**body, "files": files}

    name = decisions(log)[0].body["policy_set"]
    forge(log, raise_limit)

    shown = said(["verify", "--recompute"], log, capsys, code=1)
    assert f"the record of the policy set `{name}` holds" in shown


def test_a_set_that_the_log_does_not_hold_comes_from_a_store(
    log: Path, desk: PolicySet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = decisions(log)[0].sequence
    forge(
        log,
        lambda _, kind, body: {"policy_set": body["policy_set"]} if kind == "policy-set" else body,
    )
    assert main(["audit", "reproduce", str(first), "--log", str(log)]) == 2
    assert "--store DIR" in capsys.readouterr().err
    store = tmp_path / "store"
    PolicyStore(store).put(desk, {"by": "me"})

    said(["reproduce", str(first), "--store", str(store)], log, capsys)
    said(["verify", "--recompute", "--store", str(store)], log, capsys)
    assert main(["audit", "reproduce", str(first), "--log", str(log), "--store", "none"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [["reproduce", "none"], ["reproduce", "1"], ["verify", "--reference"]],
)
def test_bad_usage_is_told_with_a_fix(
    arguments: list[str], log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", *arguments, "--log", str(log)]) == 2
    assert "  fix: " in capsys.readouterr().err


def test_what_stays_when_old_files_go_is_derived_from_what_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = policies(tmp_path / "first", more=MORE)
    second = policies(tmp_path / "second", more=MORE.replace("4/s", "2/s"))
    log, clock = tmp_path / "audit", FixedClock(NOON)
    with AuditLog.open(log, durability="process", clock=clock, segment_bytes=40_000) as audit:
        guard = opened(first, clock=clock, audit=audit)
        for policy_set in (first, second, first):
            guard.use(policy_set, by="test")
            for _ in range(20):
                clock.advance(400_000_000)
                marked(guard, clock.now_ns(), 1_000.0)
                guard.evaluate_order(order("0.1"))
        begun = audit.drop_before(audit.last)
        guard.close()
    assert begun > 1
    left = decisions(log)
    assert left[0].sequence > 20

    shown = json.loads(said(["verify", "--recompute", "--json"], log, capsys))
    said(["reproduce", left[0].body["id"]], log, capsys)

    assert shown["recomputed"]["how"] == {"derived": len(left)}


def test_an_answer_that_repeats_one_which_is_gone_says_so(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_recompute, "MOST_HEADS", 0)
    assert "the decision that it repeats is not at hand" in said(
        ["verify", "--recompute"], log, capsys
    )


def test_of_many_records_that_differ_some_are_shown_and_all_are_counted(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_derive, "_SHOWN", 1)
    monkeypatch.setattr(audit_recompute, "MOST_WRONG", 2)
    forge(log, lambda _, kind, body: {**body, "size": "5"} if kind == "decision" else body)

    shown = said(["verify", "--recompute"], log, capsys, code=1)

    assert "and 10 more records" in shown


def test_show_names_the_limit_that_was_in_force_and_each_policy_of_one_gate_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "desk"
    policies(folder)
    text = (folder / "desk.yaml").read_text().replace("desk-main", "desk-second")
    size = "{rule: position-size@1, limits: {max: 10_000 USD}}"
    assert size in text
    override = """
      rule: position-size@1
      limits: {max: 20_000 USD}
      overrides:
        - scope: {symbols: [BTC/USD]}
          limits: {max: 500 USD}
          reason: smaller
"""
    text = text.replace(f"- {size}", "-" + override.rstrip())
    (folder / "second.yaml").write_text(text)
    line = next(n for n, each in enumerate(text.splitlines(), 1) if "limits: {max: 500" in each)
    log = tmp_path / "audit"
    with AuditLog.open(log, durability="process") as audit:
        guard = opened(PolicySet.load(folder), audit=audit)
        guard.evaluate_order(OrderRequest("main", "BTC/USD", "buy", "1", 1_000))
        guard.close()

    shown = said(["show", decisions(log)[0].body["id"]], log, capsys)

    assert "measure 1,000 USD, limit 500 USD, margin -500 USD" in shown
    assert f"desk-second@2.3.0, {folder / 'second.yaml'}:" in shown
    assert f"desk-main@2.3.0, {folder / 'desk.yaml'}:" in shown
    assert f"{folder / 'second.yaml'}:{line - 1}" in shown or f"second.yaml:{line}" in shown
    assert "limit 3%" in shown
