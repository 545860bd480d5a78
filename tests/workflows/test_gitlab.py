"""The template for GitLab: its script lines run, on a real merge request, as a runner runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from review.pull_requests import build, git, read
from workflows.workflow_steps import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.needs("git", "git")]

TEMPLATE: dict[str, Any] = yaml.safe_load(
    (ROOT / "examples" / "gitlab" / "ringfence.gitlab-ci.yml").read_text(encoding="utf-8")
)
JOB = TEMPLATE["ringfence"]
PROGRAM = "/tmp/ringfence/bin/ringfence"


def test_it_runs_in_merge_requests_with_the_whole_history() -> None:
    assert JOB["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
    assert JOB["variables"]["GIT_DEPTH"] == "0"
    assert JOB["artifacts"]["when"] == "always"


@pytest.mark.security
def test_no_token_is_asked_for() -> None:
    text = json.dumps(TEMPLATE)

    assert "TOKEN" not in text
    assert "id_tokens" not in text


def test_the_version_goes_to_pip_as_one_word(tmp_path: Path) -> None:
    install = next(line for line in JOB["before_script"] if "pip install" in line)
    shown = install.replace("/tmp/ringfence/bin/pip", "printf '%s\\n'")

    for version, word in (("", "ringfence"), ("1.2.3", "ringfence==1.2.3")):
        done = subprocess.run(
            ["sh", "-ec", shown],
            env={"RINGFENCE_VERSION": version},
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        assert done.stdout.splitlines()[-1] == word


@pytest.mark.parametrize(
    ("name", "code", "verdict"),
    [
        ("a-comment-alone", 0, "✅ Ringfence: passed"),
        ("a-slip-in-a-scope", 1, "❌ Ringfence: validate failed"),
    ],
)
def test_a_merge_request_gets_its_verdict(
    name: str, code: int, verdict: str, tmp_path: Path
) -> None:
    folder = tmp_path / "desk"
    build(read(name), folder)
    # The one word that a runner has and this machine has not: where Ringfence is installed.
    script = "\n".join(JOB["script"]).replace(PROGRAM, f"{sys.executable} -m ringfence.cli.main")
    variables = {**TEMPLATE["variables"], **JOB["variables"]}
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "engine"),
        "HOME": str(tmp_path),
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(folder, "rev-parse", "main").strip(),
        **{key: value.replace("$CI_PROJECT_DIR", str(folder)) for key, value in variables.items()},
    }

    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code, done.stdout + done.stderr
    artifact = folder / JOB["artifacts"]["paths"][0]
    assert f"## {verdict}" in (artifact / "comment.md").read_text("utf-8")
    assert (artifact / "findings.sarif").is_file()
