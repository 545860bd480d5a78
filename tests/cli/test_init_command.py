"""`ringfence init`: what it writes is green under every command, and what was there stays."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from ringfence.cli.main import main
from ringfence.language.source import load

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
NEW_FILES = json.loads((ROOT / "schemas" / "new-files.v1.schema.json").read_text(encoding="utf-8"))
CHECKS = [
    ["validate", "policies"],
    ["lint", "policies"],
    ["fmt", "--check", "policies", ".ringfence/approvals.yaml", ".ringfence/settings.yaml"],
    ["test", "policies", "--fail-under", "100"],
    ["prove", "policies"],
    ["ci"],
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "Equity Desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (tmp_path / "gitconfig").write_text("[user]\nname = a\nemail = a@example.com\n")
    return folder


def held(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts[:1]
    }


@pytest.mark.needs("git", "git")
@pytest.mark.parametrize(
    "words",
    [
        ["--git"],
        # Names that are booleans to some readers of YAML, and what needs quotes.
        ["--name", "no", "--currency", "ON", "--accounts", "no,on, b_1", "--owner", "@firm/risk",
         "--bases", "Y,N,XRP"],
    ],
    ids=["as it is", "with everything chosen"],
)  # fmt: skip
@pytest.mark.usefixtures("place")
def test_a_new_repository_is_green_under_every_command(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", *words]) == 0

    for check in CHECKS:
        capsys.readouterr()
        assert main(check) == 0, (check, capsys.readouterr())
        assert "warning[" not in capsys.readouterr().err


@pytest.mark.needs("git", "git")
def test_with_git_there_is_a_first_commit_and_nothing_is_left_over(place: Path) -> None:
    assert main(["init", "--git"]) == 0

    def git(*words: str) -> str:
        ran = subprocess.run(["git", *words], cwd=place, capture_output=True, text=True, check=True)
        return ran.stdout

    assert git("status", "--porcelain") == ""
    assert git("log", "--format=%s") == "The first limits\n"
    assert git("branch", "--show-current") == "main\n"
    assert "policies/equity-desk.yaml" in git("ls-files")


def test_everything_fits_together(place: Path) -> None:
    assert main(["init", "--owner", "@firm/risk", "--accounts", "alpha,beta"]) == 0

    files = held(place)
    for name, text in files.items():
        if name.endswith(".json"):
            json.loads(text)
        assert "<<" not in text
        assert "<%" not in text
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
    # Every document has a schema that is there, and fits it.
    for name in files:
        if not name.startswith("policies/"):
            continue
        first = files[name].splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        schema = json.loads((place / name).parent.joinpath(first).read_text(encoding="utf-8"))
        jsonschema.validate(load(files[name], name).data, schema)
    associated = json.loads(files[".vscode/settings.json"])["yaml.schemas"]
    assert all((place / schema).is_file() for schema in associated)
    assert "ringfence prove policies" in files["README.md"]
    gate = yaml.safe_load(files[".github/workflows/policy-gate.yml"])["jobs"]["gate"]
    assert gate["steps"][-1]["with"]["policies"] == "policies"
    hooks = yaml.safe_load(files[".pre-commit-config.yaml"])["repos"][0]["hooks"]
    assert [main(hook["entry"].split()[1:]) for hook in hooks] == [0] * len(hooks)


@pytest.mark.parametrize("action", sorted((ROOT / ".github" / "actions").glob("*/action.yml")))
def test_the_workflow_gives_the_action_what_it_takes(action: Path, place: Path) -> None:
    assert main(["init"]) == 0
    takes = yaml.safe_load(action.read_text(encoding="utf-8"))["inputs"]
    workflow = yaml.safe_load((place / ".github/workflows/policy-gate.yml").read_text("utf-8"))
    step = workflow["jobs"]["gate"]["steps"][-1]

    assert step["uses"].partition("@")[0].endswith(f".github/actions/{action.parent.name}")
    assert step["with"].keys() <= takes.keys()


def test_the_workflow_has_no_known_weakness(place: Path) -> None:
    assert main(["init", "--action", "example/ringfence/gate@" + "0" * 40]) == 0

    ran = subprocess.run(
        [
            Path(sys.executable).with_name("zizmor"),
            "--offline",
            "--quiet",
            ".github/workflows/policy-gate.yml",
        ],
        cwd=place,
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, ran.stdout


def test_what_was_there_stays_and_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "README.md").write_text("Ours.\n", encoding="utf-8")
    (place / ".github").mkdir()
    (place / ".github" / "CODEOWNERS").symlink_to("nowhere")
    (place / "policies").mkdir()
    (place / "policies" / "notes.txt").write_text("Ours.\n", encoding="utf-8")

    assert main(["init", "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, NEW_FILES)
    assert said["kept"] == ["README.md", ".github/CODEOWNERS"]
    assert (place / "README.md").read_text(encoding="utf-8") == "Ours.\n"
    assert not (place / ".github" / "nowhere").exists()
    assert main(["validate", "policies"]) == 0


def test_where_policies_are_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "policies" / "deep").mkdir(parents=True)
    (place / "policies" / "deep" / "desk.yaml").write_text("a: 1\n", encoding="utf-8")
    before = held(place)

    assert main(["init"]) == 2

    assert "ringfence new policy" in capsys.readouterr().err
    assert held(place) == before


def test_policies_may_stand_beside_others_in_a_directory_of_another_name(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "policies").mkdir()
    (place / "policies" / "of-the-building.yaml").write_text("a: 1\n", encoding="utf-8")

    assert main(["init", "--policies", "limits"]) == 0

    assert "ringfence validate limits" in capsys.readouterr().out
    assert main(["validate", "limits"]) == 0
    assert main(["lint", "limits"]) == 0
    assert len(list((place / "policies").iterdir())) == 1
    assert "policies:" in (place / ".github/workflows/policy-gate.yml").read_text("utf-8")
    assert "/limits/ " in (place / ".github/CODEOWNERS").read_text("utf-8")
    named = [text for text in held(place).values() if " policies/" in text]
    assert named == []


def test_a_second_time_nothing_is_written(place: Path) -> None:
    assert main(["init", "inner"]) == 0
    before = held(place)

    assert main(["init", "inner"]) == 2
    assert held(place) == before


def test_directories_that_lead_elsewhere_are_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (place / ".vscode").symlink_to(elsewhere)
    assert main(["init"]) == 2
    assert "leads to a directory elsewhere" in capsys.readouterr().err

    (place / ".vscode").unlink()
    (place / ".vscode").write_text("a file", encoding="utf-8")
    assert main(["init"]) == 2
    assert "is not a directory" in capsys.readouterr().err
    assert list(elsewhere.iterdir()) == []
    assert list(held(place)) == [".vscode"]


@pytest.mark.parametrize(
    "words",
    [
        ["--name", "Desk"],
        ["--name", "firm"],
        ["--name", "a" * 81],
        ["--bases", "USD,BTC"],
        ["--currency", "usd"],
        ["--accounts", "a b"],
        ["--accounts", ","],
        ["--bases", "BTC"],
        ["--bases", "BTC,btc"],
        ["--owner", "a\nb: c"],
        ["--action", "x y"],
        ["--policies", "../limits"],
        ["--policies", "deep/limits"],
        ["--git", "inner"],
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(
    words: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--git" in words:
        (place / ".git").mkdir()

    assert main(["init", *words]) == 2

    assert "fix:" in capsys.readouterr().err
    assert held(place) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--accounts", "a,b, a"], ["`--accounts` names `a` twice", "`--accounts a,b`"]),
        (["--bases", "BTC,ETH,BTC"], ["`--bases` names `BTC` twice", "`--bases BTC,ETH`"]),
    ],
)
def test_what_is_named_twice_is_refused(
    words: list[str], said: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", *words]) == 2

    first, second = capsys.readouterr().err.splitlines()
    assert first == f"ringfence: {said[0]}"
    assert second == f"  fix: name each once: {said[1]}"
    assert held(place) == {}


def test_a_name_comes_from_the_directory(place: Path) -> None:
    assert main(["init"]) == 0
    assert (place / "policies" / "equity-desk.yaml").is_file()

    long = "a" * 79 + "-b"
    for directory, name in (("2026", "desk"), ("firm", "desk"), ("Ünï", "n"), (long, "a" * 79)):
        assert main(["init", directory]) == 0
        assert (place / directory / "policies" / f"{name}.yaml").is_file()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("directory", "said"), [("my desk", "'my desk'"), ("-desk", "./-desk")])
def test_the_next_commands_are_for_a_shell(
    directory: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--", directory]) == 0

    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"next: cd {said}; ringfence validate policies; ")


@pytest.mark.parametrize("directory", [".", "inner"])
def test_in_a_repository_no_other_one_is_made(
    directory: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / ".git").mkdir()

    assert main(["init", directory]) == 0

    shown = capsys.readouterr()
    last = shown.out.splitlines()[-1]
    assert "git init" not in last
    assert "git add ." not in last.split("; ")
    assert "git add .editorconfig .gitattributes .github " in last
    # There is nobody who reads what stands at the top of a directory below.
    assert ("are read at its top alone" in shown.err) is (directory == "inner")


@pytest.mark.needs("git", "git")
def test_a_commit_that_fails_is_said(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    with (tmp_path / "gitconfig").open("a") as config:
        config.write(f"[core]\nhooksPath = {hooks}\n")

    assert main(["init", "--git"]) == 2

    assert "`git commit` failed: no" in capsys.readouterr().err
    assert (place / "policies").is_dir()
