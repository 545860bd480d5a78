"""`ringfence deploy` and the program at the root: arguments, report, exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from cli.deploying.deployments import ROOT, SCHEMA
from cli.recording_engine import RecordingEngine
from ringfence.cli.deploying.run import STEPS
from ringfence.cli.main import main

pytestmark = pytest.mark.integration


@pytest.fixture
def command(root: Path, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("PATH", f"{engine.folder}:{os.environ['PATH']}")
    skip = [
        word
        for each in STEPS
        if each.stage in ("security", "gate")
        for word in ("--skip", each.name)
    ]
    skip += ["--skip", "ports", "--skip", "disk", "--skip", "memory"]
    return ["--environment", "production", "--root", str(root), *skip]


def test_the_command_writes_its_report_in_both_forms(
    command: list[str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["deploy", *command, "--reason", "a test", "--dry-run"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "skipped  pip-audit  skipped: a test" in text
    assert text.endswith("dry run: nothing was changed, and nothing stands in the way\n")
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    jsonschema.validate(printed, SCHEMA)
    written = json.loads((root / "build/deployment/report.json").read_text())
    assert written.keys() == printed.keys()
    assert written["steps"][0]["name"] == "engine"
    report = (root / "build/deployment/report.txt").read_text()
    assert "planned  build" in report
    assert "deployment to production by" in report


def test_the_command_fails_where_a_step_does(
    command: list[str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "secrets" / "jwt_secret_key").unlink()

    assert main(["deploy", *command, "--reason", "a test"]) == 1
    out = capsys.readouterr().out
    assert "error: `JWT_SECRET_KEY` is not set" in out
    assert out.endswith("failed: `secrets`; nothing was started\n")


@pytest.mark.parametrize(
    "words", [[], ["--skip", "nothing"], ["--root", "/nowhere"], ["--report", "/proc/none"]]
)
def test_wrong_use_is_refused(
    words: list[str], command: list[str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = [] if not words else ["--reason", "a test"]
    if "--root" in words:
        command = [each for each in command if each not in ("--root", str(root))]

    assert main(["deploy", *command, "--dry-run", *reason, *words]) == 2
    assert "fix:" in capsys.readouterr().err


def test_the_program_at_the_root_is_the_command(root: Path, engine: RecordingEngine) -> None:
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "engine"),
        "PATH": f"{engine.folder}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [sys.executable, ROOT / "production_deployment.py", "--environment", "production",
         "--root", root, "--skip", "secrets"],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert "production skips `secrets` only with a reason" in done.stderr
