"""Shell completion: the scripts parse, and bash offers what the command line takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringfence.cli.main import main

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]

# What readline does for a Tab, without a terminal: the words, the cursor's place, and the function.
PRESS_TAB = """\
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$(complete -p ringfence | sed 's/.*-F \\([^ ]*\\).*/\\1/') ringfence "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script_for(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def bash_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "ringfence.bash"
    path.write_text(script_for("bash", capsys), encoding="utf-8")
    return path


def completed(script: Path, *words: str, cwd: Path = ROOT) -> list[str]:
    ran = subprocess.run(
        ["bash", "--norc", "-c", PRESS_TAB, "bash", str(script), *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
    )
    return [line.strip() for line in ran.stdout.splitlines() if line.strip()]


def test_bash_reads_the_script(bash_script: Path) -> None:
    read = subprocess.run(["bash", "-n", str(bash_script)], capture_output=True, text=True)

    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["val"], ["validate"]),
        (["validate", "--form"], ["--format"]),
        (["validate", "--format", "g"], ["github"]),
        (["rules", "daily"], ["daily-loss"]),
        (["completion", "f"], ["fish"]),
        (["effective", "--sy"], ["--symbol"]),
    ],
)
def test_bash_offers_commands_flags_choices_and_rules(
    bash_script: Path, words: list[str], offered: list[str]
) -> None:
    assert completed(bash_script, "ringfence", *words) == offered


def test_bash_offers_files_for_a_path_and_directories_for_a_directory(
    bash_script: Path, tmp_path: Path
) -> None:
    (tmp_path / "desk-file.yaml").touch()
    (tmp_path / "desk-folder").mkdir()

    files = completed(bash_script, "ringfence", "validate", "desk", cwd=tmp_path)
    folders = completed(bash_script, "ringfence", "effective", "--policies", "desk", cwd=tmp_path)

    assert sorted(files) == ["desk-file.yaml", "desk-folder"]
    assert folders == ["desk-folder"]


@pytest.mark.parametrize(("shell", "opening"), [("zsh", "#compdef ringfence"), ("fish", "")])
def test_other_shells_get_a_script_with_every_command(
    shell: str, opening: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script = script_for(shell, capsys)

    assert script.startswith(opening)
    assert all(word in script for word in ("validate", "effective", "daily-loss", "--policies"))


def test_an_unknown_shell_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err


def test_no_other_command_loads_what_makes_the_script() -> None:
    program = (
        "import sys; from ringfence.cli.main import main; main(['rules']); "
        "sys.exit('shtab' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=dict(os.environ), cwd=ROOT
    )

    assert ran.returncode == 0
