"""`ringfence ci`: its forms, its files, its exit codes."""

import json
import os
from pathlib import Path

import jsonschema
import pytest

from review.pull_requests import build, git, read
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base", "nowhere"], "`nowhere` is no revision of this repository"),
        (["--policies", "nowhere"], "`nowhere` does not exist"),
        (["--now", "noon"], "noon"),
        (["--comment", "policies"], "`policies` cannot be written"),
    ],
)
def test_wrong_input_is_said_in_a_line(
    arguments: list[str], said: str, desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk("a-comment-alone")

    assert main(["ci", *NOW, *arguments]) == 2

    shown = capsys.readouterr()
    assert said in shown.err
    assert "fix: " in shown.err
    assert "Traceback" not in shown.err
