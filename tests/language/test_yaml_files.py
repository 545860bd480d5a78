"""Which files of a directory count: all of them, or the directory is refused."""

import pytest

from ringfence.errors import InputError
from ringfence.language.yaml_files import yaml_files

pytestmark = pytest.mark.unit


def test_files_below_are_found_and_hidden_ones_are_not(tmp_path):
    for name in ("b.yaml", "deep/a.yml", ".hidden/c.yaml", ".d.yaml", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x: 1\n")

    assert yaml_files(tmp_path) == [tmp_path / "b.yaml", tmp_path / "deep" / "a.yml"]


def test_an_ending_in_capitals_is_not_left_out(tmp_path):
    for name in ("DESK.YAML", "firm.Yml"):
        (tmp_path / name).write_text("x: 1\n")

    assert yaml_files(tmp_path) == [tmp_path / "DESK.YAML", tmp_path / "firm.Yml"]


def test_a_link_to_a_file_counts_as_the_file(tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "desk.yaml").write_text("x: 1\n")
    (tmp_path / "desk.yaml").symlink_to(tmp_path / "..data" / "desk.yaml")

    assert yaml_files(tmp_path) == [tmp_path / "desk.yaml"]


def test_a_link_to_a_directory_is_refused_and_not_left_out(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "more").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InputError, match="link to a directory, which is not followed"):
        yaml_files(tmp_path / "policies")
