"""What was proved before is known again, and only this user's own files are trusted."""

import json
from pathlib import Path

import pytest

from ringfence.review import proof_cache
from ringfence.review.proof_cache import ProofCache, proofs_key

pytestmark = pytest.mark.unit


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    return folder


def test_what_is_kept_is_found_again(root: Path) -> None:
    ProofCache("a", root).keep([("one", {"status": "proved"})])
    ProofCache("a", root).keep([("two", {"status": "proved"})])

    again = ProofCache("a", root)
    assert again.get("one") == again.get("two") == {"status": "proved"}
    assert again.get("three") is None
    assert ProofCache("b", root).get("one") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "\xff"])
def test_a_file_that_says_something_else_is_as_good_as_none(root: Path, content: str) -> None:
    ProofCache("a", root).keep([("one", {})])
    (root / "proofs" / "a.json").write_text(content, encoding="latin-1")

    assert ProofCache("a", root).get("one") is None


@pytest.mark.parametrize("place", ["", "proofs", "proofs/a.json"])
def test_what_others_may_write_is_not_trusted(root: Path, place: str) -> None:
    ProofCache("a", root).keep([("one", {})])
    (root / place).chmod(0o777)

    assert ProofCache("a", root).get("one") is None


def test_where_nothing_can_be_kept_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ProofCache("a", tmp_path / "file").keep([("one", {})])
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    ProofCache("a", open_to_all).keep([("one", {})])

    assert not list(open_to_all.rglob("*.json"))


def test_nothing_is_written_where_nothing_is_new(root: Path) -> None:
    ProofCache("a", root).keep([("one", {})])
    path = root / "proofs" / "a.json"
    path.write_text(json.dumps({"one": {}}, indent=9))
    before = path.read_text()

    ProofCache("a", root).keep([("one", {})])

    assert path.read_text() == before


def test_the_key_changes_with_the_set_the_code_and_the_solver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = proofs_key("set")

    assert proofs_key("set") == first
    assert proofs_key("other") != first
    monkeypatch.setattr(proof_cache, "version", lambda _: "another")
    assert proofs_key("set") != first
    monkeypatch.undo()
    monkeypatch.setattr(proof_cache, "_FOLDERS", ("language",))
    assert proofs_key("set") != first


def test_parts_are_known_to_every_set_and_the_oldest_go(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof_cache, "_MOST_PARTS", 3)
    first = ProofCache("a", root)
    for part in ("one", "two"):
        first.keep_part(part)
    assert not first.holds_in("one")
    first.keep([])
    second = ProofCache("b", root)
    assert second.holds_in("one")
    for part in ("three", "four"):
        second.keep_part(part)
    second.keep([("claim", {})])

    third = ProofCache("c", root)
    assert [part for part in ("one", "two", "three", "four") if third.holds_in(part)] == [
        "two",
        "three",
        "four",
    ]
