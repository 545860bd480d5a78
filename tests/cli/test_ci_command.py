"""`ringfence ci`: its forms, its files, its exit codes."""

import json
import os
from pathlib import Path

import jsonschema
import pytest

from review.pull_requests import build, commit, git, read
from ringfence._resources import bundled
from ringfence.cli.main import main

pytestmark = [pytest.mark.integration, pytest.mark.needs("git", "git")]

NOW = ["--now", "2026-03-02T09:00:00Z"]
SCHEMA = json.loads(bundled("schemas").joinpath("ci-result.v1.schema.json").read_text("utf-8"))
VARIABLES = ("GITHUB_BASE_REF", "GITHUB_STEP_SUMMARY", "CI_MERGE_REQUEST_DIFF_BASE_SHA")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a case's repository the current directory."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def make(name: str) -> Path:
        build(read(name), tmp_path / "desk")
        monkeypatch.chdir(tmp_path / "desk")
        return tmp_path / "desk"

    return make


def test_every_step_says_what_it_found(desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk("a-slip-in-a-scope")

    assert main(["ci", *NOW, "--approved-by", "ben"]) == 1

    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    names = [line.split()[1] for line in lines[:-1]]
    assert names == ["validate", "fmt", "lint", "test", "prove", "plan"]
    assert lines[0].startswith("failed   validate   1 error; 3 policies, 16 gates (")
    assert lines[-1] == "validate failed: 1 error"
    assert "policies/taker.yaml:12:18: error[E420]" in shown.err


def test_json_has_its_shape(desk, capsys: pytest.CaptureFixture[str]) -> None:
    folder = desk("a-slip-in-a-scope")

    assert main(["ci", *NOW, "--json"]) == 1

    result = json.loads(capsys.readouterr().out)
    jsonschema.validate(result, SCHEMA)
    assert result["verdict"] == "failed"
    assert result["base"]["name"] == "main"
    assert result["head"] == git(folder, "rev-parse", "HEAD").strip()
    assert [each["code"] for step in result["steps"] for each in step["findings"]] == ["E420"]


def test_annotations_and_files_for_a_pull_request(
    desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = desk("a-slip-in-a-scope")
    git(folder, "update-ref", "refs/remotes/origin/main", "main")
    monkeypatch.setenv("GITHUB_BASE_REF", "main")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    out = tmp_path / "out"
    files = ["--comment", str(out / "comment.md"), "--sarif", str(out / "findings.sarif")]

    assert main(["ci", *NOW, "--format", "github", *files]) == 1

    assert "::error file=policies/taker.yaml,line=12," in capsys.readouterr().out
    comment = (out / "comment.md").read_text("utf-8")
    assert comment.startswith("<!-- ringfence -->\n")
    assert (tmp_path / "summary").read_text("utf-8") == comment
    sarif = json.loads((out / "findings.sarif").read_text("utf-8"))
    assert [each["ruleId"] for each in sarif["runs"][0]["results"]] == ["E420"]


def test_the_directory_is_judged_committed_or_not(desk, capsys: pytest.CaptureFixture[str]) -> None:
    folder = desk("a-slip-in-a-scope")
    git(folder, "restore", "--source", "main", "policies")

    main(["ci", *NOW, "--json"])

    result = json.loads(capsys.readouterr().out)
    assert [step["findings"] for step in result["steps"]] == [[]] * len(result["steps"])


def test_without_a_repository_what_can_be_checked_is(
    desk, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = desk("a-slip-in-a-scope")
    os.rename(folder / ".git", folder.parent / "git")

    assert main(["ci", *NOW, "--json"]) == 1

    result = json.loads(capsys.readouterr().out)
    jsonschema.validate(result, SCHEMA)
    assert result["base"] is None
    verdicts = {step["name"]: step["verdict"] for step in result["steps"]}
    assert verdicts["validate"] == "failed"
    assert verdicts["plan"] == "skipped"


def test_what_is_replayed_stands_in_the_settings_of_the_base(
    desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = desk("an-author-who-approves-himself")
    settings = folder / ".ringfence" / "settings.yaml"
    replayed = "ci: {orders: orders/orders.csv, marks: orders/marks.csv, equity: 6000000}\n"
    git(folder, "switch", "-q", "main")
    settings.write_text(settings.read_text("utf-8") + replayed, encoding="utf-8")
    commit(folder, "Replay orders", "dora")
    git(folder, "switch", "-q", "change")
    git(
        folder, "rebase", "-q", "main", GIT_COMMITTER_NAME="ben",
        GIT_COMMITTER_EMAIL="ben@example.com",
    )  # fmt: skip
    settings.write_text(settings.read_text("utf-8").replace("orders.csv", "nothing.csv"), "utf-8")
    out = tmp_path / "out"

    # Nobody but the author approves, and others are to wait for that.
    files = ["--comment", str(out / "comment.md"), "--report", str(out / "report")]
    code = main(["ci", *NOW, "--no-approvals", "--approved-by", "ben@example.com", *files])

    said = capsys.readouterr()
    assert code == 0, said
    assert (
        "looser; 1 check gone or weaker; approvals missing: 1 more of anyone, 2 more of risk"
        in said.out
    )
    assert "Details of the dry run" in (out / "comment.md").read_text("utf-8")
    assert (out / "report" / "plan.html").is_file()


def test_where_the_base_has_no_policies_approvals_are_those_of_a_looser_change(
    desk, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = desk("a-comment-alone")
    (folder / "policies").rename(folder / "limits")

    assert main(["ci", *NOW, "--policies", "limits", "--approved-by", "ben", "--json"]) == 1

    plan = json.loads(capsys.readouterr().out)["steps"][-1]
    assert plan["verdict"] == "waits"
    assert plan["said"].startswith("the base has no policies that could be compared with")
    assert plan["said"].endswith("approvals missing: 1 more of risk")


def test_warnings_fail_a_strict_gate_alone(desk) -> None:
    desk("a-limit-that-cannot-be-reached")
    approved = ["--approved-by", "ben", "--approved-by", "cleo"]

    assert main(["ci", *NOW, *approved]) == 0
    assert main(["ci", *NOW, *approved, "--strict"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base", "nowhere"], "`nowhere` is no revision of this repository"),
        (["--policies", "nowhere"], "`nowhere` does not exist"),
        (["--now", "noon"], "noon"),
        (["--marks", "marks.csv"], "`--marks` goes with `--orders`"),
        (["--equity", "5"], "`--equity` goes with `--orders`"),
        (["--comment", "policies"], "`policies` cannot be written"),
    ],
)
def test_wrong_input_is_said_in_a_line(
    arguments: list[str], said: str, desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk("a-comment-alone")

    assert main(["ci", *(NOW if "--now" not in arguments else []), *arguments]) == 2

    shown = capsys.readouterr()
    assert said in shown.err
    assert "fix: " in shown.err
    assert "Traceback" not in shown.err
