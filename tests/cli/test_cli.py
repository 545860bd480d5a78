"""The command line: what each command prints, and the exit code it ends with."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from ringfence import __version__
from ringfence.cli import fields
from ringfence.cli.main import main

pytestmark = pytest.mark.smoke

POLICY = """\
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: 1.0.0, owner: risk, description: The desk.}
spec:
  currency: USD
  gates:
    - rule: kill-switch@1
    - rule: data-quality@1
    - {rule: data-quality@1, name: fuller, limits: {min_completeness: 99%}}
    - rule: daily-loss@1
    - rule: drawdown@1
    - rule: position-count@1
    - rule: correlated-exposure@1
    - rule: position-size@1
    - rule: total-exposure@1
      limits: {max: 50_000 USD}
      overrides:
        - limits: {max: 80_000 USD}
          scope: {accounts: [alpha]}
          from: 2026-01-01
          until: 2026-02-01
          ticket: RISK-142
    - {rule: total-exposure@1, name: wide, limits: {max: 60_000 USD}}
"""
TESTS = """\
apiVersion: ringfence/v1
kind: PolicyTest
metadata: {name: kill, version: 1.0.0, description: An unknown symbol.}
policy: {gates: [{rule: kill-switch@1}]}
cases:
  - name: a symbol nobody declared
    given: {}
    when: {account: a, symbol: BTC/USD, side: buy, size: "1", price: "100"}
    then: {decision: APPROVE}
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "desk.yaml").write_text(POLICY, encoding="utf-8")
    return folder


def _effective(desk: Path, at: str, capsys: pytest.CaptureFixture[str]) -> list[dict]:
    arguments = ["--account", "alpha", "--symbol", "BTC/USD", "--at", at, "--json"]
    assert main(["effective", "--policies", str(desk), *arguments]) == 0
    return json.loads(capsys.readouterr().out)["limits"]


def test_the_command_starts_without_heavy_libraries() -> None:
    code = (
        "import sys; from ringfence.cli.main import main; main(['--version']); "
        "print(sorted({'numba', 'duckdb', 'numpy', 'pyarrow', 'jsonschema'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines() == [f"ringfence {__version__}", "[]"]


def test_a_sound_set_is_validated_without_what_only_findings_need() -> None:
    code = (
        "import sys; from ringfence.cli.main import main; main(['validate', 'policies']); "
        "print(sorted(set(sys.argv[1:]) & set(sys.modules)))"
    )
    heavy = ("numba", "duckdb", "z3", "numpy", "pyarrow", "rich", "jinja2", "matplotlib")
    of_findings = ("jsonschema", "cerberus", "difflib", "traceback", "importlib.metadata")
    ran = subprocess.run(
        [sys.executable, "-c", code, *heavy, *of_findings],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )

    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["test", "dry-run", "no-such-command", "--version", "-h"])
def test_a_command_read_alone_is_read_as_among_all(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = main([command, "--no-such-flag"]), capsys.readouterr()

    assert (main(["--debug", command, "--no-such-flag"]), capsys.readouterr()) == alone


def test_a_sound_set_is_valid_and_named(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(desk)]) == 0
    assert "1 policy, 10 gates, policy set " in capsys.readouterr().out
    assert gc.isenabled()


def test_findings_show_the_source_line_and_end_with_1(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "desk.yaml").write_text(POLICY.replace("50_000 USD", "50_000"), encoding="utf-8")

    assert main(["validate", str(desk)]) == 1
    shown = capsys.readouterr().err
    assert "limits: {max: 50_000}" in shown
    assert "^" in shown

    assert main(["validate", str(desk), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["line"] == 16

    assert main(["validate", str(desk), "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error file=")


def test_what_is_wrong_in_several_tests_is_told_at_once(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = TESTS.replace("kill-switch@1", "kill-swich@1")
    (desk / "tests.yaml").write_text(wrong, encoding="utf-8")
    (desk / "more.yaml").write_text(wrong.replace("name: kill,", "name: more,"), encoding="utf-8")

    assert main(["validate", str(desk)]) == 1

    shown = capsys.readouterr().err
    assert f"{desk}/tests.yaml:4:25: error[E214]" in shown
    assert f"{desk}/more.yaml:4:25: error[E214]" in shown


def test_effective_shows_an_override_only_in_its_window(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def limit(rows: list[dict]) -> dict:
        (row,) = [r for r in rows if (r["gate"], r["parameter"]) == ("total-exposure", "max")]
        return row

    inside = limit(_effective(desk, "2026-01-15", capsys))
    assert (inside["amount"], inside["override"], inside["ticket"]) == (80_000, True, "RISK-142")
    assert not inside["tightest"]
    assert inside["place"].startswith(f"{desk / 'desk.yaml'}:18:")

    after = limit(_effective(desk, "2026-02-01", capsys))
    assert (after["amount"], after["override"], after["tightest"]) == (50_000, False, True)
    assert after["place"].startswith(f"{desk / 'desk.yaml'}:16:")


def test_the_tightest_of_limits_to_be_reached_is_the_largest(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = _effective(desk, "2026-01-15", capsys)
    tightest = {r["gate"]: r["tightest"] for r in rows if r["parameter"] == "min_completeness"}

    assert tightest == {"data-quality": False, "fuller": True}


def test_rules_pass_their_own_cases(capsys: pytest.CaptureFixture[str]) -> None:
    rules = Path(__file__).resolve().parents[2] / "rules"

    assert main(["test", str(rules / "kill-switch.yaml")]) == 0
    assert capsys.readouterr().out.endswith(" passed, 0 failed\n")


def test_a_failing_case_says_expected_and_got(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kill.yaml"
    file.write_text(TESTS, encoding="utf-8")

    assert main(["test", str(file)]) == 1
    shown = capsys.readouterr().out
    assert "a symbol nobody declared" in shown
    assert "expected APPROVE, got REJECT" in shown
    assert "given: " in shown
    assert shown.endswith("0 passed, 1 failed\n")


def test_fields_and_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fields", "--json"]) == 0
    assert "order.size" in {each["name"] for each in json.loads(capsys.readouterr().out)}

    assert main(["rules", "daily-loss"]) == 0
    assert "max_loss_ratio" in capsys.readouterr().out

    for name in ("daily-loss@1", "daily-loss@1.0.0"):
        assert main(["rules", name]) == 0
        assert "max_loss_ratio" in capsys.readouterr().out

    for name in ("daily-loss@9", "daily-loss@"):
        assert main(["rules", name]) == 2
        assert "did you mean `daily-loss`" in capsys.readouterr().err

    assert main(["rules", "daily-los"]) == 2
    assert "did you mean `daily-loss`" in capsys.readouterr().err


def test_the_editor_schema_knows_each_rules_parameters(tmp_path: Path) -> None:
    file = tmp_path / "policy.schema.json"
    assert main(["schema", "--out", str(file)]) == 0
    whole = json.loads(file.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(whole)
    validator = jsonschema.Draft202012Validator(whole)
    policy = yaml.load(POLICY, Loader=yaml.BaseLoader)

    assert not list(validator.iter_errors(policy))
    policy["spec"]["gates"][3]["limits"] = {"max_los": "1%"}
    assert [error.path[2] for error in validator.iter_errors(policy)] == [3]


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "no/such/path"],
        ["effective", "--account", "a", "--symbol", "b", "--at", "noon"],
        ["schema", "--out", "no/such/directory/file.json"],
        ["no-such-command"],
        [],
    ],
)
def test_bad_usage_ends_with_2_and_no_traceback(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert shown
    assert "Traceback" not in shown


def test_an_unforeseen_failure_shows_its_traceback_only_with_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(fields, "print_json", fail)

    assert main(["fields", "--json"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    for arguments in (["--debug", "fields", "--json"], ["fields", "--json", "--debug"]):
        assert main(arguments) == 2
        assert "Traceback" in capsys.readouterr().err
