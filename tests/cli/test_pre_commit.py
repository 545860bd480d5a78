"""The hooks for other repositories' pre-commit: the manifest is sound, and each hook does its work."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import ringfence
from ringfence.cli.main import main

pytestmark = [pytest.mark.integration, pytest.mark.needs("git", "git")]

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
HOOKS = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
PRE_COMMIT = Path(sys.executable).with_name("pre-commit")
needs_pre_commit = pytest.mark.skipif(
    not PRE_COMMIT.exists(), reason="needs `pre-commit`: pip install pre-commit"
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new policy repository whose pre-commit runs our hooks, with the `ringfence` of this checkout."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "ringfence"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ringfence.cli.main "$@"\n')
    program.chmod(0o755)
    source = Path(ringfence.__file__).parents[1]
    for name, value in {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(source),
        "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"),
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "gitconfig").write_text("[user]\nname = a\nemail = a@example.com\n")
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["init", "--git"]) == 0
    # Installing the package from a checkout is pip's business; what is run is the same.
    local = [{**hook, "language": "system"} for hook in HOOKS]
    Path(".pre-commit-config.yaml").write_text(
        yaml.safe_dump({"repos": [{"repo": "local", "hooks": local}]})
    )
    return folder


def run_hooks() -> dict[str, str]:
    """What becomes of each hook, by its name."""
    ran = subprocess.run(
        [PRE_COMMIT, "run", "--all-files", "--color", "never"], capture_output=True, text=True
    )
    return dict(re.findall(r"^(ringfence \w+)\.+(Passed|Failed)$", ran.stdout, re.MULTILINE))


def test_every_command_that_checks_policies_has_a_hook() -> None:
    assert {hook["id"] for hook in HOOKS} >= {
        "ringfence-validate",
        "ringfence-fmt",
        "ringfence-test",
    }
    for hook in HOOKS:
        assert hook["entry"] == hook["name"]
        assert hook["id"] == hook["entry"].replace(" ", "-")


@needs_pre_commit
def test_pre_commit_takes_the_manifest() -> None:
    ran = subprocess.run(
        [PRE_COMMIT, "validate-manifest", MANIFEST], capture_output=True, text=True
    )

    assert (ran.returncode, ran.stderr) == (0, "")


@needs_pre_commit
@pytest.mark.usefixtures("repository")
def test_the_hooks_pass_on_a_new_repository_and_fail_on_a_broken_one() -> None:
    assert run_hooks() == dict.fromkeys((hook["name"] for hook in HOOKS), "Passed")

    policy = Path("policies/desk.yaml")
    sound = policy.read_text(encoding="utf-8")
    # Another limit, and in the wrong spelling and layout, is still a valid one.
    policy.write_text(sound.replace("{max_drawdown: 10%}", "{max_drawdown:   0.09}"), "utf-8")
    assert run_hooks() == {
        "ringfence fmt": "Failed",
        "ringfence validate": "Passed",
        "ringfence lint": "Failed",
        "ringfence test": "Failed",
    }
    # The layout is mended, as formatters do, and the commit has to be made again.
    mended = sound.replace("{max_drawdown: 10%}", "{max_drawdown: 0.09}")
    assert policy.read_text(encoding="utf-8") == mended

    policy.write_text(sound.replace("max_drawdown: 10%", "max_drawdown: 10"), "utf-8")
    assert run_hooks()["ringfence validate"] == "Failed"
