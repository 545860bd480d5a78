"""The `run` steps of workflows and actions, and a runner that executes one as GitHub's does."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
ACTION = GITHUB / "actions" / "ringfence"

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass(frozen=True)
class Step:
    """One `run` step; `place` is its file, its job and its name."""

    place: str
    script: str
    shell: str | None
    env: Mapping[str, str]


def run_steps() -> Iterator[Step]:
    """Every `run` step below .github."""
    for file in sorted((GITHUB / "workflows").glob("*.yml")):
        for job, details in read(file)["jobs"].items():
            yield from _steps(f"{file.stem}/{job}", details.get("steps", ()))
    for file in sorted((GITHUB / "actions").glob("*/action.yml")):
        yield from _steps(f"action {file.parent.name}", read(file)["runs"]["steps"])


def step(place: str) -> Step:
    """The step of a place."""
    return next(each for each in run_steps() if each.place == place)


def read(file: Path) -> dict[str, Any]:
    """A workflow or an action as data."""
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def _steps(above: str, steps: Any) -> Iterator[Step]:
    for number, each in enumerate(steps, 1):
        if "run" in each:
            name = each.get("name", f"step {number}")
            yield Step(f"{above}/{name}", each["run"], each.get("shell"), each.get("env") or {})


@dataclass(frozen=True)
class Ran:
    """What came of a step."""

    code: int
    out: str
    outputs: Mapping[str, str]
    summary: str


def execute(
    place: str,
    folder: Path,
    *,
    given: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Ran:
    """Run a step in `folder` with the environment that it would have, and nothing else of this process's.

    Args:
        place: The step.
        folder: The workspace.
        given: The value of each expression that the step's `env` holds.
        variables: What the runner sets, beside what every run has.
    """
    chosen = step(place)
    files = folder.parent / f"{folder.name}-runner"
    files.mkdir(exist_ok=True)
    output, summary = files / "output", files / "summary"
    output.write_text("")
    summary.write_text("")
    script = files / "step.sh"
    script.write_text(chosen.script, encoding="utf-8")
    environment = {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_WORKSPACE": str(folder),
        "HOME": str(files),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "RUNNER_TEMP": str(files),
        **(variables or {}),
        **{name: _value(text, given or {}) for name, text in chosen.env.items()},
    }
    # GitHub's own two ways: with the shell named, a pipe fails with any of its parts.
    flags = ["--noprofile", "--norc", "-e", "-o", "pipefail"] if chosen.shell else ["-e"]
    done = subprocess.run(
        ["/bin/bash", *flags, str(script)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return Ran(done.returncode, done.stdout, outputs, summary.read_text())


def _value(text: str, given: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: given[found.group(1)], text)
