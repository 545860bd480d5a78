"""`ringfence explain`, as a user runs it: flags, files, tests, rows of a dry run, decisions of an audit log."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest

from ringfence.cli.explain import run
from ringfence.cli.main import build_parser, main
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from runtime.desk import NOON, SECOND, opened, order, policies

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "data"
SCHEMA = json.loads((ROOT / "schemas" / "explanation.v1.schema.json").read_text("utf-8"))
REQUEST = json.loads((ROOT / "schemas" / "dry-run-request.v1.schema.json").read_text("utf-8"))
STATE = """
given:
  clock: 2026-02-03T12:00:00Z
  market: {BTC/USDT: {bid: 50000, ask: 50010, last: 50000, age: 1s, completeness: 100%}}
  books:
    account/alpha: {currency: USDT, equity: 6000000, day_start_equity: 6000000, peak_equity: 6000000}
    firm: {currency: USDT, equity: 6000000, day_start_equity: 6000000, peak_equity: 6000000}
"""
ORDER = ["--account", "alpha", "--symbol", "BTC/USDT", "--side", "buy", "--price", "50000"]
TESTS = "policies/tests/desk.yaml"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    (tmp_path / "state.yaml").write_text(STATE)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dry run over the first orders of the example."""
    folder = tmp_path_factory.mktemp("dry-run")
    orders = pq.read_table(DATA / "orders.parquet").slice(0, 400)
    pq.write_table(orders, folder / "orders.parquet")
    arguments = ["--orders", str(folder / "orders.parquet"), "--marks", str(DATA / "marks.parquet")]
    arguments += ["--balances", str(DATA / "balances.csv"), "--no-report"]
    arguments += ["--instruments", str(DATA / "instruments.yaml")]
    arguments += [
        "--policies",
        str(ROOT / "policies"),
        "--base",
        str(ROOT / "examples" / "tightened"),
    ]
    assert main(["dry-run", *arguments, "--out", str(folder / "out"), "--json"]) == 0
    return folder / "out"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An approval, its answer once more, a denial by a gate, and a refusal before any gate."""
    clock = FixedClock(NOON)
    with AuditLog.open(tmp_path / "audit", durability="process", clock=clock) as audit:
        guard = opened(policies(tmp_path / "desk"), clock=clock, audit=audit)
        for given in (
            order("1", client_order_id="a"),
            order("1", client_order_id="a"),
            order("30"),
            order("-3"),
        ):
            guard.evaluate_order(given)
        guard.close()
    return tmp_path / "audit"


def explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["explain", *arguments, "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    told: dict[str, Any] = json.loads(shown.out)
    jsonschema.validate(told, SCHEMA)
    return told


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["explain", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "\n  fix: " in shown.err
    return shown.err


def test_flags_and_a_state(capsys: pytest.CaptureFixture[str]) -> None:
    told = explained([*ORDER, "--size", "12", "--state", "state.yaml", "--why-not", "12"], capsys)

    assert (told["decision"], told["code"]) == ("REJECT", "ORDER_NOTIONAL")
    assert told["order"]["size"] == "12"
    gate = next(each for each in told["gates"] if each["gate"] == "order-notional")
    lines = Path("policies/desk.yaml").read_text().splitlines()
    line = lines.index("    - rule: order-notional@1") + 1
    assert gate["source"] == {"file": "policies/desk.yaml", "line": line, "column": 7}
    assert gate["inputs"][0]["opened"]["parts"] == [
        {"what": "this order", "written": "12 BTC x 50,010 USDT", "value": 600_120.0}
    ]
    assert [way["values"] for way in told["why_not"]["needs"][0]["ways"]] == [
        {"max": "601_000 USDT"}
    ]


def test_a_file_in_yaml_or_json_and_flags_over_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    when = {"account": "alpha", "symbol": "BTC/USDT", "side": "buy", "size": "12", "price": "50000"}
    (tmp_path / "order.json").write_text(json.dumps({"when": when}))

    told = explained(["order.json", "--state", "state.yaml", "--size", "1"], capsys)

    assert (told["decision"], told["order"]["size"]) == ("APPROVE", "1")
    assert told["origin"] == {"kind": "file", "told": "state.yaml", "checks": []}


def test_a_case_of_a_test_by_its_name_or_a_line_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    by_name = explained([f"{TESTS}:the firm is halted"], capsys)
    lines = (ROOT / TESTS).read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "the firm is halted" in text)
    by_line = explained([f"{TESTS}:{line}"], capsys)

    assert by_name == by_line
    assert by_name["code"] == "KILL_SWITCH"


def test_a_test_with_a_policy_of_its_own_is_asked_of_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.yaml").write_text(
        "apiVersion: ringfence/v1\nkind: PolicyTest\nmetadata: {name: own, version: 1.0.0}\n"
        "policy: {gates: [{rule: order-size@1, limits: {max_size: 1}}]}\n"
        "cases:\n"
        "  - name: one\n"
        "    given: {instruments: {BTC/USD: {lot_step: '1'}}}\n"
        "    when: {account: a, symbol: BTC/USD, side: buy, size: 2, price: 1}\n"
        "    then: {decision: REJECT}\n"
    )

    told = explained(["own.yaml"], capsys)

    assert [(each["gate"], each["outcome"]) for each in told["gates"]] == [("order-size", "breach")]


def test_text_and_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "explain",
        *ORDER,
        "--size",
        "12",
        "--state",
        "state.yaml",
        "--gate",
        "order-notional",
    ]
    assert main([*arguments, "--why-not", "12"]) == 0
    text = capsys.readouterr().out
    assert main([*arguments, "--why-not", "12", "--format", "markdown"]) == 0
    markdown = capsys.readouterr().out

    assert "  notional = 12 BTC x 50,010 USDT = 600,120 USDT (the parts add up exactly)" in text
    assert "\x1b" not in text
    assert (
        "    a limit of at least `max: 601_000 USDT` (asked again with this alone: passes)" in text
    )
    assert (
        "| order-notional | account | breach | 600,120 USDT | 200,000 USDT | 300.1% | " in markdown
    )
    assert "<details><summary>order-notional of the account: breach</summary>" in markdown


def test_what_is_used_of_a_limit_is_told_of_limits_that_are_used_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["explain", *ORDER, "--size", "0.5", "--state", "state.yaml"]
    assert main([*arguments, "--format", "markdown"]) == 0
    rows = {
        cells[1]: cells[6]
        for line in capsys.readouterr().out.splitlines()
        if len(cells := [each.strip() for each in line.split("|")]) == 9
    }

    assert rows["order-notional"] == "12.5%"
    # The least lot, and data that is complete enough, have to be there.
    assert (rows["venue-rules"], rows["data-quality"]) == ("", "")


def test_a_terminal_shows_colours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert main(["explain", *ORDER, "--size", "12", "--state", "state.yaml"]) == 0

    assert "\x1b[1;31mREJECT buy 12 BTC/USDT" in capsys.readouterr().out


def test_a_revision_of_the_policies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q", "-b", "main"], ["add", "policies"], ["commit", "-q", "-m", "."]):
        subprocess.run(["git", *author, *words], cwd=tmp_path, check=True)
    path = tmp_path / "policies" / "desk.yaml"
    path.write_text(path.read_text().replace("max: 200_000 USDT", "max: 900_000 USDT"))
    arguments = [*ORDER, "--size", "12", "--state", "state.yaml"]

    now = explained(arguments, capsys)
    before = explained([*arguments, "--policies", "git:main"], capsys)

    assert (now["decision"], before["decision"]) == ("APPROVE", "REJECT")


def test_without_a_time_it_is_asked_now(capsys: pytest.CaptureFixture[str]) -> None:
    given = build_parser("explain").parse_args(["explain", *ORDER, "--size", "1", "--json"])

    assert run(given, FixedClock(NOON)) == 0
    assert json.loads(capsys.readouterr().out)["decided_at"] == "2026-01-05T12:00:00Z"


# What was kept


def test_a_row_of_a_dry_run_is_what_the_table_says(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonschema.validate(json.loads((results / "request.json").read_text()), REQUEST)
    table = pq.read_table(results / "decisions.parquet").drop(["ts"]).to_pylist()

    for row in (1, 200, 400):
        told = explained(["--dry-run", str(results), "--row", str(row)], capsys)
        kept = table[row - 1]
        assert (told["decision"], float(told["size"])) == (kept["decision"], kept["size"])
        for gate in told["gates"]:
            prefix = "" if gate["level"] == "account" else f"{gate['level']}."
            assert gate["outcome"] == kept[f"{prefix}{gate['gate']}.outcome"]
            if gate["outcome"] not in ("exempt", "unknown"):
                assert gate["measure"] == kept[f"{prefix}{gate['gate']}.measure"]
        assert told["origin"]["checks"][0].startswith(
            f"replayed up to row {row}: the engine decides"
        )


def test_a_row_by_its_order_and_of_the_other_sides_and_modes(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order_id = pq.read_table(results / "decisions.parquet")["order_id"][199].as_py()

    head = explained(["--dry-run", str(results), "--order-id", order_id], capsys)
    base = explained(["--dry-run", str(results), "--row", "200", "--side-of", "base"], capsys)
    frozen = explained(["--dry-run", str(results), "--row", "200", "--mode", "frozen"], capsys)

    assert head["policy_set"] != base["policy_set"]
    assert "decisions-base.parquet" in base["origin"]["told"]
    assert "frozen)" in frozen["origin"]["told"]


def test_what_a_dry_run_no_longer_shows_is_said(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ["--dry-run", str(results)]
    assert "has no row 401" in refused([*kept, "--row", "401"], capsys)
    assert "has no order `x`" in refused([*kept, "--order-id", "x"], capsys)
    assert "is not there" in refused(["--dry-run", "nowhere", "--row", "1"], capsys)
    changed = refused([*kept, "--row", "1", "--policies", str(ROOT / "examples/tightened")], capsys)
    assert "is no longer the policy set of this dry run" in changed

    twice = tmp_path / "twice"
    shutil.copytree(results, twice)
    table = pq.read_table(twice / "decisions.parquet")
    pq.write_table(table.take([0, 0]), twice / "decisions.parquet")
    order_id = table["order_id"][0].as_py()
    two = refused(["--dry-run", str(twice), "--order-id", order_id], capsys)
    assert "2 rows of the table are of an order" in two
    (twice / "decisions.parquet").write_text("no table")
    assert "cannot be read" in refused(["--dry-run", str(twice), "--row", "1"], capsys)
    (twice / "decisions.parquet").unlink()
    assert "had no such side or mode" in refused(["--dry-run", str(twice), "--row", "1"], capsys)

    moved = tmp_path / "moved"
    shutil.copytree(results, moved)
    request = json.loads((moved / "request.json").read_text())
    request["request"]["equity"] = 1.0
    request["request"]["balances"] = None
    (moved / "request.json").write_text(json.dumps(request))
    assert "row 400 cannot be made again" in refused(
        ["--dry-run", str(moved), "--row", "400"], capsys
    )
    (moved / "request.json").write_text('{"schema": 1}')
    assert "is not what a dry run writes" in refused(
        ["--dry-run", str(moved), "--row", "1"], capsys
    )


def test_a_decision_of_an_audit_log(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [record for record in AuditReader(log).poll() if record.kind == "decision"]
    approved, again, denied, unread = records

    told = explained(["--audit", str(log), "--id", denied.body["id"]], capsys)
    first = explained(["--audit", str(log), "--id", str(approved.sequence)], capsys)

    assert (told["decision"], told["reason"]) == ("REDUCE_SIZE", denied.body["reason"])
    assert first["decision"] == "APPROVE"
    assert told["origin"]["checks"] == [
        "derived again from its record: every gate and the decision are the same, bit for bit"
    ]
    assert "repeats an earlier answer" in refused(
        ["--audit", str(log), "--id", str(again.sequence)], capsys
    )
    assert "no gate was asked" in refused(["--audit", str(log), "--id", unread.body["id"]], capsys)
    assert "holds no decision `nothing`" in refused(
        ["--audit", str(log), "--id", "nothing"], capsys
    )


def test_a_lapsed_policy_lease_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock, settings = FixedClock(NOON), GuardSettings(in_memory=True, policy_lease_ns=SECOND)
    with AuditLog.open(tmp_path / "audit", durability="process", clock=clock) as audit:
        guard = opened(policies(tmp_path / "desk"), clock=clock, settings=settings, audit=audit)
        clock.advance(2 * SECOND)
        guard.evaluate_order(order("1"))
        guard.close()
    records = [each for each in AuditReader(tmp_path / "audit").poll() if each.kind == "decision"]

    told = explained(["--audit", "audit", "--id", str(records[0].sequence)], capsys)

    assert records[0].body["code"] == "POLICY_LEASE_EXPIRED"
    assert told["decision"] == "REJECT"
    assert told["origin"]["checks"][1] == (
        "the guard took only orders that reduce risk then (its policies were not confirmed in time): "
        "the firm's switch is shown as reducing"
    )


# What is wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the order has no account, no symbol, no side, no size"),
        (["--account", "alpha", "--side", "buy"], "the order has no symbol, no size"),
        (["nowhere.yaml"], "`nowhere.yaml` is not a file"),
        (["state.yaml:x"], "`state.yaml` is no policy test, so it has no case `x`"),
        (["policies/desk.yaml"], "`policies/desk.yaml` is no order: it holds `apiVersion`"),
        ([TESTS], "cases, and none is named"),
        ([f"{TESTS}:the firm is halte"], "has no case `the firm is halte`"),
        ([TESTS, "--row", "1"], "`--row` goes with `--dry-run`"),
        (["--dry-run", "x"], "`--dry-run` needs one row"),
        (
            ["--dry-run", "x", "--row", "1", "--size", "1"],
            "`--dry-run` and `--size` each name an order",
        ),
        (["--audit", "x"], "`--audit` needs one decision"),
        (["--audit", "x", "--id", "1", "--policies", "y"], "are those of its log"),
        ([*ORDER, "--size", "1", "--at", "noon"], "`noon` is not a time"),
        ([*ORDER, "--size", "1", "--why-not", "0"], "`--why-not 0` is no size"),
        ([*ORDER, "--size", "1", "--gate", "x"], "no gate `x` binds this order"),
    ],
)
def test_bad_usage_is_said_with_a_fix(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(arguments, capsys)


def test_faults_of_a_file_point_into_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("when:\n  account: a\n  sise: 1\n")

    assert main(["explain", "bad.yaml"]) == 1
    assert "bad.yaml:3:3" in capsys.readouterr().err


def test_an_order_by_flags_needs_no_compiler() -> None:
    code = (
        "import sys; from ringfence.cli.main import main;"
        f"main(['explain', *{[*ORDER, '--size', '1', '--policies', str(ROOT / 'policies')]}]);"
        "sys.exit(bool({'numba', 'duckdb', 'pyarrow', 'z3'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
