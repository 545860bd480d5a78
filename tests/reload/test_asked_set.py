"""A set that a person names by its hash is taken over, if the set that it replaces is in force."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reload.places import QUICK, TEST, desk, policy, running, save
from ringfence.errors import InputError
from ringfence.reload.active_pointer import ActivePointer, point, read_pointer
from ringfence.reload.asking import ask, running_control
from ringfence.reload.control import Control, Request
from ringfence.reload.directory_source import DirectorySource
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.policy_store import PolicyStore
from ringfence.runtime.ports import SYSTEM_FILES

pytestmark = pytest.mark.integration

FOREVER = 1 << 62


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return desk(tmp_path / "policies", test=TEST)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def other(tmp_path: Path, store: Path) -> str:
    """A set that lies where people put those that they ask for."""
    found = PolicySet.load(desk(tmp_path / "other", position="9_000 USD"))
    return PolicyStore(Control(store).shadows).put(found, {"by": "ann"})


def applied(store: Path, policy_set: str, before: str) -> dict[str, Any]:
    request = Request("r1", "apply", policy_set, "ann", "approved", FOREVER, before)
    return ask(running_control(store), request, 600)


def test_it_is_in_force_and_stays_until_the_source_changes(
    folder: Path, store: Path, other: str
) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set

        answer = applied(store, other, first)

        assert (answer["result"], answer["policy_set"], answer["before"]) == (
            "applied",
            other,
            first,
        )
        assert (found.guard.policy_set, found.reloader.health().pinned) == (other, other)
        assert found.guard.used[-1][1:] == ("ann", {"place": "a plan", "reason": "approved"})
        # What decided can be gone back to.
        assert PolicyStore(store).load(other).sha256 == other
        assert applied(store, other, first)["result"] == "current"
        assert len(found.guard.used) == 2

        save(folder / "desk.yaml", policy("9_000 USD"))
        found.until(lambda each: each.result == "current" and each.by == "files")
        assert found.reloader.health().pinned == ""
        assert len(found.guard.used) == 2


def test_a_source_that_holds_it_is_followed_from_there(tmp_path: Path, store: Path) -> None:
    folder = desk(tmp_path / "policies")
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        head = PolicySet.load(folder).sha256

        # Whether the reloader has noticed the files by itself already or not.
        assert applied(store, head, first)["result"] in ("accepted", "current")
        assert (found.guard.policy_set, found.reloader.health().pinned) == (head, "")


@pytest.mark.parametrize(
    "what", ["another base", "no such set", "a guard that refuses", "a failing test"]
)
def test_it_is_refused_and_nothing_has_changed(
    what: str, folder: Path, store: Path, other: str, tmp_path: Path
) -> None:
    golden = tmp_path / "golden"
    golden.mkdir()
    # It passes under the first set, and not under the other.
    wants = TEST.replace("size: 11", "size: 9.5").replace(
        "REDUCE_SIZE, code: POSITION_SIZE", "APPROVE"
    )
    (golden / "test.yaml").write_text(wants)
    settings = replace(QUICK, golden=golden if what == "a failing test" else None)
    with running(DirectorySource(folder), store, settings=settings) as found:
        first = found.next("accepted").policy_set
        if what == "a guard that refuses":
            found.guard.refuses = InputError("another currency")
        name = "0" * 64 if what == "no such set" else other

        answer = applied(store, name, "f" * 64 if what == "another base" else first)

        assert (answer["result"], answer["ok"], answer["policy_set"]) == ("refused", False, first)
        assert answer["message"]
        assert (found.guard.policy_set, found.reloader.health().pinned) == (first, "")


def test_a_request_of_an_earlier_version_is_read(store: Path) -> None:
    control = Control(store)
    lock = control.hold()
    try:
        raw = {
            "id": "r1",
            "action": "reload",
            "policy_set": "",
            "by": "a",
            "reason": "b",
            "expires_ns": 1,
        }
        (control.requests / "r1.json").write_text(json.dumps(raw))

        assert control.take() == [Request("r1", "reload", "", "a", "b", 1)]
    finally:
        lock.close()


def test_no_answer_in_time_and_a_place_that_cannot_be_used_are_said(store: Path) -> None:
    control = Control(store)
    lock = control.hold()
    try:
        request = Request("r1", "reload", "", "ann", "why", FOREVER)
        with pytest.raises(InputError, match="no answer within 0 s"):
            ask(control, request, 0.0)
        assert control.take() == []
        control.requests.rmdir()
        control.requests.write_text("in the way")
        with pytest.raises(InputError, match="cannot be used"):
            ask(control, request, 0.0)
    finally:
        lock.close()


def pointer(policy_set: str, before: str = "") -> ActivePointer:
    return ActivePointer(policy_set, "", "policies", "2026-01-05T12:00:00Z", "ann", "why", before)


def test_a_pointer_is_written_whole_and_only_where_what_stands_there_allows_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "active.json"
    one, two = pointer("1" * 64), pointer("2" * 64, "1" * 64)

    assert read_pointer(path) is None
    assert point(path, one, lambda found: found is None)
    assert read_pointer(path) == one
    assert not point(path, two, lambda found: found is None)
    assert read_pointer(path) == one
    assert point(path, two, lambda found: found == one)
    assert read_pointer(path) == two


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": "ringfence/active/v1"}',
        '{"schema": "ringfence/active/v1", "policy_set": 1}',
    ],
)
def test_what_is_no_pointer_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "active.json"
    path.write_text(text)

    with pytest.raises(InputError, match="is no active pointer"):
        read_pointer(path)


def test_a_pointer_that_another_writes_or_nobody_may_write_is_said(tmp_path: Path) -> None:
    path = tmp_path / "active.json"
    lock = SYSTEM_FILES.lock(tmp_path / ".active.json.lock")
    try:
        with pytest.raises(InputError, match="another process writes"):
            point(path, pointer("1" * 64), lambda _: True)
    finally:
        lock.close()
    with pytest.raises(InputError, match="cannot be used"):
        point(tmp_path / "no" / "such" / "active.json", pointer("1" * 64), lambda _: True)
