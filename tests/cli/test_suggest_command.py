"""`ringfence suggest` on real orders: what it finds is tried, and its patch applies."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest

from ringfence.cli.main import main
from ringfence.language.linking import link_path

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "data"
SCHEMA = json.loads((ROOT / "schemas" / "suggestion.v1.schema.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(
        ROOT / "policies", tmp_path / "policies", ignore=shutil.ignore_patterns("tests")
    )
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The first orders of the example, whose quotes are there."""
    path = tmp_path_factory.mktemp("orders") / "orders.parquet"
    pq.write_table(pq.read_table(DATA / "orders.parquet").slice(0, 22_000), path)
    marks, balances = DATA / "marks.parquet", DATA / "balances.csv"
    given = ["--orders", str(path), "--marks", str(marks), "--balances", str(balances)]
    return [*given, "--instruments", str(DATA / "instruments.yaml")]


def suggested(
    arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0
) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["suggest", *arguments, "--json"]) == code
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(told, SCHEMA)
    return told


@pytest.mark.parametrize("rows", ["", "2026-01-05T12:00:00Z,BTC/USDT,sideways,1\n"])
@pytest.mark.parametrize("goal", [["--reject-rate", "2%"], ["--unused-above", "80%"]])
def test_of_no_orders_no_limit_follows(
    rows: str, goal: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "orders.csv").write_text(f"ts,symbol,side,size\n{rows}")
    given = ["--orders", "orders.csv", "--instruments", str(DATA / "instruments.yaml")]

    assert main(["suggest", *given, "--equity", "1000", *goal]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "no order could be replayed, so no limit follows" in shown.err
    assert ("1 side is neither buy nor sell" in shown.err) is bool(rows)


def test_a_rejection_rate_is_searched_and_proved(
    inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = suggested([*inputs, "--reject-rate", "3%", "--gate", "order-notional"], capsys)

    assert told["reached"]
    assert told["after"]["reject_rate"] <= 0.03
    (limit,) = told["limits"]
    assert (limit["gate"], limit["parameter"], limit["before"]) == (
        "order-notional",
        "max",
        "200_000 USDT",
    )
    # The next tighter one that was tried rejects more than was wanted.
    factors = {each["factor"]: each["reject_rate"] for each in told["tried"]}
    chosen = min(factor for factor, rate in factors.items() if rate <= 0.03)
    assert factors[max(each for each in factors if each < chosen)] > 0.03
    rates = [rate for _, rate in sorted(factors.items())]
    assert told["monotone"] == (rates == sorted(rates, reverse=True))
    assert len(told["tried"]) <= 16


def test_the_patch_applies_and_keeps_comments_and_style(
    tmp_path: Path, inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*inputs, "--unused-above", "80%"]
    told = suggested(arguments, capsys)
    assert main(["suggest", *arguments]) == 0
    shown = capsys.readouterr()
    assert shown.out == told["patch"]

    subprocess.run(["git", "apply", "--index", "-"], input=shown.out.encode(), check=True)

    after = (tmp_path / "policies" / "desk.yaml").read_text()
    before = (ROOT / "policies" / "desk.yaml").read_text()
    assert "  version: 1.1.0\n" in after
    assert after.count("#") == before.count("#")
    moved = [each for each in told["limits"] if each["file"] == "policies/desk.yaml"]
    lines = after.splitlines()
    assert all(each["after"] in lines[each["line"] - 1] for each in moved)
    kept = [a for a, b in zip(after.splitlines(), before.splitlines(), strict=True) if a == b]
    assert len(kept) == len(lines) - 1 - len({each["line"] for each in moved})
    instruments = DATA / "instruments.yaml"
    (tmp_path / "policies" / "instruments.yaml").unlink()
    shutil.copy(instruments, tmp_path / "policies" / "desk-instruments.yaml")
    link_path(tmp_path / "policies")


def test_no_limit_is_used_above_the_share_and_no_decision_changes(
    inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = suggested([*inputs, "--unused-above", "80%"], capsys)

    assert told["after"] == told["before"]
    assert told["limits"]
    assert all(0 < each["peak_before"] < 0.8 for each in told["limits"])
    assert all(each["peak_after"] <= 0.8 for each in told["limits"])
    # What stopped an order, or was near to it, stays.
    assert "order-notional" not in {each["gate"] for each in told["limits"]}
    assert any("a time without losses says little" in note for note in told["notes"])
    assert any("all of them are lowered by the same factor" in note for note in told["notes"])


def test_files_are_changed_only_when_asked(
    tmp_path: Path, inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policies" / "firm.yaml"
    before = path.read_bytes()
    arguments = [*inputs, "--unused-above", "50%", "--gate", "firm.total-exposure"]
    told = suggested(arguments, capsys)
    assert (told["written"], path.read_bytes()) == ([], before)

    assert main(["suggest", *arguments, "--write"]) == 0

    shown = capsys.readouterr().out
    assert "changed policies/firm.yaml\n" in shown
    assert "replayed with the files as suggested: " in shown
    assert path.read_bytes() != before
    again = suggested(arguments, capsys)
    assert again["policy_set"] == told["policy_set_after"]
    assert (again["limits"], again["patch"]) == ([], "")


def test_a_rate_that_other_gates_already_exceed_is_not_reached(
    inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*inputs, "--reject-rate", "0.1%", "--gate", "position-size"]
    told = suggested(arguments, capsys, code=1)

    assert (told["reached"], told["limits"], told["after"]) == (False, [], None)
    assert any("other gates do it" in note for note in told["notes"])
    assert main(["suggest", *arguments]) == 1
    assert capsys.readouterr().err.endswith("the goal is not reached\n")


def test_limits_that_are_widened_though_they_stopped_nothing_are_named(
    inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = suggested([*inputs, "--reject-rate", "0.1%"], capsys)

    idle = {
        f"{each['policy']}/{each['gate']}" for each in told["limits"] if each["peak_before"] <= 1
    }
    (note,) = [each for each in told["notes"] if "stopped no order" in each]
    assert "desk/daily-loss" in idle
    assert set(note.partition("together: ")[2].partition(";")[0].split(", ")) == idle
    # What is tightened stops no order at first, either.
    assert not any(
        "stopped no order" in note
        for note in suggested([*inputs, "--reject-rate", "5%"], capsys)["notes"]
    )


def test_limits_that_are_the_closest_stay(
    inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*inputs, "--reject-rate", "2%", "--gate", "order-notional"]
    first = suggested(arguments, capsys)
    assert main(["suggest", *arguments, "--write"]) == 0
    again = suggested(arguments, capsys)

    assert first["limits"]
    assert again["limits"] == []
    assert again["notes"] == ["the limits as they are come closest: nothing has to move"]


def test_overrides_in_force_are_said_and_stay(
    tmp_path: Path, inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policies" / "desk.yaml"
    gate = "      limits: {max: 4_000_000 USDT, max_of_equity: 95%}\n"
    override = "{limits: {max: 4_500_000 USDT}, from: 2024-08-01T00:00:00Z, ticket: RISK-1}"
    path.write_text(path.read_text().replace(gate, f"{gate}      overrides: [{override}]\n"))

    told = suggested([*inputs, "--unused-above", "80%", "--gate", "desk/total-exposure"], capsys)

    assert told["notes"] == [
        "desk/total-exposure has 1 override in force in that time: these stay as they are"
    ]
    assert told["limits"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reject-rate", "2"], "`--reject-rate 2` is no share from 0% to 100%"),
        (["--reject-rate", "200%"], "`--reject-rate 200%` is no share"),
        (["--unused-above", "0%"], "would lower every limit to nothing"),
        (["--reject-rate", "2%", "--runs", "2"], "`--runs 2` is too few"),
        (["--reject-rate", "2%", "--gate", "x"], "no limit of the gates `x` can be moved"),
        (
            ["--reject-rate", "2%", "--policies", "git:main"],
            "is a revision, and a patch needs files",
        ),
    ],
)
def test_bad_usage_is_said_with_a_fix(
    arguments: list[str], message: str, inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suggest", *inputs, *arguments]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert "\n  fix: " in shown.err


def test_a_terminal_shows_how_far_it_is(
    inputs: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    assert main(["suggest", *inputs, "--unused-above", "80%", "--gate", "position-count"]) == 0

    shown = capsys.readouterr()
    assert "22000/22000" in shown.err
    assert shown.out.startswith("--- a/policies/desk.yaml")
