"""`ringfence fmt`: what it writes, what it leaves alone, and what it says."""

import errno
import json
import os
import stat
from pathlib import Path

import jsonschema
import pytest

from ringfence.cli.main import main

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
UNTIDY = "kind: Policy\napiVersion: ringfence/v1 # v1\nspec:\n    a: 'x'\n"
TIDY = "apiVersion: ringfence/v1  # v1\nkind: Policy\nspec:\n  a: x\n"
# Nothing is laid out where a comment stands between an anchor and what it names.
STUBBORN = "apiVersion: ringfence/v1\nkind: Policy\na: &a # c\n  b\n"
SCHEMA = json.loads((ROOT / "schemas" / "findings.v1.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "desk.yaml").write_text(UNTIDY, encoding="utf-8")
    (folder / "tidy.yaml").write_text(TIDY, encoding="utf-8")
    return folder


def test_files_are_laid_out_and_keep_their_permissions(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = desk / "desk.yaml"
    path.chmod(0o640)
    untouched = (desk / "tidy.yaml").stat().st_mtime_ns

    assert main(["fmt", "policies"]) == 0

    shown = capsys.readouterr()
    assert shown.out == "policies/desk.yaml: laid out\n"
    assert shown.err == "1 file changed, 1 as it should be\n"
    assert path.read_text(encoding="utf-8") == TIDY
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (desk / "tidy.yaml").stat().st_mtime_ns == untouched
    assert sorted(each.name for each in desk.iterdir()) == ["desk.yaml", "tidy.yaml"]

    assert main(["fmt", "policies", "--check"]) == 0
    assert "nothing to change" in capsys.readouterr().err


def test_check_names_the_first_line_that_would_change_and_writes_nothing(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fmt", "policies", "--check"]) == 1
    assert "policies/desk.yaml:1:1: error[E451]" in capsys.readouterr().err

    assert main(["fmt", "policies", "--check", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, SCHEMA)
    assert (said["valid"], said["written"], said["changed"]) == (
        False,
        False,
        ["policies/desk.yaml"],
    )
    assert (desk / "desk.yaml").read_text(encoding="utf-8") == UNTIDY


def test_line_ends_alone_are_a_change(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = desk / "desk.yaml"
    path.write_bytes(TIDY.replace("\n", "\r\n").encode())

    assert main(["fmt", str(path), "--check"]) == 1
    assert main(["fmt", str(path)]) == 0
    assert path.read_bytes() == TIDY.encode()
    assert "laid out" in capsys.readouterr().out


def test_diff_shows_what_would_change(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "desk.yaml").write_text(UNTIDY.rstrip("\n"), encoding="utf-8")

    assert main(["fmt", "policies", "--diff"]) == 0

    shown = capsys.readouterr().out
    assert "-    a: 'x'\n\\ No newline at end of file\n+  a: x\n" in shown
    assert shown.startswith("--- policies/desk.yaml\n")


def test_a_file_that_cannot_be_laid_out_is_left_alone(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "desk.yaml").write_text(STUBBORN, encoding="utf-8")
    (desk / "tidy.yaml").write_text("a: [1\n", encoding="utf-8")

    assert main(["fmt", "policies"]) == 1

    shown = capsys.readouterr().err
    assert "error[E450]" in shown
    assert "error[E102]" in shown
    assert (desk / "desk.yaml").read_text(encoding="utf-8") == STUBBORN


def test_other_yaml_in_a_directory_is_left_alone_and_refused_by_name(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = desk / "compose.yaml"
    other.write_text("services:   {}\n", encoding="utf-8")

    assert main(["fmt", "policies"]) == 0
    assert other.read_text(encoding="utf-8") == "services:   {}\n"

    assert main(["fmt", str(other)]) == 1
    assert "error[E150]" in capsys.readouterr().err
    other.write_text("kind: Policy\n", encoding="utf-8")
    assert main(["fmt", str(other)]) == 1
    assert "no document of Ringfence" in capsys.readouterr().err


def test_a_link_is_written_through_only_within_what_was_named(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = desk / "link.yaml"
    inside.symlink_to("desk.yaml")
    assert main(["fmt", "policies"]) == 0
    assert inside.is_symlink()
    assert (desk / "desk.yaml").read_text(encoding="utf-8") == TIDY

    outside = tmp_path / "elsewhere.yaml"
    outside.write_text(UNTIDY, encoding="utf-8")
    inside.unlink()
    inside.symlink_to(outside)
    assert main(["fmt", "policies"]) == 2
    assert "link to a file elsewhere" in capsys.readouterr().err
    assert outside.read_text(encoding="utf-8") == UNTIDY


def test_a_file_named_twice_is_laid_out_once(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fmt", str(desk), str(desk / "desk.yaml")]) == 0
    assert "1 file changed" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_said_and_stays(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    assert main(["fmt", "policies"]) == 2
    assert "cannot be written: no space left on device" in capsys.readouterr().err
    assert (desk / "desk.yaml").read_text(encoding="utf-8") == UNTIDY
    assert sorted(each.name for each in desk.iterdir()) == ["desk.yaml", "tidy.yaml"]


def test_a_path_that_is_not_there_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "/no/such/place"]) == 2
    assert "does not exist" in capsys.readouterr().err
