"""Wrong usage: an unknown option is refused by its command, with what was meant; streams may be closed."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ringfence.cli.main import build_parser, leaves, main
from ringfence.cli.usage import parse

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
EFFECTIVE = ["effective", "--account", "a", "--symbol", "BTC/USD"]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["dry-run", "--orders", "x.csv", "--no-reprt"], "--no-reprt, did you mean `--no-report`?"),
        ([*EFFECTIVE, "--policys", "x"], "--policys, did you mean `--policies`?\n"),
        ([*EFFECTIVE, "--strat=x"], "--strat, did you mean `--strategy`?\n"),
        (["audit", "tail", "--folow"], "--folow, did you mean `--follow`?\n"),
        (["audit", "tail", "--bogus"], "unrecognized arguments: --bogus\n"),
        (["fields", "more"], "unrecognized arguments: more\n"),
        (["schema", "--kind", "polcy"], "invalid choice: 'polcy', did you mean `Policy`?\n"),
        (["schema", "--kind", "Poem"], "invalid choice: 'Poem' (choose from"),
    ],
)
def test_an_unknown_option_is_refused_with_the_commands_usage(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert meant in said
    words = " ".join(arguments[: 2 if arguments[0] == "audit" else 1])
    assert said.startswith(f"usage: ringfence {words} [-h]")


def test_a_mistyped_command_is_told_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["valdate", "policies"]) == 2
    assert capsys.readouterr().err.endswith(
        "error: argument COMMAND: invalid choice: 'valdate', did you mean `validate`?\n"
    )


def test_no_option_is_taken_by_its_beginning() -> None:
    assert not any(each.allow_abbrev for each in leaves(build_parser()).values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dry-run", "--orders", "a.csv", "--orders=b.csv"], "--orders"),
        (["dry-run", "--orders", "a.csv", "--mode", "both", "--mode", "both"], "--mode"),
        (["audit", "tail", "-n", "1", "-n2"], "-n"),
        (["audit", "anchor", "--key", "k", "-o", "a", "--output", "b"], "-o/--output"),
        (["audit", "migrate", "--postgres", "--postgres"], "--postgres"),
        (["reload", "--by", "ann", "shadow", "off", "--by", "bob"], "--by"),
        (["--debug", "effective", "--account", "a", "--account", "b"], "--account"),
    ],
)
def test_an_option_that_takes_one_value_is_not_given_twice(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("ringfence ")
    assert last.endswith(
        f": error: argument {said}: it is given twice, and takes one value; give it once"
    )


def test_options_that_gather_and_flags_are_given_as_often_as_one_likes() -> None:
    parser = build_parser("audit")
    words = ["audit", "tail", "--mask-key", "a", "--mask-key", "b", "--json", "--json", "-n", "3"]

    given = [parse(parser, words) for _ in range(2)]

    assert [(each.mask_key, each.json, each.n) for each in given] == [(["a", "b"], True, 3)] * 2


@pytest.mark.parametrize("command", ["effective", "dry-run"])
def test_findings_are_json_where_json_is_asked_for(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "desk.yaml").write_text("apiVersion: ringfence/v1\nkind: Poem\n")
    asked = {
        "effective": [*EFFECTIVE, "--policies", str(wrong)],
        "dry-run": [
            *("dry-run", "--policies", str(wrong), "--out", str(tmp_path / "out")),
            *("--orders", str(ROOT / "examples" / "data" / "orders.parquet")),
        ],
    }

    assert main([*asked[command], "--json"]) == 1
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["valid"], told["findings"][0]["code"]) == (False, "E150")
    assert shown.err == ""


@pytest.mark.parametrize(
    "words", ["fields", "validate policies", "effective --account a --symbol b"]
)
def test_a_closed_standard_output_is_no_failure(words: str) -> None:
    script = f"{sys.executable} -m ringfence.cli.main {words} >&-"
    ran = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )

    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ["validate"],
        ["explain"],
        ["init"],
        ["config", "--config"],
        ["users", "list", "--data"],
    ],
    ids=lambda words: words[0],
)
def test_a_path_that_the_system_refuses_is_told_with_its_reason(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "order: \x1b[2J" + "x" * 5_000]) == 2
    reason, fix = capsys.readouterr().err.splitlines()
    assert reason.startswith("ringfence: `order: \ufffd[2Jxxx")
    assert reason.endswith("xxx…` cannot be used: file name too long")
    assert fix == "  fix: check the path, and the permissions on the way to it"


@pytest.mark.parametrize("module", ["argparse", "ringfence.cli.main", "ringfence.errors"])
@pytest.mark.parametrize("stream", ["", "2>&-"])
def test_one_that_is_stopped_while_it_begins_ends_as_one_that_is_stopped_later(
    module: str, stream: str
) -> None:
    code = (
        "import sys; from ringfence.__main__ import main\n"
        "class Stopped:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == sys.argv[1]: raise KeyboardInterrupt\n"
        "sys.modules.pop(sys.argv[1], None)\n"
        "sys.meta_path.insert(0, Stopped())\n"
        "sys.exit(main())"
    )
    ran = subprocess.run(
        ["sh", "-c", f'"$@" {stream}', "sh", sys.executable, "-c", code, module],
        capture_output=True,
        text=True,
        check=False,
    )

    said = "" if stream else "ringfence: stopped\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", said)


def test_the_installed_command_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["scripts"] == {"ringfence": "ringfence.__main__:main"}


def test_the_package_is_run_as_the_command_is() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ringfence", "validate"], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 2
    assert ran.stderr.startswith("usage: ringfence validate [-h]")


@pytest.mark.parametrize("columns", ["1", "40", "80"])
def test_no_figure_of_a_dry_run_is_cut_and_no_word_broken_on_a_narrow_terminal(
    columns: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    data, policies = ROOT / "examples" / "data", str(ROOT / "policies")
    given = ["dry-run", "--orders", str(data / "orders.parquet"), "--policies", policies]
    given += ["--instruments", str(data / "instruments.yaml"), "--no-report", "--mode", "frozen"]
    given += ["--base", str(ROOT / "examples" / "tightened")]

    assert main([*given, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown
    words = shown.split()
    assert {"frozen", "strategy.total-exposure", "remark"} <= set(words)
    assert any(re.fullmatch("[A-Z]{7}-[0-9]{10}", word) for word in words)
    # What stands at the end of a line is not cut off either.
    assert "notional held back" in shown
    assert {"sta", "ure", "pro"}.isdisjoint(words)
