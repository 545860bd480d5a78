"""Compiled code on disk: kept, found again, and not loaded where it may not be ours."""

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
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setenv("RINGFENCE_CACHE_PATH", str(tmp_path / "cache"))

    def fresh() -> ModuleType:
        monkeypatch.setattr(disk_cache, "_loaded", {})
        return disk_cache.load_module(TEXT, lambda _: None)

    return fresh


def hits(module: ModuleType) -> int:
    return sum(module.twice.stats.cache_hits.values())


def test_code_is_compiled_once_and_found_again(load: Load) -> None:
    assert load().twice(21) == 42

    again = load()

    assert again.twice(21) == 42
    assert hits(again) == 1


def test_a_changed_file_is_compiled_anew_and_never_loaded(load: Load, tmp_path: Path) -> None:
    load()
    (place,) = (tmp_path / "cache").iterdir()
    source = next(place.glob("*.py"))
    source.write_text(source.read_text().replace("2 * number", "3 * number"))

    assert load().twice(21) == 42


def test_what_others_may_write_to_is_not_loaded(load: Load, tmp_path: Path) -> None:
    load()
    (place,) = (tmp_path / "cache").iterdir()
    place.chmod(0o777)

    again = load()

    assert again.twice(21) == 42
    assert hits(again) == 0


def test_a_cache_directory_open_to_others_is_not_used(load: Load, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)

    assert load().twice(21) == 42
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_a_place_to_write_the_code_is_compiled_in_memory(
    load: Load, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the directory should be")

    assert load().twice(21) == 42


def test_whoever_waits_is_told_before_something_is_compiled(load: Load, tmp_path: Path) -> None:
    told: list[Path | None] = []
    with disk_cache.told_of_compiling(told.append):
        load()
    with disk_cache.told_of_compiling(told.append):
        load()  # kept: nothing to wait for
    (tmp_path / "cache").chmod(0o777)
    with disk_cache.told_of_compiling(told.append):
        load()
        load()
    load()

    assert told == [tmp_path / "cache", None]


@pytest.mark.parametrize("json", [False, True])
def test_the_command_line_says_so_on_standard_error_but_not_beside_json(
    load: Load, json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with compiling_is_said(json=json):
        load()

    shown = capsys.readouterr()
    assert shown.out == ""
    assert (f"kept in {tmp_path / 'cache'}" in shown.err) is not json
    assert len(shown.err.splitlines()) == (0 if json else 1)
