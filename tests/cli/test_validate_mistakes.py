"""`ringfence validate` and the mistakes people make: against a revision, at a time, by a desk's settings."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from ringfence.cli import validate
from ringfence.cli.main import build_parser, main
from ringfence.runtime.ports import FixedClock

pytestmark = [pytest.mark.smoke, pytest.mark.needs("git", "git")]

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = json.loads((ROOT / "schemas" / "findings.v1.schema.json").read_text(encoding="utf-8"))
OVERRIDE = """\
      overrides:
        - limits: {max: 4_500_000 USDT}
          from: 2026-02-02T08:00:00Z
          until: 2026-02-06T20:00:00Z
          ticket: RISK-142
"""
TOTAL = "      limits: {max: 4_000_000 USDT, max_of_equity: 95%}\n"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the shipped policies in one commit on `main`; the working tree is its own."""
    policies = tmp_path / "policies"
    policies.mkdir()
    for file in (ROOT / "policies").glob("*.yaml"):
        (policies / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    commit()
    return policies / "desk.yaml"


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com")
    quiet = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, env=quiet)


def commit() -> None:
    git("add", "-A")
    git("commit", "-q", "-m", "policies")


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def settle(text: str) -> None:
    Path(".ringfence").mkdir(exist_ok=True)
    head = "apiVersion: ringfence/v1\nkind: Settings\n"
    Path(".ringfence", "settings.yaml").write_text(head + text, encoding="utf-8")


def codes(capsys: pytest.CaptureFixture[str], *arguments: str, exit_code: int) -> list[str]:
    assert main(["validate", "policies", "--json", *arguments]) == exit_code
    told = json.loads(capsys.readouterr().out)
    jsonschema.validate(told, FINDINGS)
    assert told["valid"] == (exit_code == 0)
    return [each["code"] for each in told["findings"]]


@pytest.mark.parametrize("now", ["2025-01-01", "2026-02-03T12:00:00Z", "2040-07-01"])
def test_what_is_shipped_is_free_of_findings_at_any_time(
    now: str, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(ROOT / "policies"), str(ROOT / "examples" / "tightened")]

    assert main(["validate", *paths, "--strict", "--now", now]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("desk")
def test_nothing_that_did_not_move_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    for base in ("main", "HEAD", "git:main", "git:HEAD:policies", "./policies"):
        assert codes(capsys, "--base", base, "--strict", exit_code=0) == []


def test_an_extra_zero_is_found_and_acknowledged(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(desk, "max: 200_000 USDT}", "max: 2_000_000 USDT}")
    change(desk, "version: 1.0.1", "version: 1.1.0")

    assert main(["validate", "policies"]) == 0
    assert main(["validate", "policies", "--base", "main"]) == 1
    told = capsys.readouterr().err
    assert "policies/desk.yaml:" in told
    assert "error[E400]: `max` moved, from 200_000 USDT to 2_000_000 USDT" in told
    assert "see: main:policies/desk.yaml:" in told
    asked = (
        "      acknowledge: [{limit: max, from: 200_000 USDT, to: 2_000_000 USDT, reason: so}]\n"
    )
    change(desk, "max: 2_000_000 USDT}\n", f"max: 2_000_000 USDT}}\n{asked}")
    assert codes(capsys, "--base", "main", exit_code=0) == []


RULE = """\
apiVersion: ringfence/v1
kind: Rule
metadata: {name: worth, version: 1.0.0, title: worth, description: A rule., source: [own]}
spec:
  parameters: {max: {type: money, limit: true, description: Most.}}
  checks: [{name: worth, measure: order.notional, limit: params.max, explain: Too much.}]
  docs: The value of an order.
"""


def test_a_rule_that_changes_beside_policies_that_do_not_needs_its_version(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = desk.with_name("worth.yaml")
    rule.write_text(RULE, encoding="utf-8")
    bound = "    - {rule: worth@1, limits: {max: 200_000 USDT}}\n"
    desk.write_text(desk.read_text(encoding="utf-8") + bound, encoding="utf-8")
    commit()
    change(rule, "limit: params.max,", "limit: params.max * 2,")

    assert codes(capsys, "--base", "HEAD", exit_code=1) == ["E402"]
    change(rule, "version: 1.0.0", "version: 1.0.1")
    assert codes(capsys, "--base", "HEAD", exit_code=0) == []


def test_policies_that_are_new_have_nothing_to_be_compared_with(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.parent.rename("limits")

    assert main(["validate", "limits", "--base", "main"]) == 0
    assert "valid" in capsys.readouterr().out


def test_a_revision_that_does_not_link_is_told_and_fails_by_strictness_alone(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = desk.read_text(encoding="utf-8")
    change(desk, "max: 200_000 USDT}", "max: 200_000}")
    commit()
    desk.write_text(text, encoding="utf-8")

    assert codes(capsys, "--base", "HEAD", exit_code=0) == ["E404"]
    assert codes(capsys, "--base", "HEAD", "--strict", exit_code=1) == ["E404"]


def test_a_revision_is_named_as_other_commands_name_it(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settle("validate: {limit_factor: 5}\n")
    commit()
    settle("validate: {limit_factor: 100}\n")
    change(desk, "max: 200_000 USDT}", "max: 2_000_000 USDT}")
    change(desk, "version: 1.0.1", "version: 1.1.0")
    told = []
    for base in ("main", "git:main", "git:main:policies"):
        assert main(["validate", "policies", "--base", base]) == 1
        told.append(capsys.readouterr().err)

    assert "error[E400]" in told[0]
    assert told[1:] == told[:1] * 2
    # The policies have another name now.
    desk.parent.rename("limits")
    assert main(["validate", "limits", "--base", "git:main"]) == 0
    assert main(["validate", "limits", "--base", "git:main:policies"]) == 1


@pytest.mark.parametrize(
    "base",
    [
        "no-such-branch",
        "./no-such-directory",
        "-x y",
        "git:",
        "git:no-such-branch",
        "git:main:no-such-directory",
    ],
)
@pytest.mark.usefixtures("desk")
def test_a_base_that_is_not_there_is_bad_input(
    base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "policies", f"--base={base}"]) == 2
    assert "fix:" in capsys.readouterr().err


def test_time_is_the_clock_or_what_is_given(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(desk, TOTAL, TOTAL + OVERRIDE)
    given = build_parser("validate").parse_args(["validate", "policies"])

    assert validate.run(given, FixedClock(0)) == 0
    assert capsys.readouterr().err == ""
    assert codes(capsys, "--now", "2026-03-01", exit_code=0) == ["E410"]
    assert codes(capsys, "--now", "2026-03-01", "--strict", exit_code=1) == ["E410"]
    assert codes(capsys, "--now", "2026-03-01", "--base", "main", exit_code=1) == ["E402", "E410"]
    for wrong in ("soon", "0001-01-01", "9999-12-31"):
        assert main(["validate", "policies", "--now", wrong]) == 2


def test_warnings_are_told_beside_what_is_valid(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(desk, "max_positions: 10", "max_positions: 0")

    assert main(["validate", "policies"]) == 0
    shown = capsys.readouterr()
    assert "warning[E424]" in shown.err
    assert "1 warning\n" in shown.err
    assert "valid" in shown.out
    assert main(["validate", "policies", "--format", "github"]) == 0
    assert "::warning file=policies/desk.yaml" in capsys.readouterr().out


def test_a_desk_settles_its_factor_its_tickets_and_what_is_not_looked_for(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(desk, "max_positions: 10", "max_positions: 0")
    change(desk, TOTAL, TOTAL + OVERRIDE)
    settle('validate: {ticket_pattern: "[0-9]+", switched_off: [{code: E424, reason: frozen}]}\n')

    assert codes(capsys, "--now", "2026-01-01", exit_code=1) == ["E412"]
    settle("validate: {limit_factor: 1.1}\n")
    git("add", ".ringfence")
    git("commit", "-q", "-m", "settings")
    change(desk, "max: 200_000 USDT}", "max: 240_000 USDT}")
    change(desk, "version: 1.0.1", "version: 1.1.0")
    found = codes(capsys, "--now", "2026-01-01", "--base", "main", exit_code=1)
    assert [each for each in found if each == "E400"] == ["E400"] * 3


def test_a_change_does_not_settle_how_it_is_checked(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settle("validate: {limit_factor: 5}\n")
    commit()
    settle("validate: {limit_factor: 100}\n")
    change(desk, "max: 200_000 USDT}", "max: 2_000_000 USDT}")
    change(desk, "version: 1.0.1", "version: 1.1.0")

    assert codes(capsys, "--base", "main", exit_code=1) == ["E400"]
    commit()
    assert codes(capsys, "--base", "HEAD~1", exit_code=1) == ["E400"]


def test_settings_that_a_change_adds_do_not_settle_how_it_is_checked(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(desk, "max: 200_000 USDT}", "max: 2_000_000 USDT}")
    change(desk, "version: 1.0.1", "version: 1.1.0")
    settle("validate: {switched_off: [{code: E400, reason: In the way.}]}\n")

    assert codes(capsys, "--base", "main", exit_code=1) == ["E400"]
    # Once they are there, they hold.
    git("add", ".ringfence")
    git("commit", "-q", "-m", "settings")
    assert codes(capsys, "--base", "HEAD", exit_code=0) == []


def test_settings_that_come_with_the_first_policies_hold_of_them(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(desk, "max_positions: 10", "max_positions: 0")
    git("mv", "policies", "limits")
    git("commit", "-q", "-m", "no policies here")
    git("mv", "limits", "policies")
    settle("validate: {switched_off: [{code: E424, reason: Frozen.}]}\n")

    assert codes(capsys, "--base", "HEAD", "--strict", exit_code=0) == []


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("validat: {}\n", "E151", "did you mean `validate`?"),
        ("validate: {limit_factor: 1}\n", "E153", "`limit_factor` does not fit"),
        ('validate: {ticket_pattern: "["}\n', "E155", "is no regular expression"),
        ("validate: {switched_off: [{code: E301, reason: x}]}\n", "E155", "`code` does not fit"),
        ("validate: {switched_off: [{code: E424}]}\n", "E153", "'reason' is a required property"),
        ("validate: {limit_factor: 5\n", "E102", "not closed"),
    ],
)
@pytest.mark.usefixtures("desk")
def test_settings_are_read_strictly(
    text: str, code: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(text)

    assert main(["validate", "policies"]) == 1
    told = capsys.readouterr().err
    assert "settings.yaml:" in told
    assert f"error[{code}]" in told
    assert said in told


def test_settings_are_those_of_the_repository_or_of_the_directory_one_is_in(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(desk, "max_positions: 10", "max_positions: 0")
    settle("validate: {switched_off: [{code: E424, reason: frozen}]}\n")
    monkeypatch.chdir(desk.parent)
    assert main(["validate", ".", "--strict"]) == 0
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(".git")
    assert main(["validate", "policies", "--strict"]) == 0
    monkeypatch.chdir(desk.parent)
    assert main(["validate", ".", "--strict"]) == 1
    capsys.readouterr()


@pytest.mark.usefixtures("desk")
def test_a_comparison_starts_without_heavy_libraries_too() -> None:
    code = (
        "import sys; from ringfence.cli.main import main; "
        "main(['validate', 'policies', '--base', 'main']); "
        "print(sorted(set(sys.argv[1:]) & set(sys.modules)))"
    )
    heavy = ("numba", "duckdb", "z3", "numpy", "pyarrow", "jsonschema", "cerberus", "ruamel")
    ran = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True
    )

    assert ran.stdout.splitlines()[-1] == "[]"
