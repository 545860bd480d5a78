"""`ringfence audit`: what each part prints, with which exit code, and that a running guard does not mind."""

import base64
import json
import math
import socket
import struct
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from ringfence.cli.main import main
from ringfence.errors import Span
from ringfence.language.decision import Decision, GateResult, Outcome, RiskDecision
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Market, OrderRequest
from ringfence.language.source import load
from ringfence.runtime.audit_decision import decision_body, gates_in, policy_set_body
from ringfence.runtime.audit_hold import Hold
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.ports import FixedClock, SeededRandom

pytestmark = pytest.mark.integration

NAN = math.nan
PLACE = Span("policies/desk.yaml", 12, 7, 12, 40)


def gate(name: str, outcome: Outcome, measure: float, limit: float, **more: Any) -> GateResult:
    given: dict[str, Any] = {
        "gate": name,
        "rule": f"{name}@1",
        "policy": "desk@1.0.0",
        "level": "account",
        "mode": "enforce",
        "check": "max",
        "unit": "money",
        "headroom": None,
        "reason": "",
        "source": PLACE,
    }
    about = {**given, **more}
    return GateResult(
        outcome=outcome, measure=measure, limit=limit, margin=limit - measure, **about
    )


DECISION = Decision(
    RiskDecision.REDUCE_SIZE,
    "TOTAL_EXPOSURE exposure=110,000 USD limit=80,000 USD",
    Decimal("0.4"),
    "TOTAL_EXPOSURE",
    (
        gate("total-exposure", Outcome.REDUCE, 110_000.0, 80_000.0, headroom=Decimal("0.4")),
        gate("daily-loss", Outcome.EXEMPT, NAN, NAN, unit="ratio", reason="closes", source=None),
        gate("new-gate", Outcome.BREACH, math.inf, 1.0, mode="shadow", unit="count"),
    ),
    "0f" * 32,
)


def decision(name: str, **order: Any) -> dict[str, Any]:
    given = {"account": "main", "symbol": "BTC/USD", "side": "buy", "size": "1", "price": 50_000}
    request = OrderRequest(**{**given, **order})
    return decision_body(name, request, {"BTC/USD": Market(bid=1.0)}, DECISION, currency="USD")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """We stand where `audit` is a log of three decisions and an event."""
    monkeypatch.chdir(tmp_path)
    clock = FixedClock(1_767_225_600_000_000_000)
    directory = tmp_path / "audit"
    with AuditLog.open(
        directory, durability="process", clock=clock, random=SeededRandom(1)
    ) as writer:
        for name in ("d-1", "d-2", "d-3"):
            writer.append("decision", decision(name))
            clock.advance(1_500_000)
        writer.append("reload", {"api_key": "abc", "url": "redis://me:word@host/0", "who": "me"})
    return directory


def said(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert main(["audit", *arguments]) == code
    shown = capsys.readouterr()
    assert shown.err == ""
    return shown.out


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["audit", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    first, second = shown.err.splitlines()
    assert first.startswith("ringfence: ")
    assert second.startswith("  fix: ")
    return shown.err


def test_the_request_that_brought_an_order_is_shown_and_asked_for(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with AuditLog.open(log, durability="process") as writer:
        writer.append("decision", {**decision("d-5"), "request_id": "trace-7"})

    assert "request trace-7" in said(["show", "d-5"], capsys).splitlines()
    assert "request" not in said(["show", "d-1"], capsys)
    sql = "SELECT id FROM decisions WHERE request_id = 'trace-7'"
    assert json.loads(said(["query", sql, "--json"], capsys)) == [{"id": "d-5"}]


@pytest.mark.usefixtures("log")
def test_tail_is_one_line_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(["tail", "-n", "2"], capsys).splitlines() == [
        "3 2026-01-01T00:00:00.003000Z decision buy 1 BTC/USD limit at 50000 -> REDUCE_SIZE "
        "TOTAL_EXPOSURE exposure=110,000 USD limit=80,000 USD",
        '4 2026-01-01T00:00:00.004500Z reload {"api_key": "***", "url": "redis://***@host/0", "who": "me"}',
    ]
    rows = [json.loads(line) for line in said(["tail", "--json"], capsys).splitlines()]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4]
    assert rows[0]["body"]["gates"][1]["measure"] == "NaN"
    assert rows[1]["prev"] == rows[0]["hash"]


def test_the_tail_of_what_is_no_log_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "tail", "--log", str(tmp_path)]) == 2
    assert "holds no audit log" in capsys.readouterr().err


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("name", ["2", "d-2"])
def test_show_explains_a_decision(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(["show", name], capsys).splitlines()[:-1] == [
        "record 2, 2026-01-01T00:00:00.001500Z, decision",
        "decision d-2: buy 1 BTC/USD limit at 50000",
        "account main, strategy none, venue none",
        "reduced: 0.4 may be sent",
        "because TOTAL_EXPOSURE exposure=110,000 USD limit=80,000 USD",
        f"policy set {'0f' * 32}",
        "- total-exposure of account leaves room for less",
        "    measure 110,000 USD, limit 80,000 USD, margin -30,000 USD, largest size that passes 0.4",
        "    desk@1.0.0, policies/desk.yaml:12",
        "- daily-loss of account does not apply",
        "    closes",
        "- new-gate of account is breached (shadow: changes no decision)",
        "    limit 1",
        "    desk@1.0.0, policies/desk.yaml:12",
    ]
    assert json.loads(said(["show", name, "--json"], capsys))["body"]["id"] == "d-2"


@pytest.mark.usefixtures("log")
def test_show_gives_any_other_record_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert '"who": "me"' in said(["show", "4"], capsys)


def test_show_takes_bodies_of_another_shape(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with AuditLog.open(log, durability="process") as writer:
        writer.append("decision", {"id": "odd", "order": "none", "gates": ["x", {"outcome": 5}]})
        writer.append("decision", {"id": "none", "gates": "none", "inputs": [1]})
        writer.append("decision", {"id": "bare\x1b[2J"})

    assert "decision odd: an order" in said(["show", "odd"], capsys)
    assert "decision none: an order" in said(["show", "none"], capsys)
    said(["query", "SELECT * FROM decisions JOIN gates USING (seq)"], capsys)
    assert "\x1b" not in said(["show", "7"], capsys) + said(["tail"], capsys)


POLICY = """
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: 1.0.0, owner: risk, description: two gates}
spec:
  currency: USD
  gates:
    - {rule: order-notional@1, limits: {max: 100 USD}}
    - {rule: total-exposure@1, limits: {max: 100 USD}}
"""


def short(linked: LinkedSet) -> dict[str, Any]:
    return {
        "id": "short",
        "decision": "REJECT",
        "code": "ORDER_NOTIONAL",
        "reason": "too large",
        "size": "0",
        "policy_set": linked.sha256,
        "inputs": {"order": {"account": "main", "symbol": "BTC/USD", "side": "buy", "size": "2"}},
        "gates": [
            ["order-notional", "breach", 250.0, 100.0],
            ["total-exposure", "exempt", NAN, NAN],
            ["other", "pass", 1.0, 2.0],
        ],
    }


def test_a_decision_in_the_short_form_is_explained_by_the_record_of_its_policy_set(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linked = link([load(POLICY.encode(), "policies/desk.yaml")], check_mandatory=False)
    with AuditLog.open(log, durability="process") as writer:
        writer.append("policy-set", policy_set_body(linked))
        writer.append("decision", short(linked))
        writer.append("decision", {**short(linked), "id": "foreign", "policy_set": "none"})

    shown = said(["show", "short"], capsys)
    assert "decision short: buy 2 BTC/USD" in shown
    assert (
        "- order-notional of account is breached\n"
        "    measure 250 USD, limit 100 USD, margin -150 USD\n"
        "    desk@1.0.0, policies/desk.yaml:8\n"
        "- total-exposure of account does not apply\n"
        "    desk@1.0.0, policies/desk.yaml:9\n"
        "- other passes\n"
        "    measure 1, limit 2, margin 1\n"
    ) in shown
    assert "desk.yaml" not in said(["show", "foreign"], capsys)
    sql = "SELECT symbol, asked, gate, measure, margin FROM decisions JOIN gates USING (seq) WHERE id = 'short'"
    rows = json.loads(said(["query", sql, "--json"], capsys))
    assert [tuple(row.values()) for row in rows] == [
        ("BTC/USD", 2.0, "order-notional", 250.0, -150.0),
        ("BTC/USD", 2.0, "total-exposure", None, None),
        ("BTC/USD", 2.0, "other", 1.0, 1.0),
    ]


def packed(measures: list[float], limits: list[float], outcomes: bytes) -> str:
    numbers = [*measures, *limits]
    return base64.b64encode(struct.pack(f"<{len(numbers)}d", *numbers) + outcomes).decode()


def test_gates_in_the_packed_form_are_told_like_others() -> None:
    gates = {
        "names": ["b", "a"],
        "columns": [2, 0],
        "found": packed([1.0, 5.0, math.nan], [2.0, 6.0, 4.0], bytes([1, 3, 5])),
    }
    about = {"gates": [{"gate": "a", "level": "firm"}, {"gate": "b", "level": "account"}]}

    b, a = gates_in({"gates": gates}, about)

    assert a == {
        "gate": "a",
        "level": "firm",
        "outcome": "pass",
        "measure": 1.0,
        "limit": 2.0,
        "margin": 1.0,
    }
    assert (b["gate"], b["level"], b["outcome"], b["limit"]) == ("b", "account", "unknown", 4.0)
    assert math.isnan(b["measure"])


@pytest.mark.parametrize(
    "gates",
    [
        {},
        {"names": ["a"], "columns": [0], "found": "?"},
        {"names": ["a"], "columns": [1], "found": packed([1.0], [2.0], b"\1")},
        {"names": ["a"], "columns": ["0"], "found": packed([1.0], [2.0], b"\1")},
        {"names": ["a", "b"], "columns": [0], "found": packed([1.0], [2.0], b"\1")},
        {"names": ["a"], "columns": [0], "found": packed([1.0], [2.0], b"\1\1")},
    ],
    ids=["empty", "no base64", "no column", "text as column", "names", "length"],
)
def test_packed_gates_that_do_not_fit_together_are_left_out(gates: dict[str, Any]) -> None:
    assert gates_in({"gates": gates}, {}) == []


def test_of_a_gate_name_that_two_policies_use_only_what_they_share_is_told() -> None:
    about = {
        "gates": [
            {"gate": "a", "level": "firm", "line": 1},
            {"gate": "a", "level": "firm", "line": 2},
        ]
    }

    (found,) = gates_in({"gates": [["a", "pass", 1.0, 2.0], ["bad"], "bad"]}, about)

    assert found == {
        "gate": "a",
        "level": "firm",
        "outcome": "pass",
        "measure": 1.0,
        "limit": 2.0,
        "margin": 1.0,
    }


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("name", ["0", "5", "99999999999999999999999", "d-9", "²", ""])
def test_a_record_that_is_not_there_is_said(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no record" in refused(["show", name], capsys)


def test_verify_says_what_is_wrong_and_ends_with_one(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(["verify"], capsys) == "records 1 to 4: the chain is whole\n"
    path = next(log.glob("*.audit"))
    content = path.read_bytes()
    place = content.index(b"d-2")
    path.write_bytes(content[:place] + b"d-X" + content[place + 3 :])

    shown = said(["verify"], capsys, code=1)
    assert f"{path.name}:" in shown
    assert "changed: record 2 is changed" in shown
    assert shown.endswith("records 1 to 4: 1 finding\n")
    found = json.loads(said(["verify", "--json"], capsys, code=1))
    assert (found["whole"], found["findings"][0]["first"]) == (False, 2)
    assert main(["audit", "anchor", "--key", str(path)]) == 1


def test_verify_tells_of_an_unfinished_record(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next(log.glob("*.audit"))
    path.write_bytes(path.read_bytes()[:-5])

    assert "of an unfinished record" in said(["verify"], capsys)


@pytest.mark.usefixtures("log")
def test_an_anchor_is_signed_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    Path("key").write_bytes(b"k" * 32)
    Path("short").write_bytes(b"k")

    assert said(["anchor", "--key", "key", "-o", "anchor"], capsys) == "anchor: record 4\n"
    assert json.loads(said(["anchor", "--key", "key"], capsys))["sequence"] == 4
    assert "whole" in said(["verify", "--anchor", "anchor", "--key", "key"], capsys)
    assert "at least 32" in refused(["anchor", "--key", "short"], capsys)
    assert "go together" in refused(["verify", "--anchor", "anchor"], capsys)
    assert "cannot be read" in refused(["verify", "--anchor", "none", "--key", "key"], capsys)
    assert "no anchor" in refused(["verify", "--anchor", "key", "--key", "key"], capsys)
    assert "cannot be written" in refused(["anchor", "--key", "key", "-o", "none/a"], capsys)


@pytest.mark.usefixtures("log")
def test_exports_hold_every_record_with_its_secrets_hidden(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["export", "--jsonl", "a.jsonl", "--parquet", "a.parquet"]
    said([*words, "--mask-key", "WHO", "--mask-value", "BTC"], capsys)

    lines = [json.loads(line) for line in Path("a.jsonl").read_text("utf-8").splitlines()]
    rows = pq.read_table("a.parquet").to_pylist()
    assert [line["seq"] for line in lines] == [row["seq"] for row in rows] == [1, 2, 3, 4]
    assert [json.loads(row["body"]) for row in rows] == [line["body"] for line in lines]
    assert lines[3]["body"] == {"api_key": "***", "url": "redis://***@host/0", "who": "***"}
    assert lines[0]["body"]["order"]["symbol"] == "***/USD"
    times = pq.read_table("a.parquet")["ts"].cast("int64").to_pylist()
    assert times == [line["ts_ns"] for line in lines]
    assert sorted(path.name for path in Path().iterdir()) == ["a.jsonl", "a.parquet", "audit"]
    said(["export", "--jsonl", "b.jsonl", "--after", "3"], capsys)
    assert len(Path("b.jsonl").read_text("utf-8").splitlines()) == 1


@pytest.mark.usefixtures("log")
def test_an_export_is_read_by_a_database(capsys: pytest.CaptureFixture[str]) -> None:
    said(["export", "--jsonl", "a.jsonl"], capsys)

    assert duckdb.execute("SELECT count(*) FROM read_json('a.jsonl')").fetchall() == [(4,)]


@pytest.mark.usefixtures("log")
def test_queries_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    def rows(sql: str) -> Any:
        return json.loads(said(["query", sql, "--json"], capsys))

    assert rows("SELECT id, asked, size, code FROM decisions WHERE seq = 2") == [
        {"id": "d-2", "asked": 1.0, "size": 0.4, "code": "TOTAL_EXPOSURE"}
    ]
    assert rows('SELECT DISTINCT gate, measure, "limit" FROM gates ORDER BY gate') == [
        {"gate": "daily-loss", "measure": None, "limit": None},
        {"gate": "new-gate", "measure": None, "limit": 1.0},
        {"gate": "total-exposure", "measure": 110_000.0, "limit": 80_000.0},
    ]
    assert rows("SELECT body->>'$.api_key' AS key FROM records WHERE kind = 'reload'") == [
        {"key": "***"}
    ]
    assert said(["query", "SELECT count(*) AS n FROM gates"], capsys).split() == ["n", "9"]


@pytest.mark.usefixtures("log")
@pytest.mark.security
@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE records",
        "SELECT 1; SELECT 2",
        "SELECT * FROM 'audit.parquet'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY records TO 'out.csv'",
        "SELECT none FROM records",
        "SELECT",
        "",
    ],
)
def test_a_query_selects_from_the_log_and_nothing_else(
    sql: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(["query", sql], capsys)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("sql", ["DROP TABLE x", "SELECT * FROM glob('*')", "SELEC 1"])
def test_a_query_that_is_no_select_over_the_log_is_told_what_is_taken(
    sql: str, capsys: pytest.CaptureFixture[str]
) -> None:
    why, fix = refused(["query", sql], capsys).splitlines()
    assert ("only a single SELECT is taken" in why) is sql.startswith("DROP")
    assert fix == "  fix: give a single SELECT over `records`, `decisions` and `gates`"


def test_a_server_that_is_down_is_looked_for_at_its_address(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"postgresql://me@127.0.0.1:{taken.getsockname()[1]}/audit"
        said = refused(["query", "SELECT 1", "--postgres", address], capsys)
    assert "fix: check the address, and whether the server runs" in said


@pytest.mark.usefixtures("log")
def test_nothing_of_an_answer_is_cut_where_no_terminal_shows_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    columns = ", ".join(f"repeat('x', 60) AS column_{number}" for number in range(10))
    assert main(["audit", "query", f"SELECT {columns} FROM records LIMIT 1"]) == 0

    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == [f"column_{number}" for number in range(10)]
    assert row.split() == ["x" * 60] * 10


@pytest.mark.usefixtures("log")
def test_an_empty_query_is_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is none" in refused(["query", ""], capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ["tail", "--log", "missing"],
        ["tail", "-n", "-1"],
        ["show", "1", "--log", "missing"],
        ["verify", "--log", "missing"],
        ["verify", "--log", "empty"],
        ["export"],
        ["export", "--jsonl", "missing/file"],
        ["export", "--parquet", "missing/file"],
        ["tail", "--mask-value", "("],
        ["query", "SELECT 1", "--log", "missing"],
        ["anchor", "--key", "missing"],
        ["lag", "--log", "missing"],
        ["release", "duckdb", "--log", "missing"],
        ["release", "duckdb"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("log")
def test_wrong_input_is_one_reason_and_its_fix(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()

    refused(arguments, capsys)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("arguments", [["lag"], ["lag", "--json"], ["release", "duckdb"]])
def test_sinks_of_what_is_no_log_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()

    assert "`empty` holds no audit log" in refused([*arguments, "--log", "empty"], capsys)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    "wrong", [["--metrics", "99999999"], ["--metrics", "-1"], ["--mask-value", "("], []]
)
def test_a_wrong_option_of_the_writer_makes_no_directory(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sink = ["--duckdb", "new.duckdb"] if wrong else []

    refused(["write", "--log", "new", *sink, *wrong], capsys)

    assert not Path("new").exists()


def test_a_sink_that_waits_for_a_log_is_told_and_released(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Hold(tmp_path, "duckdb").close()

    assert "duckdb: at record 0" in said(["lag", "--log", str(tmp_path)], capsys)
    assert "released" in said(["release", "duckdb", "--log", str(tmp_path)], capsys)


def test_everything_works_while_the_log_is_being_written(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with AuditLog.open(log, durability="process") as writer:
        writer.wait(writer.append("decision", decision("d-4")))

        assert said(["tail", "-n", "1"], capsys).startswith("5 ")
        assert "d-4" in said(["show", "d-4"], capsys)
        assert "1 to 5: the chain is whole" in said(["verify"], capsys)
        assert "4" in said(["query", "SELECT count(*) AS n FROM decisions"], capsys)
        said(["export", "--parquet", "a.parquet"], capsys)


def test_following_goes_on_with_what_is_added(log: Path) -> None:
    words = ["audit", "tail", "--follow", "-n", "1", "--json", "--log", str(log)]
    child = subprocess.Popen(
        [sys.executable, "-m", "ringfence.cli.main", *words], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        assert json.loads(child.stdout.readline())["seq"] == 4
        with AuditLog.open(log, durability="process") as writer:
            for number in (5, 6):
                writer.wait(writer.append("note", {}))
                assert json.loads(child.stdout.readline())["seq"] == number
    finally:
        child.kill()
        child.communicate()


def test_reading_needs_no_database_and_no_compiler(log: Path) -> None:
    for part in ("verify", "tail"):
        program = (
            "import sys; from ringfence.cli.main import main; "
            f"code = main(['audit', {part!r}, '--log', {str(log)!r}]); "
            "sys.exit(code or any(m in sys.modules for m in ('duckdb', 'numba', 'pyarrow')))"
        )
        assert (
            subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL).returncode
            == 0
        )
