"""Policy sets by their hash: kept once, whole or not at all, and checked when they are loaded."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from ringfence import PolicySet
from ringfence.errors import InputError, StateError
from ringfence.runtime.policy_store import PolicyStore
from ringfence.runtime.ports import SYSTEM_FILES
from runtime.desk import policies

pytestmark = pytest.mark.unit


def sets(folder: Path, count: int) -> list[PolicySet]:
    folder.mkdir()
    gate = "\n    - {rule: order-rate@1, limits: {max_orders: %d/s}}\n"
    return [policies(folder / str(n), more=gate % (n + 1)) for n in range(count)]


def file_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.policies"


def test_a_set_is_kept_by_its_hash_and_loaded_again(tmp_path: Path) -> None:
    first, second = sets(tmp_path / "in", 2)
    store = PolicyStore(tmp_path / "a" / "store")
    about = {"commit": "c0ffee", "author": "me@example.com", "at_ns": 5}

    assert store.put(first, about) == first.sha256
    store.put(second, {"at_ns": 6})

    again = PolicyStore(tmp_path / "a" / "store").load(first.sha256)
    assert (again.sha256, again.files) == (first.sha256, first.files)
    entries = store.entries()
    assert [each.sha256 for each in entries] == [second.sha256, first.sha256]
    assert (entries[1].about, entries[1].at_ns, entries[1].damage) == (about, 5, "")
    assert entries[1].size_bytes == file_of(tmp_path / "a" / "store", first.sha256).stat().st_size


def test_a_set_that_is_there_stays_as_it_was_put_first(tmp_path: Path) -> None:
    (first,) = sets(tmp_path / "in", 1)
    store = PolicyStore(tmp_path)
    store.put(first, {"by": "me"})
    before = file_of(tmp_path, first.sha256).stat()

    store.put(first, {"by": "someone else"})

    assert os.path.samestat(before, file_of(tmp_path, first.sha256).stat())
    assert store.entries()[0].about == {"by": "me"}


def test_a_set_that_is_damaged_names_its_file_and_is_put_anew(tmp_path: Path) -> None:
    first, second = sets(tmp_path / "in", 2)
    store = PolicyStore(tmp_path)
    for each in (first, second):
        store.put(each, {})
    path = file_of(tmp_path, first.sha256)
    content = path.read_bytes()
    for damaged in (content[:-1], b"", content.replace(b"policy_set", b"policy-set")):
        path.write_bytes(damaged)
        with pytest.raises(StateError) as raised:
            store.load(first.sha256)
        assert str(path) in raised.value.message
        assert {each.sha256: bool(each.damage) for each in store.entries()} == {
            first.sha256: True,
            second.sha256: False,
        }

    store.put(first, {})

    assert store.load(first.sha256).sha256 == first.sha256


def test_a_file_under_another_name_is_not_taken_for_that_set(tmp_path: Path) -> None:
    first, second = sets(tmp_path / "in", 2)
    store = PolicyStore(tmp_path)
    store.put(first, {})
    os.rename(file_of(tmp_path, first.sha256), file_of(tmp_path, second.sha256))

    with pytest.raises(StateError, match="holds the policy set"):
        store.load(second.sha256)


def forged(path: Path, edit: bytes, by: bytes) -> None:
    """Change what a file says, with its checksum as it should be."""
    head, _, rest = path.read_bytes().partition(b"\n")
    rest = rest.replace(edit, by)
    magic = head[:-64]
    path.write_bytes(magic + sha256(rest).hexdigest().encode() + b"\n" + rest)


def test_files_that_link_to_another_hash_are_refused(tmp_path: Path) -> None:
    first, second = sets(tmp_path / "in", 2)
    store = PolicyStore(tmp_path)
    for each in (first, second):
        store.put(each, {})
    path = file_of(tmp_path, first.sha256)
    os.replace(file_of(tmp_path, second.sha256), path)
    forged(path, second.sha256.encode(), first.sha256.encode())

    with pytest.raises(StateError, match=f"is `{second.sha256}`"):
        store.load(first.sha256)


@pytest.mark.parametrize("head", [b"[]", b"{", b"[" * 100_000, b'{"policy_set": 5}'])
def test_a_head_that_says_nothing_is_no_traceback(head: bytes, tmp_path: Path) -> None:
    (first,) = sets(tmp_path / "in", 1)
    store = PolicyStore(tmp_path)
    store.put(first, {})
    path = file_of(tmp_path, first.sha256)
    forged(path, path.read_bytes().split(b"\n")[1], head)

    with pytest.raises(StateError, match="is no policy set"):
        store.load(first.sha256)


def test_files_that_no_longer_link_are_told_with_the_version_that_stored_them(
    tmp_path: Path,
) -> None:
    (first,) = sets(tmp_path / "in", 1)
    store = PolicyStore(tmp_path)
    store.put(first, {})
    path = file_of(tmp_path, first.sha256)
    packed = path.read_bytes().split(b"\n", 2)[2]
    forged(path, packed, b"nothing")

    with pytest.raises(StateError, match="cannot be linked") as raised:
        store.load(first.sha256)
    assert "Ringfence 0." in raised.value.fix


def test_a_prefix_names_a_set_where_it_names_one_alone(tmp_path: Path) -> None:
    (first,) = sets(tmp_path / "in", 1)
    store = PolicyStore(tmp_path)
    store.put(first, {})
    twin = first.sha256[:6] + "0" * 58
    assert store.load(first.sha256[:4]).sha256 == first.sha256
    file_of(tmp_path, twin).write_bytes(b"")

    assert store.find(first.sha256[:20]) == first.sha256
    with pytest.raises(InputError, match="may be any of"):
        store.find(first.sha256[:6])
    for wrong in ("", "abc", "XYZ1", first.sha256.upper(), "../../etc", "0" * 65):
        with pytest.raises(InputError, match="names no policy set"):
            store.find(wrong)
    with pytest.raises(InputError, match="holds no policy set"):
        PolicyStore(tmp_path / "none").find("abcd")


def test_the_store_has_a_bound(tmp_path: Path) -> None:
    first, second = sets(tmp_path / "in", 2)
    folder = tmp_path / "store"
    PolicyStore(folder).put(first, {})
    size = file_of(folder, first.sha256).stat().st_size
    store = PolicyStore(folder, limit_bytes=2 * size - 10)

    with pytest.raises(StateError, match="is full"):
        store.put(second, {})
    assert store.put(first, {}) == first.sha256
    assert [each.sha256 for each in store.entries()] == [first.sha256]


def test_what_json_cannot_hold_is_not_stored(tmp_path: Path) -> None:
    (first,) = sets(tmp_path / "in", 1)

    with pytest.raises(InputError, match="cannot be stored"):
        PolicyStore(tmp_path / "store").put(first, {"at": object()})


class Broken:
    """The system's files, some of which fail."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __getattr__(self, name: str) -> object:
        if name not in self._names:
            return getattr(SYSTEM_FILES, name)

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        return fail


def test_a_disk_that_fails_is_told_with_the_place(tmp_path: Path) -> None:
    (first,) = sets(tmp_path / "in", 1)
    folder = tmp_path / "store"
    with pytest.raises(StateError, match="cannot be written: no space left"):
        PolicyStore(folder, Broken("write_atomic")).put(first, {})  # type: ignore[arg-type]
    assert PolicyStore(folder).entries() == []
    PolicyStore(folder).put(first, {})
    with pytest.raises(StateError, match="cannot be read"):
        PolicyStore(folder, Broken("read_bytes")).load(first.sha256)  # type: ignore[arg-type]
    with pytest.raises(StateError, match="cannot be read"):
        PolicyStore(folder, Broken("list")).entries()  # type: ignore[arg-type]
