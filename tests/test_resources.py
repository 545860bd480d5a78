"""Where the rule library and the schemas are found."""

import os
from pathlib import Path

import pytest

from ringfence._resources import bundled
from ringfence.errors import InputError

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("rules", "schemas")


@pytest.fixture(autouse=True)
def without_overrides(monkeypatch):
    for kind in KINDS:
        monkeypatch.delenv(f"RINGFENCE_{kind.upper()}_PATH", raising=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkout_answers_its_live_files_not_the_copy_an_editable_install_leaves(kind):
    assert Path(os.fspath(bundled(kind))) == ROOT / kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_variable_names_another_directory(kind, monkeypatch, tmp_path):
    monkeypatch.setenv(f"RINGFENCE_{kind.upper()}_PATH", str(tmp_path))

    assert bundled(kind) == tmp_path


def test_an_empty_variable_is_no_override(monkeypatch):
    monkeypatch.setenv("RINGFENCE_RULES_PATH", "")

    assert bundled("rules") == ROOT / "rules"


@pytest.mark.parametrize("kind", KINDS)
def test_a_variable_that_names_no_directory_is_bad_input_with_a_fix(kind, monkeypatch, tmp_path):
    variable = f"RINGFENCE_{kind.upper()}_PATH"
    monkeypatch.setenv(variable, str(tmp_path / "absent"))

    with pytest.raises(InputError) as caught:
        bundled(kind)

    assert variable in caught.value.message
    assert "unset it" in caught.value.fix


def test_a_package_without_its_data_says_where_it_looked(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "ringfence._resources.__file__", str(tmp_path / "a" / "b" / "_resources.py")
    )

    with pytest.raises(FileNotFoundError, match="no rules/ in the installed package"):
        bundled("rules")
