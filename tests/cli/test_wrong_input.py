"""Wrong input to every command that reads or writes files: exit code 2, one reason, its fix, no traceback."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from ringfence.cli.main import main
from ringfence.errors import InputError
from ringfence.replay.locate import Source
from ringfence.replay.locked import locked_database
from ringfence.replay.section_sql import run

pytestmark = pytest.mark.security

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "data"
POLICIES = ROOT / "policies"
ORDERS = DATA / "orders.parquet"
INSTRUMENTS = ["--instruments", str(DATA / "instruments.yaml")]
DRY_RUN = ["dry-run", "--policies", str(POLICIES), *INSTRUMENTS, "--no-report"]
OF_OTHER_POLICIES = ["dry-run", *INSTRUMENTS, "--no-report", "--orders", str(ORDERS), "--policies"]
OF_OTHER_INSTRUMENTS = [
    "dry-run",
    "--policies",
    str(POLICIES),
    "--orders",
    str(ORDERS),
    "--instruments",
]
EFFECTIVE = ["effective", "--account", "a", "--symbol", "b", "--policies"]
SETS = ("validate", "test", "lint", "fmt", "prove")
IDENTITY = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
QUIET = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
BINARY = bytes(range(256)) * 8


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with one of each wrong thing, and in it we stand."""
    monkeypatch.chdir(tmp_path)
    for name in ("binary.yaml", "binary.parquet", "binary.csv", "binary.json"):
        (tmp_path / name).write_bytes(BINARY)
    (tmp_path / "cut.parquet").write_bytes(ORDERS.read_bytes()[:-200])
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "empty.parquet").touch()
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "text.yaml").write_text("just words\n")
    (tmp_path / "other.yaml").write_text("apiVersion: ringfence/v1\nkind: Poem\n")
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "looping").mkdir()
    (tmp_path / "looping" / "desk.yaml").symlink_to("desk.yaml")


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and what was said; one reason and its fix, and nothing else."""
    code = main(arguments)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err + shown.out
    assert "should not happen" not in shown.err
    assert shown.out == ""
    return code, shown.err


MISSING = [
    ["validate", "missing"],
    ["validate", "missing.yaml"],
    ["lint", "missing"],
    ["fmt", "missing"],
    *([command, path] for command in SETS for path in ("loop", "looping")),
    ["init", "loop"],
    ["new", "policy", "desk", "--in", "loop"],
    ["explain", "--audit", "empty", "--id", "1"],
    ["audit", "show", "1", "--log", "empty"],
    ["audit", "reproduce", "1", "--log", "empty"],
    ["audit", "query", "SELECT count(*) FROM decisions", "--log", "empty"],
    ["audit", "export", "--jsonl", "file", "--log", "empty"],
    ["audit", "export", "--jsonl", "file", "--log", "missing"],
    ["reload", "history", "--store", "missing"],
    ["reload", "history", "--store", "empty"],
    ["test", "missing"],
    ["test", "missing.yaml"],
    ["test", str(POLICIES / "tests"), "--policies", "missing"],
    [*EFFECTIVE, "missing"],
    ["correlations", "--marks", "missing.parquet"],
    ["correlations", "--marks", str(DATA / "marks.parquet"), "--mapping", "missing.yaml"],
    [*DRY_RUN, "--orders", "missing.csv"],
    [*DRY_RUN, "--orders", "missing/*.parquet"],
    [*DRY_RUN, "--orders", str(ORDERS), "--fills", "missing.csv"],
    [*DRY_RUN, "--orders", str(ORDERS), "--marks", "missing.csv"],
    [*DRY_RUN, "--orders", str(ORDERS), "--balances", "missing.csv"],
    [*DRY_RUN, "--orders", str(ORDERS), "--mapping", "missing.yaml"],
    [*DRY_RUN, "--orders", str(ORDERS), "--mapping", "no-such-mapping"],
    [*OF_OTHER_INSTRUMENTS, "missing.yaml"],
    [*OF_OTHER_POLICIES, "missing"],
    [*DRY_RUN, "--orders", str(ORDERS), "--base", "missing"],
]
NOTHING_THERE = [
    ["validate", "empty"],
    ["lint", "empty"],
    ["fmt", "empty"],
    ["fmt", "--check", "empty"],
    ["test", "empty"],
    ["test", str(POLICIES / "tests"), "--policies", "empty"],
    [*EFFECTIVE, "empty"],
    [*OF_OTHER_POLICIES, "empty"],
    [*DRY_RUN, "--orders", str(ORDERS), "--base", "empty"],
    [*DRY_RUN, "--orders", "empty"],
    [*DRY_RUN, "--orders", "empty.csv"],
    [*DRY_RUN, "--orders", "empty.parquet"],
    ["correlations", "--marks", "empty"],
    ["correlations", "--marks", "empty.csv"],
]
NOT_DATA = [
    [*DRY_RUN, "--orders", "binary.parquet"],
    [*DRY_RUN, "--orders", "binary.csv"],
    [*DRY_RUN, "--orders", "binary.json"],
    [*DRY_RUN, "--orders", "cut.parquet"],
    [*DRY_RUN, "--orders", "wrong.csv"],
    [*DRY_RUN, "--orders", "file"],
    [*DRY_RUN, "--orders", str(ORDERS), "--fills", "binary.parquet"],
    [*DRY_RUN, "--orders", str(ORDERS), "--marks", "binary.parquet"],
    [*DRY_RUN, "--orders", str(ORDERS), "--balances", "binary.csv"],
    ["correlations", "--marks", "binary.parquet"],
    ["correlations", "--marks", "cut.parquet"],
    ["correlations", "--marks", "wrong.csv"],
]
SELECTS = [
    [*DRY_RUN, "--orders", "SELECT"],
    [*DRY_RUN, "--orders", "SELECT * FROM 'missing.parquet'"],
    [*DRY_RUN, "--orders", "SELECT no_such_column FROM 'wrong.csv'"],
    [*DRY_RUN, "--orders", "SELECT 1 / 0 FROM no_such_table"],
    [*DRY_RUN, "--orders", "SELECT error('stop') AS ts"],
    [*DRY_RUN, "--orders", "SELECT 1; DROP TABLE x"],
    [*DRY_RUN, "--orders", "SELECT CAST(a AS DATE) AS ts FROM 'wrong.csv'"],
    ["correlations", "--marks", "SELECT * FROM read_text('/etc/passwd')"],
]
OUT = [
    [*DRY_RUN, "--orders", str(ORDERS), "--out", "file"],
    [*DRY_RUN, "--orders", str(ORDERS), "--out", "file/below"],
    [*DRY_RUN, "--orders", str(ORDERS), "--out", "/proc/none"],
    ["schema", "--out", "missing/schema.json"],
    ["schema", "--out", "empty"],
]
USAGE = [
    [*DRY_RUN, "--orders", str(ORDERS), "--mode", "x"],
    [*DRY_RUN, "--orders", str(ORDERS), "--workers", "many"],
    [*DRY_RUN, "--orders", str(ORDERS), "--workers", "0"],
    [*DRY_RUN, "--orders", str(ORDERS), "--workers", "100000"],
    [*DRY_RUN, "--orders", str(ORDERS), "--batch-rows", "-1"],
    [*DRY_RUN, "--orders", str(ORDERS), "--batch-rows", "99999999999999999999"],
    [*DRY_RUN, "--orders", str(ORDERS), "--equity", "nan"],
    [*DRY_RUN],
    ["test", str(POLICIES), "--backend", "x"],
    ["validate", str(POLICIES), "--format", "x"],
    ["correlations", "--marks", str(DATA / "marks.parquet"), "--window", "soon"],
    ["correlations", "--marks", str(DATA / "marks.parquet"), "--as-of", "soon"],
    ["schema", "--kind", "Poem"],
    ["completion", "x"],
    ["sideways"],
    [],
]


@pytest.mark.parametrize(
    "arguments",
    [*MISSING, *NOTHING_THERE, *NOT_DATA, *SELECTS, *OUT],
    ids=lambda given: " ".join(given[-2:]).replace(str(ROOT), ""),
)
def test_wrong_input_is_one_reason_and_its_fix(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told(arguments, capsys)

    first, second, *rest = said.splitlines()
    assert (code, rest) == (2, [])
    assert first.startswith("ringfence: ")
    assert second.startswith("  fix: ")


def test_policies_given_as_a_mapping_are_told_to_be_policies(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = str(POLICIES / "firm.yaml")

    code, said = told([*DRY_RUN, "--orders", str(ORDERS), "--mapping", wrong], capsys)

    assert code == 2
    assert said.splitlines() == [
        f"ringfence: `{wrong}` is no mapping but a Policy",
        "  fix: name a file with `kind: Mapping`",
    ]


@pytest.mark.needs("git", "git")
@pytest.mark.parametrize("spec", ["git:no-such-branch", "git:", "git:-x", "git:HEAD:missing"])
@pytest.mark.parametrize(
    "command",
    [OF_OTHER_POLICIES, [*DRY_RUN, "--orders", str(ORDERS), "--base"]],
    ids=["policies", "base"],
)
def test_a_wrong_revision_is_one_reason_and_its_fix(
    command: list[str],
    spec: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["init", "-q"], [*IDENTITY, "commit", "-q", "--allow-empty", "-m", "none"]):
        subprocess.run(["git", *words], check=True, env=QUIET)
    (Path.cwd() / "below").mkdir()
    monkeypatch.chdir("below")

    code, said = told([*command, spec], capsys)

    assert (code, [line[:6] for line in said.splitlines()]) == (2, ["ringfe", "  fix:"])


@pytest.mark.needs("git", "git")
def test_a_revision_outside_a_repository_is_one_reason_and_its_fix(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = told([*OF_OTHER_POLICIES, "git:main"], capsys)

    assert (code, len(said.splitlines())) == (2, 2)


@pytest.mark.needs("git", "git")
@pytest.mark.parametrize("policies", [str(POLICIES), "git:main"])
def test_no_place_for_temporary_files_is_one_reason_and_its_fix(
    policies: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")

    code, said = told([*OF_OTHER_POLICIES, policies], capsys)

    first, second = said.splitlines()
    assert code == 2
    assert first == "ringfence: no place for temporary files can be written"
    assert second.startswith("  fix: set TMPDIR")


FULL = duckdb.IOException('Could not write file "x": No space left on device')


def test_a_full_disk_of_temporary_files_is_no_fault_of_the_source(tmp_path: Path) -> None:
    class Full:
        def execute(self, _query: str) -> None:
            raise FULL

    with pytest.raises(InputError, match="no space is left for temporary files") as asked:
        run(Full(), "SELECT 1", Source("SELECT 1", "select", ()))
    with (
        pytest.raises(InputError, match="no space is left in") as sorting,
        locked_database(tmp_path),
    ):
        raise FULL
    assert "TMPDIR" in asked.value.fix
    assert "TMPDIR" in sorting.value.fix


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[None]:
    """Files and directories without permissions; they are opened again at the end, to be removed."""
    for name in ("closed.yaml", "closed.csv", "closed.parquet"):
        (tmp_path / name).touch(0o000)
    # Policies that cannot be seen must not be left out.
    shutil.copytree(POLICIES, tmp_path / "partly-closed")
    folders = [tmp_path / name for name in ("closed", "partly-closed/below", "read-only")]
    for folder in folders:
        folder.mkdir()
        folder.chmod(0o500 if folder.name == "read-only" else 0o000)
    yield
    for folder in folders:
        folder.chmod(0o700)


@pytest.mark.needs("setpriv", "util-linux")
@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "closed.yaml"],
        ["validate", "closed"],
        ["validate", "partly-closed"],
        [*EFFECTIVE, "partly-closed"],
        ["test", "closed.yaml"],
        [*EFFECTIVE, "closed.yaml"],
        ["schema", "--out", "read-only/schema.json"],
        ["correlations", "--marks", "closed.csv"],
        [*DRY_RUN, "--orders", "closed.csv"],
        [*DRY_RUN, "--orders", str(ORDERS), "--mapping", "closed.yaml"],
        [*OF_OTHER_POLICIES, "partly-closed"],
        [*DRY_RUN, "--orders", str(ORDERS), "--out", "read-only/out"],
    ],
    ids=lambda given: " ".join(given[-2:]).replace(str(ROOT), ""),
)
def test_what_may_not_be_read_or_written_is_one_reason_and_its_fix(
    arguments: list[str],
) -> None:
    program = [sys.executable, "-m", "ringfence.cli.main", *arguments]
    # Permissions do not hold root back unless it gives up what lets it pass them by.
    powers = "-dac_override,-dac_read_search"
    bound = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"]

    ran = subprocess.run(
        [*(bound if os.geteuid() == 0 else []), *program],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (2, "")
    first, second = ran.stderr.splitlines()
    assert first.startswith("ringfence: ")
    assert "cannot be" in first or "denied" in first
    assert second.startswith("  fix: ")


@pytest.mark.parametrize("arguments", USAGE, ids=lambda given: " ".join(given[-2:]) or "nothing")
def test_wrong_usage_says_what_is_possible(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told(arguments, capsys)

    assert code == 2
    assert "fix: " in said or "usage: ringfence" in said


@pytest.mark.parametrize("name", ["binary.yaml", "empty.yaml", "text.yaml", "other.yaml"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["validate"],
        ["test"],
        EFFECTIVE,
        OF_OTHER_POLICIES,
        [*DRY_RUN, "--orders", str(ORDERS), "--base"],
        [*DRY_RUN, "--orders", str(ORDERS), "--mapping"],
        OF_OTHER_INSTRUMENTS,
    ],
    ids=lambda given: f"{given[0]} {given[-1]}",
)
def test_a_file_that_is_none_of_ours_is_a_finding_with_its_place(
    arguments: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told([*arguments, name], capsys)

    assert code in (1, 2)
    assert name in said
    assert "fix: " in said


@pytest.mark.parametrize("kind", ["[Policy]", "{Policy: 1}", "3", "null"])
def test_a_kind_that_is_no_name_is_told_or_left_alone(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "odd.yaml"
    odd.write_text(f"apiVersion: ringfence/v1\nkind: {kind}\n")

    # Another's document is no matter of taste.
    assert main(["lint", str(odd)]) == 0
    assert "0 documents" in capsys.readouterr().out
    code, said = told([*DRY_RUN, "--orders", str(ORDERS), "--mapping", str(odd)], capsys)
    assert code == 1
    assert "odd.yaml:2:" in said


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("Query interrupted")])
@pytest.mark.parametrize("part", ["build_parser", "run"])
def test_a_command_that_is_stopped_says_so(
    error: BaseException,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # A database at work tells of Ctrl-C by an error of its own.
    def stop(*_: object) -> None:
        raise error

    if part == "build_parser" and isinstance(error, KeyboardInterrupt):
        monkeypatch.setattr("ringfence.cli.main.build_parser", stop)
    else:
        monkeypatch.setattr("ringfence.cli.fields.run", stop)

    assert told(["fields"], capsys) == (130, "ringfence: stopped\n")


def test_a_reader_that_has_gone_is_no_failed_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    def show(*_: object) -> int:
        console = Console(file=Gone())
        # What the console does to standard output then is not for the process of a test.
        monkeypatch.setattr("os.dup2", lambda *_: 0)
        with open(os.devnull, "w", encoding="utf-8") as nothing, monkeypatch.context() as patched:
            patched.setattr("sys.stdout", nothing)
            console.print("a table")
        return 0

    monkeypatch.setattr("ringfence.cli.fields.run", show)

    assert told(["fields"], capsys) == (0, "")


def ran(*words: str, stdout: Any = subprocess.PIPE, **changed: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "ringfence.cli.main", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **changed},
        check=False,
    )


def test_what_a_terminal_cannot_show_is_escaped() -> None:
    words = ["effective", "--account", "größe", "--symbol", "BTC/USDT", "--policies", str(POLICIES)]
    done = ran(*words, PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"account gr\xf6\xdfe" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [["fields", "--json"], ["validate", str(POLICIES)]])
def test_a_disk_that_is_full_is_told_as_one(words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = ran(*words, stdout=full)

    assert done.returncode == 2
    assert b"ringfence: no space is left where the output goes\n  fix: " in done.stderr
    assert b"should not happen" not in done.stderr
