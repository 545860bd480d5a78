"""`ringfence test`: its formats, what it fails for, and watching."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from review.small_desks import write_desk
from ringfence.cli.main import main
from ringfence.cli.test_watch import watch
from ringfence.errors import Diagnostic, InputError, PolicyError, Span

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
GATE = "    - {rule: order-notional@1, limits: {max: 100 USD}}\n"
GOOD = "  - {name: at the limit, then: {decision: APPROVE, gates: {desk/order-notional: pass}}}\n"
BAD = '  - {name: beyond, when: {size: "1.1"}, then: {decision: APPROVE}}\n'


def report(text: str) -> Any:
    found = json.loads(text)
    schema = json.loads((ROOT / "schemas" / "test-report.v1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(found)
    return found


def test_json_has_every_case_with_its_gates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = write_desk(tmp_path, GATE, GOOD + BAD)

    assert main(["test", str(desk), "--json"]) == 1
    found = report(capsys.readouterr().out)
    assert (found["passed"], found["failed"], found["sound"]) == (1, 1, False)
    good, bad = found["cases"]
    assert bad["place"] == f"{desk}/tests/desk.yaml:16:5"
    assert bad["problems"][0].startswith("expected APPROVE, got REJECT (ORDER_NOTIONAL")
    gate = next(each for each in good["gates"] if each["policy"] == "desk@1.0.0")
    assert gate == {
        "policy": "desk@1.0.0",
        "gate": "order-notional",
        "outcome": "pass",
        "check": "value",
        "measure": 100.0,
        "limit": 100.0,
        "unit": "money",
        "reason": "",
    }


def test_json_of_a_failing_case_has_what_was_given_expected_and_got(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dark = (
        "  - name: dark\n    given: {market: {BTC/USD: {last: .nan, bid: .inf}}}\n"
        "    then: {decision: APPROVE, gates: {desk/order-notional: pass}}\n"
    )
    desk = write_desk(tmp_path, GATE, GOOD + BAD + dark)

    assert main(["test", str(desk), "--json"]) == 1
    good, bad, unknown = report(capsys.readouterr().out)["cases"]
    assert not {"given", "when", "then"} & set(good)
    assert bad["then"] == {"decision": "APPROVE"}
    assert (bad["when"]["size"], bad["when"]["price"]) == ("1.1", "100")
    assert bad["given"]["clock"] == "2026-01-05T12:00:00Z"
    assert bad["given"]["books"]["account/main"]["equity"] == 100000
    assert (bad["decision"], bad["size"], bad["code"]) == ("REJECT", "0", "ORDER_NOTIONAL")
    gate = next(each for each in bad["gates"] if each["gate"] == "order-notional")
    assert (gate["outcome"], gate["measure"], gate["limit"]) == ("breach", 110.0, 100.0)
    assert (gate["unit"], gate["reason"]) == ("money", "")
    assert unknown["given"]["market"]["BTC/USD"]["last"] == ".nan"
    assert unknown["given"]["market"]["BTC/USD"]["bid"] == ".inf"
    assert unknown["then"]["gates"] == {"desk/order-notional": "pass"}


def test_json_of_a_case_that_cannot_be_has_what_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = "  - {name: torn, given: {books: {account/main: {cash: 5}}}, then: {decision: REJECT}}\n"
    desk = write_desk(tmp_path, GATE, torn)

    assert main(["test", str(desk), "--json"]) == 1
    (case,) = report(capsys.readouterr().out)["cases"]
    assert "cash 5" in case["problems"][0]
    assert case["given"]["books"]["account/main"]["cash"] == 5
    assert (case["decision"], case["code"], case["gates"]) == (None, None, [])


def test_json_has_coverage_and_mutants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = write_desk(tmp_path, GATE, GOOD)

    assert main(["test", str(desk), "--json", "--coverage", "--mutate", "--max-mutants", "20"]) == 0
    found = report(capsys.readouterr().out)
    coverage, mutation = found["coverage"], found["mutation"]
    assert coverage["covered"] + len(coverage["uncovered"]) == coverage["items"]
    assert {"name": "desk@1.0.0/order-notional", "covered": 2, "items": 6} in coverage["groups"]
    assert mutation["tried"] + mutation["refused"] == 20
    assert mutation["noticed"] == mutation["tried"] - len(mutation["survivors"])
    assert mutation["left_out"] > 0


def test_text_shows_a_table_and_what_is_missing_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = write_desk(tmp_path, GATE, GOOD)

    assert main(["test", str(desk), "--coverage", "--mutate"]) == 0
    shown = capsys.readouterr().out
    assert "1 passed, 0 failed" in shown
    assert "    2/6      33 %  desk@1.0.0/order-notional" in shown
    place = f"{desk}/desk.yaml:8:46"
    assert f"  {place}: desk@1.0.0/order-notional: `max: 100 USD`, one step outside" in shown
    change = "`max: 100 USD` becomes `101 USD`"
    assert f"  {place}: desk@1.0.0/order-notional: {change}" in shown
    assert "    a test would have to check an order one step outside the limit" in shown
    assert "16 more are no policies" in shown


def test_text_of_a_bounded_run_says_what_is_left_out_and_what_is_too_little(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = write_desk(tmp_path, GATE, GOOD)

    words = ["--max-mutants", "30", "--fail-under-mutants", "99", "--fail-under", "99"]
    assert main(["test", str(desk), *words]) == 1
    shown = capsys.readouterr().out
    assert "more were left out by --max-mutants" in shown
    assert "fewer mutants are noticed than the 99 % that are wanted" in shown
    assert "coverage is below the 99 % that are wanted" in shown


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--fail-under", "10"], 0),
        (["--fail-under", "10%"], 0),
        (["--fail-under", "90"], 1),
        (["--fail-under-mutants", "1"], 0),
        (["--fail-under-mutants", "100"], 1),
    ],
)
def test_too_little_covered_or_noticed_fails(words: list[str], code: int, tmp_path: Path) -> None:
    desk = write_desk(tmp_path, GATE, GOOD)

    assert main(["test", str(desk), *words]) == code


def test_github_annotates_failed_cases_and_what_no_case_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_desk(tmp_path, GATE, GOOD + BAD))

    assert main(["test", ".", "--format", "github", "--fail-under", "50"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("::error file=tests/desk.yaml,line=16,")
    assert any(each.startswith("::error file=") and "E502" in each for each in lines[1:])
    notices = [each for each in lines if each.startswith("::notice file=desk.yaml,line=8,")]
    assert any("one step outside" in each for each in notices)


def test_junit_has_a_case_for_each_case_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_desk(tmp_path, GATE, GOOD + BAD))

    assert main(["test", ".", "--format", "junit", "--fail-under", "99"]) == 1
    suite = ElementTree.fromstring(capsys.readouterr().out).find("testsuite")
    assert suite is not None
    good, bad, *others = suite.findall("testcase")
    assert (good.get("name"), good.find("failure")) == ("at the limit", None)
    assert (bad.get("file"), bad.get("line")) == ("tests/desk.yaml", "16")
    failure = bad.find("failure")
    assert failure is not None
    assert "expected APPROVE, got REJECT" in (failure.get("message") or "")
    lines = (failure.text or "").splitlines()
    assert any(each.startswith("given: ") for each in lines)
    assert 'expected: {"decision": "APPROVE"}' in lines
    assert any(each.startswith('got: {"decision": "REJECT", "size": "0"') for each in lines)
    assert any(
        each.startswith("desk@1.0.0/order-notional: breach measure=110 limit=100") for each in lines
    )
    assert [each.get("name") for each in others if each.find("failure") is not None] == [
        "E502: `34.5 %` of the items are covered, and `99 %` are wanted"
    ]


def test_measures_of_a_failing_case_are_written_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = GATE.replace("100 USD", "1_234_567 USD")
    assert gate != GATE
    bad = BAD.replace('"1.1"', '"123456.7"')
    monkeypatch.chdir(write_desk(tmp_path, gate, bad))

    assert main(["test", "."]) == 1
    said = capsys.readouterr().out
    assert " limit=1,234,567" in said
    assert "e+0" not in said


def test_junit_of_files_that_cannot_be_used_bears_the_commands_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = write_desk(tmp_path, GATE, GOOD.replace("APPROVE", "approve"))

    assert main(["test", str(desk), "--format", "junit"]) == 1
    suite = ElementTree.fromstring(capsys.readouterr().out).find("testsuite")
    assert suite is not None
    assert suite.get("name") == "ringfence test"


def test_sarif_has_what_no_case_notices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = write_desk(tmp_path, GATE, GOOD)

    assert main(["test", str(desk), "--format", "sarif", "--mutate"]) == 0
    results = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    assert {each["ruleId"] for each in results} == {"E503"}
    assert {each["level"] for each in results} == {"warning"}


def test_mutants_wait_until_all_cases_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = write_desk(tmp_path, GATE, GOOD + BAD)

    assert main(["test", str(desk), "--mutate"]) == 1
    assert "\nmutants: " not in capsys.readouterr().out


@pytest.mark.needs("git", "git")
def test_changed_from_says_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = write_desk(tmp_path, GATE, GOOD)
    monkeypatch.chdir(desk)
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "."]):
        author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *author, *words], check=True)

    assert main(["test", ".", "--changed-from", "HEAD"]) == 0
    assert capsys.readouterr().out == (
        "changed: nothing that a case can notice\n"
        "left out: 1 case of 1 file: neither the file nor what it tests changed\n"
        "0 passed, 0 failed\n"
    )
    assert main(["test", ".", "--changed-from", "HEAD", "--json"]) == 0
    assert report(capsys.readouterr().out)["left_out"] == [
        {
            "path": "tests/desk.yaml",
            "cases": 1,
            "why": "neither the file nor what it tests changed",
        }
    ]


def test_suggest_writes_a_test_file_and_says_what_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = "{symbols: ['BTC/*']}"
    desk = write_desk(tmp_path, GATE, GOOD, scope=scope)
    more = desk / "tests" / "more.yaml"

    assert main(["test", str(desk), "--suggest"]) == 0
    printed, said = capsys.readouterr()
    assert "  - name: desk/order-notional just beyond max 100 USD\n" in printed
    assert "no case found for desk@1.0.0: scope: an order outside its symbols" in said
    assert main(["test", str(desk), "--suggest", "-o", str(more)]) == 0
    capsys.readouterr()
    assert more.read_text().replace("name: more", "name: suggested") == printed
    assert main(["test", str(desk), "--coverage", "--json"]) == 0
    left = report(capsys.readouterr().out)["coverage"]["uncovered"]
    assert {each["kind"] for each in left} == {"scope"}

    # Nothing is written over, and nothing is suggested twice.
    assert main(["test", str(desk), "--suggest", "-o", str(more)]) == 0
    assert capsys.readouterr().err.endswith(
        "0 cases suggested, 1 left: write a case for it by hand, "
        "`ringfence test --coverage` lists what no case shows\n"
    )
    write_desk(tmp_path, GATE, GOOD)
    assert main(["test", str(desk), "--suggest"]) == 0
    assert capsys.readouterr().err == (
        "0 cases suggested: the cases show every gate, limit, override and scope\n"
    )
    more.write_text("# mine\n")
    assert main(["test", str(desk / "tests" / "desk.yaml"), "--policies", str(desk)]) == 1


@pytest.mark.parametrize("file", ["My_more cases.yaml", "2026.yaml"])
def test_what_is_suggested_is_a_sound_document_whatever_its_file_is_called(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = write_desk(tmp_path / "policies", GATE, GOOD)
    monkeypatch.chdir(tmp_path)
    schema = Path(".ringfence/schemas/policytest.schema.json")
    schema.parent.mkdir(parents=True)
    schema.write_text("{}\n")
    tests = desk.relative_to(tmp_path) / "tests"

    assert main(["test", str(tests.parent), "--suggest", "-o", str(tests / file)]) == 0

    first = (tests / file).read_text().partition("\n")[0]
    assert first == f"# yaml-language-server: $schema={os.path.relpath(schema, tests)}"
    assert main(["validate", str(tests.parent)]) == 0
    assert main(["lint", str(tests / file)]) == 1
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if "warning[" in line and "E452" not in line] == []
    # A name that no document may have is not proposed.
    assert "or the document" not in said


@pytest.mark.parametrize(
    "words",
    [
        ["--changed-from", "HEAD", "--suggest"],
        ["--suggest", "--json"],
        ["--suggest", "--coverage"],
        ["--watch", "--suggest"],
        ["-o", "more.yaml"],
        ["--suggest", "-o", "."],
        ["--suggest", "-o", "/no/such/place/more.yaml"],
        ["--changed-from", "HEAD", "--coverage"],
        ["--changed-from", "HEAD", "--mutate"],
        ["--watch", "--json"],
        ["--watch", "--mutate"],
        ["--fail-under", "101"],
        ["--fail-under", "much"],
        ["--jobs", "0"],
        ["--jobs", "2"],
        ["--seed", "0"],
        ["--max-mutants", "5"],
        ["--max-mutants", "few"],
        ["--watch", "nowhere"],
    ],
)
def test_what_does_not_go_together_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = write_desk(tmp_path, GATE, GOOD)

    assert main(["test", str(desk), *words]) == 2
    assert capsys.readouterr().err


@pytest.mark.integration
def test_watching_runs_again_at_each_change_until_it_is_ended(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, GATE, GOOD)
    with subprocess.Popen(
        [sys.executable, "-m", "ringfence.cli.main", "test", str(desk), "--watch"],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as watching:
        assert watching.stdout is not None

        def shown() -> list[str]:
            """What is printed until it waits again."""
            assert watching.stdout is not None
            lines: list[str] = []
            for line in watching.stdout:
                lines.append(line.rstrip("\n"))
                if line.startswith("waiting for a change"):
                    break
            return lines

        try:
            assert shown()[0] == "1 passed, 0 failed"

            # A file that holds the same as before is no change.
            test = desk / "tests" / "desk.yaml"
            test.write_text(test.read_text())
            edited = (desk / "desk.yaml").read_text().replace("100 USD", "99 USD")
            (desk / "desk.yaml").write_text(edited)
            second = shown()
            assert second[0] == f"changed: {desk}/desk.yaml"
            assert second[-2] == "0 passed, 1 failed"

            (desk / "desk.yaml").write_text(edited.replace("order-notional@1", "order-notinal@1"))
            assert any("error[E214]" in each for each in shown())

            (desk / "desk.yaml").write_text(edited)
            assert shown()[-2] == "0 passed, 1 failed"

            test.unlink()
            assert any("no test cases found" in each for each in shown())
        finally:
            watching.send_signal(signal.SIGINT)
        rest, _ = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert "Traceback" not in rest


def test_watching_hears_of_a_file_and_goes_on_after_what_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = write_desk(tmp_path, GATE, GOOD)
    file, beside = desk / "desk.yaml", desk / "instruments.yaml"
    errors = [
        InputError("nothing there"),
        PolicyError([Diagnostic("E214", "unknown rule `x`", Span(str(file), 1, 1, 1, 2))]),
    ]
    runs: list[str] = []

    def run() -> int:
        """Change the file that is watched, and one that is not, and fail in one way after the other."""
        runs.append(file.read_text())
        if len(runs) > len(errors):
            raise KeyboardInterrupt
        beside.write_text(f"# {len(runs)}")
        file.write_text(f"# {len(runs)}")
        raise errors[len(runs) - 1]

    with pytest.raises(KeyboardInterrupt):
        watch([file], run)

    assert runs[1:] == ["# 1", "# 2"]
    shown = capsys.readouterr()
    assert shown.out.count("waiting for a change") == 2
    assert shown.out.count(f"changed: {file}") == 2
    assert "nothing there" in shown.err
    assert "error[E214]" in shown.err
