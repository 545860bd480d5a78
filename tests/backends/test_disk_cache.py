"""Compiled code on disk: kept, found again, and not loaded where it may not be ours."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from ringfence.backends.numba_kernel import disk_cache
from ringfence.cli.output import compiling_is_said

pytestmark = pytest.mark.security

TEXT = """
from numba import njit


@njit("int64(int64)", cache=True)
def twice(number):
    return 2 * number
"""
Load = Callable[[], ModuleType]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def load(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setenv("RINGFENCE_CACHE_PATH", str(cache))

    def fresh() -> ModuleType:
        monkeypatch.setattr(disk_cache, "_loaded", {})
        return disk_cache.load_module(TEXT, lambda _: None)

    return fresh


@pytest.fixture
def place(cache: Path, load: Load) -> Path:
    """Where the code lies after a first load."""
    load()
    return kept(cache)


def kept(cache: Path) -> Path:
    (found,) = (each for each in cache.iterdir() if each.suffix != ".lock")
    return found


def hits(module: ModuleType) -> int:
    return sum(module.twice.stats.cache_hits.values())


def assert_compiled_anew(load: Load) -> None:
    """Nothing is taken from disk, and what is kept there afterwards is whole again."""
    again = load()
    assert (again.twice(21), hits(again)) == (42, 0)
    whole = load()
    assert (whole.twice(21), hits(whole)) == (42, 1)


def test_code_is_compiled_once_and_found_again(load: Load) -> None:
    assert load().twice(21) == 42

    again = load()

    assert again.twice(21) == 42
    assert hits(again) == 1


def test_a_changed_source_is_never_loaded(load: Load, place: Path) -> None:
    source = next(place.glob("*.py"))
    source.write_text(source.read_text().replace("2 * number", "3 * number"))

    assert_compiled_anew(load)


@pytest.mark.parametrize("pattern", ["*.nbc", "*.nbi", "manifest.json"])
def test_changed_machine_code_is_never_loaded(load: Load, place: Path, pattern: str) -> None:
    file = next(place.rglob(pattern))
    file.write_bytes(file.read_bytes()[:-1] + b"!")

    assert_compiled_anew(load)


def test_a_file_that_no_manifest_names_is_not_beside_what_is_loaded(
    load: Load, place: Path
) -> None:
    (place / "numba.py").write_text("raise SystemExit")

    assert_compiled_anew(load)


def test_what_is_missing_is_compiled_anew(load: Load, place: Path) -> None:
    next(place.rglob("*.nbc")).unlink()

    assert_compiled_anew(load)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_may_write_to_is_not_loaded(
    load: Load, place: Path, mode: int
) -> None:
    place.chmod(mode)

    assert_compiled_anew(load)


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_to_is_not_loaded(load: Load, place: Path, mode: int) -> None:
    next(place.rglob("*.nbc")).chmod(mode)

    assert_compiled_anew(load)


def test_a_link_to_a_directory_is_not_loaded_and_what_it_names_stays(
    load: Load, place: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)

    assert_compiled_anew(load)
    assert not place.is_symlink()
    assert list(elsewhere.rglob("*.nbc"))


def test_a_link_to_a_file_is_not_loaded(load: Load, place: Path, tmp_path: Path) -> None:
    file = next(place.rglob("*.nbc"))
    shutil.copy(file, tmp_path)
    file.unlink()
    file.symlink_to(tmp_path / file.name)

    assert_compiled_anew(load)


def test_a_link_that_leads_nowhere_is_replaced(load: Load, place: Path, tmp_path: Path) -> None:
    shutil.rmtree(place)
    place.symlink_to(tmp_path / "nowhere")

    assert_compiled_anew(load)


def test_what_belongs_to_somebody_else_is_not_loaded_nor_touched(
    load: Load, cache: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(cache.rglob("*"))
    somebody_else = os.getuid() + 1
    monkeypatch.setattr(disk_cache.os, "getuid", lambda: somebody_else)

    again = load()

    assert (again.twice(21), hits(again), place.exists()) == (42, 0, True)
    assert sorted(cache.rglob("*")) == before


def test_a_cache_directory_open_to_others_is_not_used(load: Load, cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)

    assert load().twice(21) == 42
    assert list(cache.iterdir()) == []


def test_without_a_place_to_write_the_code_is_compiled_in_memory(load: Load, cache: Path) -> None:
    cache.write_text("a file where the directory should be")

    assert load().twice(21) == 42


def test_without_a_lock_the_code_is_compiled_in_memory(load: Load, cache: Path) -> None:
    name = f"ringfence_kernel_{disk_cache._key(TEXT)}"
    cache.mkdir(mode=0o700)
    (cache / f"{name}.lock").mkdir()

    assert load().twice(21) == 42
    assert [each.name for each in cache.iterdir()] == [f"{name}.lock"]


def test_what_cannot_be_renamed_into_place_is_used_once_and_not_kept(
    load: Load, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(disk_cache, "_put", full)

    assert load().twice(21) == 42
    assert [each.suffix for each in cache.iterdir()] == [".lock"]


@pytest.fixture
def beforehand(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The code, as an image holds it: for all to read, and gone from the cache."""
    found = tmp_path / "compiled"
    shutil.copytree(place.parent, found)
    for each in (found, *found.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    shutil.rmtree(place.parent)
    monkeypatch.setenv("RINGFENCE_COMPILED_PATH", str(found))
    return found


def test_what_was_compiled_beforehand_is_not_compiled_again(
    load: Load, cache: Path, beforehand: Path
) -> None:
    told: list[Path | None] = []
    with disk_cache.told_of_compiling(told.append):
        taken = load()
    assert (taken.twice(21), hits(taken), told) == (42, 1, [])

    shutil.rmtree(beforehand)
    again = load()
    assert (again.twice(21), hits(again)) == (42, 1)
    assert not [each for each in cache.rglob("*") if each.stat().st_mode & 0o077]


@pytest.mark.parametrize("what", ["machine code", "writable", "a link", "missing", "another's"])
def test_what_may_have_been_changed_since_is_not_taken(
    load: Load, beforehand: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = next(beforehand.rglob("*.nbc"))
    if what == "machine code":
        code.write_bytes(code.read_bytes()[:-1] + b"!")
    elif what == "writable":
        code.parent.chmod(0o777)
    elif what == "a link":
        moved = beforehand.with_name("moved")
        beforehand.rename(moved)
        beforehand.symlink_to(moved)
    elif what == "missing":
        monkeypatch.setenv("RINGFENCE_COMPILED_PATH", str(beforehand / "none"))
    else:
        somebody_else = os.stat(beforehand).st_uid + 1
        for each in (beforehand, *beforehand.rglob("*")):
            os.chown(each, somebody_else, -1)

    assert_compiled_anew(load)


def test_code_for_any_processor_is_kept_under_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_cache.numba.core.config, "CPU_NAME", "generic")
    monkeypatch.setattr(disk_cache.numba.core.config, "CPU_FEATURES", "")
    names = set()
    for features in ("+avx2", "+sse2"):
        host = type("Features", (), {"flatten": lambda _, found=features: found})
        monkeypatch.setattr(disk_cache.llvmlite.binding, "get_host_cpu_features", host)
        names.add(disk_cache._key(TEXT))

    assert len(names) == 1


def test_whoever_waits_is_told_before_something_is_compiled(load: Load, cache: Path) -> None:
    told: list[Path | None] = []
    with disk_cache.told_of_compiling(told.append):
        load()
    with disk_cache.told_of_compiling(told.append):
        load()  # kept: nothing to wait for
    (cache).chmod(0o777)
    with disk_cache.told_of_compiling(told.append):
        load()
        load()
    load()

    assert told == [cache, None]


@pytest.mark.parametrize("json", [False, True])
def test_the_command_line_says_so_on_standard_error_but_not_beside_json(
    load: Load, json: bool, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with compiling_is_said(json=json):
        load()

    shown = capsys.readouterr()
    assert shown.out == ""
    assert (f"kept in {cache}" in shown.err) is not json
    assert len(shown.err.splitlines()) == (0 if json else 1)
