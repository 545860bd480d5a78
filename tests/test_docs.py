"""The documents tell the truth: the tutorial runs, and every command is described."""

import re
import shlex
from pathlib import Path

import pytest

from ringfence.cli.main import main

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"```(yaml|console) (?:file|exit)=(\S+)\n(.*?)```", re.DOTALL)


def test_the_tutorial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    codes = []
    for kind, argument, body in BLOCK.findall(text):
        if kind == "yaml":
            Path(argument).parent.mkdir(exist_ok=True)
            Path(argument).write_text(body, encoding="utf-8")
            continue
        words = shlex.split(body.strip().removeprefix("$ "))
        assert words[0] == "ringfence"
        assert main(words[1:]) == int(argument), capsys.readouterr()
        codes.append(argument)

    assert codes == ["0", "0", "0", "1", "0"]


def test_every_command_stands_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    commands = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert commands
    assert [name for name in commands if f"ringfence {name}" not in readme] == []


def test_every_document_that_the_readme_names_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert all((ROOT / name).is_file() for name in re.findall(r"\((docs/[^)]+)\)", readme))
