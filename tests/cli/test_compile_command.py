"""`ringfence compile`: everything that a policy set needs, once; `--check` says whether it was there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringfence._resources import cache_directory
from ringfence.cli.main import main
from ringfence.reload import compiling
from ringfence.reload.compiling import CompileReport

pytestmark = pytest.mark.integration

POLICIES = str(Path(__file__).resolve().parents[2] / "policies")


def test_a_second_time_there_is_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", POLICIES]) == 0
    capsys.readouterr()

    assert main(["compile", POLICIES, "--check"]) == 0
    assert capsys.readouterr().out == f"nothing to do: all is there ({cache_directory()})\n"
    assert main(["compile", POLICIES, "--check", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["compiled"], told["kept_in"]) == (False, str(cache_directory()))
    assert len(told["policy_set"]) == 64


def test_what_is_kept_stays_as_it_is_when_processes_load_it(tmp_path: Path) -> None:
    # Kept by this test's own process, or by one before it, and taken over from there.
    assert main(["compile", POLICIES]) == 0
    variables = {
        "RINGFENCE_CACHE_PATH": str(tmp_path / "kept"),
        "RINGFENCE_COMPILED_PATH": str(cache_directory()),
    }
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-m", "ringfence.cli.main", "compile", POLICIES, "--check"],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        # Only what is kept from here on: nothing is taken over anew.
        variables["RINGFENCE_COMPILED_PATH"] = str(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("kept_in", "code", "said"),
    [(Path("/cache"), 1, "compiled and kept (/cache)"), (None, 2, "cannot be kept")],
)
def test_check_fails_where_something_had_to_be_compiled(
    kept_in: Path | None,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = CompileReport("f" * 64, True, kept_in)
    monkeypatch.setattr(compiling, "compile_ahead", lambda _: report)

    assert main(["compile", POLICIES, "--check"]) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
    assert main(["compile", POLICIES, "--check", "--json"]) == 1


def test_all_faults_of_policies_are_told_as_validate_tells_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("desk", "firm"):
        (tmp_path / f"{name}.yaml").write_text("kind: Nonsense\n")
    told = {}
    for command in ("validate", "compile"):
        assert main([command, str(tmp_path)]) == 1
        told[command] = capsys.readouterr()
    assert told["compile"] == told["validate"]
    said = told["compile"].out + told["compile"].err
    assert all(f"{name}.yaml" in said for name in ("desk", "firm"))

    assert main(["compile", str(tmp_path), "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {Path(each["path"]).name for each in findings} == {"desk.yaml", "firm.yaml"}


def test_files_without_a_policy_are_not_compiled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "note.yaml").write_text(
        "apiVersion: ringfence/v1\nkind: Instruments\n"
        "metadata: {name: desk, version: 1.0.0, description: what is traded}\n"
        "spec: {accounts: [main]}\n"
    )
    assert main(["compile", str(tmp_path)]) == 2
    assert "no policy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "does not exist\n  fix: name a directory of policies"),
        ("file", "is no directory\n  fix: name a directory of policies"),
        ("empty", "holds no YAML files\n  fix: name a directory with policies"),
    ],
)
def test_what_is_no_directory_of_policies_is_not_to_be_put_back(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()

    assert main(["compile", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err == f"ringfence: `{tmp_path / name}` {said}\n"
