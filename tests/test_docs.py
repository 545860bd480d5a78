"""The documents tell the truth: the tutorial runs, and every command is described."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from adapters import postgres_server
from adapters.redis_server import RedisServer
from ringfence.cli.main import main

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"```(yaml|csv|console|python) (?:file|exit)=(\S+)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
HOW_TOS = sorted(path.name for path in (DOCS / "how-to").glob("*.md"))


@contextmanager
def served(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The servers that a page asks for: Redis in `REDIS_URL`, PostgreSQL in `RINGFENCE_POSTGRES_URL`."""
    text = page.read_text(encoding="utf-8")
    with ExitStack() as servers:
        if "REDIS_URL" in text:
            if shutil.which("redis-server") is None:
                # The page talks to a real server; which pages do is known only once they are read.
                pytest.skip("needs `redis-server`: apt-get install redis-server")
            redis = RedisServer(folder / "redis", appendonly="yes", appendfsync="always").start()
            servers.callback(redis.stop)
            monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{redis.port}/0")
            monkeypatch.setenv("REDIS_PASSWORD", redis.password)
        if "RINGFENCE_POSTGRES_URL" in text:
            if not postgres_server.is_installed():
                # As above.
                pytest.skip("needs `initdb`: apt-get install postgresql")
            postgres = servers.enter_context(postgres_server.running())
            monkeypatch.setenv("RINGFENCE_POSTGRES_URL", postgres.url())
        yield


def follow(page: Path, capsys: pytest.CaptureFixture[str]) -> tuple[list[int], str]:
    """Do what a page says, here: write its files, run its Python, and its commands with the exit codes it names.

    Returns the codes, and all that was printed.
    """
    codes, printed = [], ""
    names: dict[str, object] = {"__name__": page.stem}
    for kind, argument, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            # One block goes on where the one before it ended.
            exec(compile(body, page.name, "exec"), names)
            codes.append(int(argument))
            continue
        if kind != "console":
            Path(argument).parent.mkdir(exist_ok=True)
            Path(argument).write_text(body, encoding="utf-8")
            continue
        for command in body.strip().removeprefix("$ ").split("\n$ "):
            words = shlex.split(command)
            assert words[0] == "ringfence"
            code = main(words[1:])
            shown = capsys.readouterr()
            assert code == int(argument), (words, shown)
            codes.append(code)
            printed += shown.out
    return codes, printed


@pytest.mark.integration
def test_the_tutorial_runs_and_says_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = DOCS / "tutorial.md"

    codes, printed = follow(page, capsys)

    assert codes == [0, 0, 0, 1, 0, 0, 0]
    shown = re.findall(r"```text\n(.*?)\n", page.read_text(encoding="utf-8"))
    assert len(shown) == 2
    assert [line for line in shown if line not in printed] == []


@pytest.mark.integration
@pytest.mark.needs("git", "git")
@pytest.mark.parametrize("name", HOW_TOS)
def test_a_how_to_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("policies", "schemas", "examples", ".ringfence"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "policies", ".ringfence"],
        ["commit", "-q", "-m", "."],
    ):
        author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *author, *words], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)

    page = DOCS / "how-to" / name
    with served(page, tmp_path, monkeypatch):
        codes, printed = follow(page, capsys)

    assert codes or name == "check-policies-in-ci.md"
    shown = re.findall(r"```text\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert [text for text in shown if text not in printed] == []


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert [to for to in LINK.findall(text) if not (page.parent / to).exists()] == []


def test_the_index_names_every_document() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {"README.md"}

    assert sorted(page for page in pages if f"({page})" not in index) == []


def test_yaml_that_is_shown_can_be_read() -> None:
    for page in DOCS.rglob("*.md"):
        for text in re.findall(r"```yaml[^\n]*\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            assert yaml.safe_load(text), page


def test_every_command_stands_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    commands = re.findall(r"^    ([\w-]+) ", capsys.readouterr().out, re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert commands
    assert [name for name in commands if f"ringfence {name}" not in readme] == []


def test_every_document_that_the_readme_names_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert all((ROOT / name).is_file() for name in re.findall(r"\((docs/[^)]+)\)", readme))
