"""Limits edited where they stand: one amount moves, and the file's other bytes stay."""

import subprocess
from pathlib import Path

import pytest

from ringfence.errors import InputError
from ringfence.language.linking import LinkedSet, link
from ringfence.language.parameters import Money
from ringfence.language.source import load
from ringfence.review.suggesting.limit_edits import edited_files, limit_edit, patch

pytestmark = pytest.mark.unit

TEXT = """\
# the desk
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: VERSION, owner: risk@example.com, description: for tests}
spec:
  gates:
    - rule: order-notional@1
      limits: {max: LIMIT}  # as agreed
"""


def linked(limit: str, version: str = "1.2.3", text: str = TEXT) -> LinkedSet:
    whole = text.replace("LIMIT", limit).replace("VERSION", version)
    return link([load(whole.encode(), "desk.yaml")], check_mandatory=False)


def edited(found: LinkedSet, amount: float) -> tuple[str, str]:
    edit = limit_edit(found.gates[0], "max", Money(amount, "USD"))
    assert edit is not None
    return edited_files([edit])["desk.yaml"]


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ("50_000 USD", "60_000 USD"),
        ("50000 USD", "60000 USD"),
        ('"50_000 USD"', '"60_000 USD"'),
        ("'50000   USD'", "'60000   USD'"),
    ],
)
def test_the_amount_moves_in_the_style_that_was_there(written: str, after: str) -> None:
    before, text = edited(linked(written), 60_000.0)

    assert text == before.replace(written, after).replace("1.2.3", "1.3.0")


def test_a_quoted_version_stays_quoted() -> None:
    assert "version: '1.3.0'," in edited(linked("5 USD", version="'1.2.9'"), 6.0)[1]


@pytest.mark.parametrize("change", [("\n", "\r\n"), ("# the desk", "\ufeff# the desk")])
def test_line_ends_and_a_mark_stay(change: tuple[str, str]) -> None:
    before, text = edited(linked("5 USD", text=TEXT.replace(*change)), 6.0)

    assert text == before.replace("5 USD", "6 USD").replace("1.2.3", "1.3.0")


def test_a_default_is_nowhere_to_be_edited() -> None:
    found = linked("5 USD", text=TEXT.replace("order-notional", "total-exposure"))

    assert limit_edit(found.gates[0], "working", "gross") is None


def test_git_takes_the_patch_of_a_file_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = linked("5 USD", text=TEXT.rstrip("\n"))
    before, after = edited(found, 6.0)
    (tmp_path / "desk.yaml").write_text(before)
    subprocess.run(["git", "init", "-q"], check=True)

    subprocess.run(
        ["git", "apply", "-"], input=patch({"desk.yaml": (before, after)}).encode(), check=True
    )

    assert (tmp_path / "desk.yaml").read_text() == after


def test_a_file_outside_has_no_patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")

    with pytest.raises(InputError, match="lies outside the current directory"):
        patch({str(tmp_path / "desk.yaml"): ("a\n", "b\n")})
    assert patch({str(tmp_path / "inside" / "a.yaml"): ("a\n", "b\n")}).startswith("--- a/a.yaml\n")
