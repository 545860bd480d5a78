"""The action's steps one after another, on real pull requests: installed, run, commented on."""

import json
import shutil
import site
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from review.pull_requests import build, git, read
from workflows.github_server import REPOSITORY, TOKEN, GitHub, github
from workflows.workflow_steps import ACTION, ROOT, Ran, execute
from workflows.workflow_steps import read as read_yaml

pytestmark = [pytest.mark.integration, pytest.mark.needs("git", "git")]

INPUTS = {
    name: each["default"] for name, each in read_yaml(ACTION / "action.yml")["inputs"].items()
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of the action, as GitHub downloads it: what its version holds, without history."""
    folder = tmp_path_factory.mktemp("action") / "ringfence"
    folder.mkdir()
    for name in (".github/actions", "engine", "rules", "schemas"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


@dataclass
class Run:
    """One run of the action in a checkout; what its steps came to, by name."""

    release: Path
    checkout: Path
    github: GitHub
    inputs: dict[str, str] = field(default_factory=dict)
    ran: dict[str, Ran] = field(default_factory=dict)

    def step(self, name: str) -> Ran:
        """Execute a step of the action."""
        event = self.checkout.parent / "event.json"
        head = git(self.checkout, "rev-parse", "HEAD").strip()
        change = {
            "number": 7,
            "head": {"sha": head},
            "base": {"ref": "main"},
            "user": {"login": "ann"},
        }
        event.write_text(json.dumps({"pull_request": change}))
        packages = site.getsitepackages()[0]
        self.ran[name] = execute(
            f"action ringfence/{name}",
            self.checkout,
            given=self._expressions(),
            variables={
                "GITHUB_ACTION_PATH": str(self.release / ".github/actions/ringfence"),
                "GITHUB_API_URL": self.github.url,
                "GITHUB_EVENT_PATH": str(event),
                "GITHUB_REPOSITORY": REPOSITORY,
                # No registry is at hand: what it would install beside Ringfence is there already.
                "PIP_NO_BUILD_ISOLATION": "0",
                "PIP_NO_DEPS": "1",
                "PIP_NO_INDEX": "1",
                "PYTHONPATH": packages,
            },
        )
        return self.ran[name]

    def _expressions(self) -> Mapping[str, str]:
        outputs = {
            f"steps.{name}.outputs.{key}": value
            for name, step in (("places", "Places"), ("gate", "Gate"))
            if step in self.ran
            for key, value in self.ran[step].outputs.items()
        }
        return {
            "github.event.pull_request.base.ref": "main",
            "github.event.pull_request.head.sha": git(self.checkout, "rev-parse", "HEAD").strip(),
            "github.event.pull_request.user.login": "ann",
            "steps.python.outputs.python-path": sys.executable,
            **{f"inputs.{name}": value for name, value in {**INPUTS, **self.inputs}.items()},
            "inputs.token": TOKEN,
            **outputs,
        }


@pytest.fixture
def server() -> Iterator[GitHub]:
    with github() as running:
        yield running


def checkout(name: str, folder: Path) -> Path:
    """What the checkout action leaves: a pull request's head, and the branch it goes to as `origin/main`."""
    build(read(name), folder / "desk")
    git(folder / "desk", "update-ref", "refs/remotes/origin/main", "main")
    git(folder / "desk", "branch", "-q", "-D", "main")
    return folder / "desk"


@pytest.fixture(scope="module")
def installed(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that the step `Install` makes."""
    folder = tmp_path_factory.mktemp("installed")
    with github() as running:
        run = Run(release, checkout("a-comment-alone", folder), running)
        places, install = run.step("Places"), run.step("Install")
    assert (places.code, install.code) == (0, 0), places.out + install.out
    return folder / "desk-runner" / "ringfence-venv"


@pytest.fixture
def run_all(release: Path, installed: Path, server: GitHub, tmp_path: Path):
    """Runs every step on a case, and gives what they came to."""

    def run(name: str, **inputs: str) -> Run:
        whole = Run(release, checkout(name, tmp_path), server, inputs)
        runner = tmp_path / "desk-runner"
        runner.mkdir()
        (runner / "ringfence-venv").symlink_to(installed)
        for step in ("Places", "Approving reviews", "Gate", "Comment", "Verdict"):
            whole.step(step)
        return whole

    return run


def test_a_good_pull_request_passes_and_gets_a_comment(run_all, server: GitHub) -> None:
    run = run_all("a-comment-alone")

    assert {name: ran.code for name, ran in run.ran.items()} == dict.fromkeys(run.ran, 0), run.ran
    gate = run.ran["Gate"]
    assert gate.outputs["verdict"] == "passed"
    comment = server.comments[0]["body"]
    assert comment.startswith("<!-- ringfence -->\n\n## ✅ Ringfence: passed\n")
    assert "base <code>origin/main</code>" in comment
    # The job summary is the comment, word for word.
    assert gate.summary == comment
    folder = Path(run.ran["Places"].outputs["folder"])
    assert json.loads((folder / "findings.sarif").read_text())["runs"][0]["results"] == []


def test_a_bad_pull_request_fails_with_annotations_on_its_lines(run_all, server: GitHub) -> None:
    run = run_all("a-rule-version-that-is-not-there")

    assert {name: ran.code for name, ran in run.ran.items() if ran.code} == {"Verdict": 1}
    gate = run.ran["Gate"]
    assert gate.outputs == {
        "exit-code": "1",
        "verdict": "failed",
        "sarif": "true",
        "comment": "true",
    }
    assert "::error file=policies/desk.yaml,line=33,endLine=33,col=" in gate.out
    assert "**E215**" in server.comments[0]["body"]


def test_a_gate_that_cannot_run_is_no_pass(run_all) -> None:
    run = run_all("a-comment-alone", base="nothing-of-this-name")

    assert run.ran["Gate"].outputs == {"exit-code": "2", "verdict": "broken"}
    assert run.ran["Verdict"].code == 2
    assert "fetch-depth: 0" in run.ran["Gate"].out


def test_reviews_are_what_a_raise_waits_for(run_all, server: GitHub) -> None:
    waiting = run_all("a-raise-of-the-firm-with-two-approvals")

    assert waiting.ran["Gate"].outputs["verdict"] == "failed"
    assert waiting.ran["Verdict"].code == 1
    assert "⏳ Ringfence: waits for approvals" in server.comments[0]["body"]

    head = git(waiting.checkout, "rev-parse", "HEAD").strip()
    for number, login in enumerate(("ben", "cleo"), 1):
        server.reviews.append(
            {
                "user": {"login": login},
                "state": "APPROVED",
                "commit_id": head,
                "submitted_at": f"2026-03-02T09:0{number}:00Z",
            }
        )
    for step in ("Places", "Approving reviews", "Gate", "Comment", "Verdict"):
        waiting.step(step)

    assert waiting.ran["Verdict"].code == 0, waiting.ran["Gate"].out
    assert len(server.comments) == 1
    assert "✅ Ringfence: passed" in server.comments[0]["body"]


@pytest.mark.security
def test_a_pull_request_from_a_fork_writes_its_summary_alone(run_all, server: GitHub) -> None:
    server.writable = False

    run = run_all("a-comment-alone")

    assert {ran.code for ran in run.ran.values()} == {0}
    assert server.comments == []
    assert run.ran["Gate"].summary.startswith("<!-- ringfence -->\n\n## ✅ Ringfence: passed\n")
    assert "::notice title=Ringfence::this run may not write" in run.ran["Comment"].out


@pytest.mark.security
def test_inputs_are_words_and_never_commands(run_all, tmp_path: Path) -> None:
    run = run_all("a-comment-alone", policies=f"$(touch {tmp_path}/here); `id` policies")

    assert run.ran["Gate"].outputs["verdict"] == "broken"
    assert not (tmp_path / "here").exists()
