"""`ringfence dry-run` on the shipped example, as a user runs it."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest

from ringfence.cli.dry_run import amount_given, workers_of
from ringfence.cli.main import main

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "data"
SCHEMA = json.loads((ROOT / "schemas" / "dry-run-summary.v1.schema.json").read_text())
POLICIES = ["--policies", str(ROOT / "policies"), "--instruments", str(DATA / "instruments.yaml")]
INPUTS = [
    *("--orders", str(DATA / "orders.parquet"), "--marks", str(DATA / "marks.parquet")),
    *("--balances", str(DATA / "balances.csv")),
]


def test_json_fits_the_schema_and_agrees_with_the_rows(tmp_path, capsys):
    assert main(["dry-run", *INPUTS, *POLICIES, "--out", str(tmp_path), "--json"]) == 0

    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    jsonschema.validate(summary, SCHEMA)
    assert shown.err == ""
    assert summary["orders"]["replayed"] == 34_419
    for mode, name in (("propagated", "decisions"), ("frozen", "decisions-frozen")):
        run = summary["sides"]["head"]["modes"][mode]
        rows = pq.read_table(tmp_path / f"{name}.parquet", columns=["decision", "gate"]).to_pydict()
        for decision, count in run["decisions"].items():
            assert rows["decision"].count(decision) == count
        for row in run["by_gate"]:
            assert rows["gate"].count(row["gate"]) == row["reject"] + row["reduce"]
    assert "<html" in (tmp_path / "report.html").read_text()[:200]


def test_a_terminal_summary_says_where_the_results_lie(tmp_path, capsys):
    arguments = ["--out", str(tmp_path / "out"), "--markdown", str(tmp_path / "comment.md")]
    assert main(["dry-run", *INPUTS, *POLICIES, "--base", str(ROOT / "policies"), *arguments]) == 0

    shown = capsys.readouterr().out
    assert shown.startswith("This change alters no decision: 34,419 orders decided as before.")
    for name in ("decisions.parquet", "decisions-base.parquet", "summary.json", "report.html"):
        assert str(tmp_path / "out" / name) in shown
    assert (tmp_path / "comment.md").read_text().startswith("### Ringfence dry run:")


def test_a_mapping_reads_a_foreign_export(tmp_path, capsys):
    source = DATA / "binance_cross_margin_orders_20251128_20260102.csv"
    arguments = ["--mapping", "binance-order-history", "--mode", "propagated", "--equity", "10_000"]
    code = main(
        [
            "dry-run",
            "--orders",
            str(source),
            *POLICIES,
            *arguments,
            "--out",
            str(tmp_path),
            "--json",
            "--no-report",
        ]
    )

    assert code == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["orders"]["rows"] == 157
    assert (
        summary["orders"]["replayed"] + sum(group["rows"] for group in summary["unreplayable"])
        == 157
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--orders", "/no/such/file.parquet", *POLICIES], "/no/such/file.parquet"),
        ([*INPUTS, "--policies", "/no/such/policies"], "/no/such/policies"),
        ([*INPUTS, *POLICIES, "--base", "git:-x"], "cannot be a revision"),
        ([*INPUTS, *POLICIES, "--equity", "much"], "`--equity much` is no amount"),
        ([*INPUTS, *POLICIES, "--equity", "50.000,00"], "`--equity 50.000,00` is no amount"),
        ([*INPUTS, *POLICIES, "--equity", "1,5"], "`--equity 1,5` is no amount"),
        ([*INPUTS, *POLICIES, "--equity", "1e10"], "more than can be counted to the millionth"),
        ([*INPUTS, *POLICIES, "--workers", "0"], "`workers` must be 1 to 256"),
        ([*INPUTS, *POLICIES, "--batch-rows", "-1"], "`batch_rows` must be at least 1"),
        ([*INPUTS, *POLICIES, "--mapping", "no-such-mapping"], "no-such-mapping"),
        ([*INPUTS, *POLICIES, "--mode", "sideways"], "invalid choice"),
        ([*POLICIES], "--orders"),
    ],
)
def test_bad_input_is_one_reason_and_exit_code_two(arguments, says, tmp_path, capsys):
    assert main(["dry-run", *arguments, "--out", str(tmp_path)]) == 2

    shown = capsys.readouterr()
    assert says in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


BAD_ROWS = """ts,symbol,side,size
2026-01-05T12:00:00Z,BTC/USDT,sideways,1
2026-01-05T12:00:00Z,BTC/USDT,hold,1
yesterday,BTC/USDT,buy,1
"""


def test_orders_of_which_none_can_be_replayed_are_bad_input_with_the_reasons(tmp_path, capsys):
    orders, out = tmp_path / "orders.csv", tmp_path / "out"
    orders.write_text(BAD_ROWS)

    assert main(["dry-run", "--orders", str(orders), *POLICIES, "--out", str(out), "--json"]) == 2
    shown = capsys.readouterr()
    said, fix = shown.err.strip().splitlines()
    assert said.startswith("ringfence: not one of 3 rows of `")
    assert said.endswith("can be replayed: 2 side is neither buy nor sell; 1 no usable time")
    assert "--mapping" in fix
    summary = json.loads(shown.out)
    jsonschema.validate(summary, SCHEMA)
    assert summary == json.loads((out / "summary.json").read_text())
    assert [each["rows"] for each in summary["unreplayable"]] == [2, 1]
    assert pq.read_table(out / "decisions.parquet").num_rows == 0
    assert "No order could be replayed" in (out / "report.html").read_text()


def test_the_one_row_that_cannot_be_replayed_is_told_with_what_stands_in_it(tmp_path, capsys):
    orders = tmp_path / "orders.csv"
    orders.write_text("ts;symbol;side;size\n2026-01-05T12:00:00Z;BTC/USDT;buy;0,1\n")

    assert (
        main(["dry-run", "--orders", str(orders), *POLICIES, "--out", str(tmp_path / "out")]) == 2
    )
    shown = capsys.readouterr()
    assert "row 1: 0,1" in shown.out
    assert "cannot be replayed: 1 size is not a number" in shown.err


def test_commas_may_set_thousands_apart():
    assert amount_given("1,234,567.5") == 1_234_567.5
    assert amount_given("100,000") == amount_given("100_000") == 100_000


def test_one_row_that_can_be_replayed_is_enough(tmp_path, capsys):
    orders = tmp_path / "orders.csv"
    orders.write_text(BAD_ROWS + "2026-01-05T12:00:00Z,BTC/USDT,buy,1\n")

    assert (
        main(["dry-run", "--orders", str(orders), *POLICIES, "--out", str(tmp_path / "out")]) == 0
    )
    assert "1 of 4 rows replayed" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["orders.csv", "orders.parquet"])
def test_a_source_without_orders_is_fine_and_says_so(name, tmp_path, capsys):
    orders = tmp_path / name
    if name.endswith(".csv"):
        orders.write_text("ts,symbol,side,size\n")
    else:
        pq.write_table(pq.read_table(DATA / "orders.parquet").slice(0, 0), orders)

    assert (
        main(["dry-run", "--orders", str(orders), *POLICIES, "--out", str(tmp_path / "out")]) == 0
    )
    assert capsys.readouterr().out.startswith("There is no order to replay")


def test_a_plan_of_orders_of_which_none_can_be_replayed_is_bad_input(tmp_path, capsys):
    orders = tmp_path / "orders.csv"
    orders.write_text(BAD_ROWS)
    sides = ["--base", str(ROOT / "policies"), "--head", str(ROOT / "policies")]

    assert main(["plan", *sides, "--orders", str(orders), *POLICIES[2:]]) == 2
    assert "not one of 3 rows of `" in capsys.readouterr().err


def test_faulty_policies_are_findings_and_exit_code_one(tmp_path, capsys):
    policy = (ROOT / "policies" / "desk.yaml").read_text().replace("drawdown@1", "drawdwn@1")
    (tmp_path / "desk.yaml").write_text(policy)

    assert main(["dry-run", *INPUTS, "--policies", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "desk.yaml:" in capsys.readouterr().err


def test_interrupted_leaves_readable_results_and_exit_code_130(tmp_path):
    script = (
        "import sys\n"
        "from ringfence.cli import dry_run as command\n"
        "from contextlib import contextmanager\n"
        "import os, signal\n"
        "@contextmanager\n"
        "def stop():\n"
        "    yield lambda done, total: os.kill(os.getpid(), signal.SIGINT)\n"
        "command.progress_bar = stop\n"
        "from ringfence.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    # Several workers end what each has begun.
    arguments = [*INPUTS, *POLICIES, "--out", str(tmp_path), "--workers", "1"]
    arguments += ["--batch-rows", "1000", "--no-report"]
    done = subprocess.run(
        [sys.executable, "-c", script, "dry-run", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ},
        check=False,
    )

    assert done.returncode == 128 + signal.SIGINT
    assert "interrupted; what was done lies in" in done.stderr
    assert json.loads((tmp_path / "summary.json").read_text())["interrupted"] is True
    assert pq.read_table(tmp_path / "decisions.parquet").num_rows == 1000


def test_help_needs_no_heavy_library():
    script = (
        "import sys; from ringfence.cli.main import main; main(['dry-run', '--help']); "
        "sys.exit(bool({'numba', 'numpy', 'duckdb', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("asked", "processors", "workers"), [(None, 1, 1), (None, 2, 2), (None, 64, 4), (7, 2, 7)]
)
def test_as_many_threads_as_processors_where_nothing_is_said(
    monkeypatch, asked, processors, workers
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))

    assert workers_of(argparse.Namespace(workers=asked)) == workers


def test_books_that_a_gate_halts_are_released_daily_or_never(tmp_path, capsys):
    policies = shutil.copytree(ROOT / "policies", tmp_path / "policies")
    desk = policies / "desk.yaml"
    deep = "      limits: {max_drawdown: 10%}"
    halts = "      limits: {max_drawdown: 0.001%}\n      on_breach: halt"
    desk.write_text(desk.read_text().replace(deep, halts))
    given = ["dry-run", *INPUTS, "--policies", str(policies), "--mode", "propagated", "--json"]
    given += ["--instruments", str(DATA / "instruments.yaml"), "--no-report"]

    books = {}
    for until in ("day", "end"):
        out = tmp_path / until
        assert main([*given, "--halts-until", until, "--out", str(out)]) == 0
        summary = json.loads(capsys.readouterr().out)
        jsonschema.validate(summary, SCHEMA)
        halts = summary["sides"]["head"]["modes"]["propagated"]["halts"]
        books[until] = [each["book"] for each in halts["first"]]
        assert halts["by_gate"] == {"drawdown": halts["count"]}
        assert json.loads((out / "request.json").read_text())["request"]["halts_until"] == until

    # The orders go from 23:54 to 00:05, and the day starts at midnight.
    assert sorted(books["end"]) == sorted(set(books["day"]))
    assert len(books["day"]) > len(books["end"])
