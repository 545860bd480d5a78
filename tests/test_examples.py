"""The shipped examples are what they say: a tightened copy, and a demo that shows it."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from ringfence.cli.main import main
from ringfence.language.linking import link_path

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).resolve().parents[1]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Every scalar of a document by its place; a gate is named by its rule."""
    if isinstance(value, dict):
        return {k: v for key in value for k, v in leaves(value[key], (*path, key)).items()}
    if isinstance(value, list):
        found: dict[tuple[Any, ...], Any] = {}
        for place, each in enumerate(value):
            name = each["rule"] if isinstance(each, dict) and "rule" in each else place
            found |= leaves(each, (*path, name))
        return found
    return {path: value}


def read(directory: str) -> dict[tuple[Any, ...], Any]:
    files = (ROOT / directory).glob("*.yaml")
    return leaves({file.name: yaml.safe_load(file.read_text("utf-8")) for file in files})


def test_the_tightened_copy_differs_in_three_limits_and_two_versions() -> None:
    base, head = read("policies"), read("examples/tightened")
    gates = ("spec", "gates")

    assert base.keys() == head.keys()
    assert {place: (base[place], head[place]) for place in base if base[place] != head[place]} == {
        ("desk.yaml", "metadata", "version"): ("1.0.1", "1.1.1"),
        ("desk.yaml", *gates, "position-size@1", "limits", "max"): (
            "1_500_000 USDT",
            "1_000_000 USDT",
        ),
        ("desk.yaml", *gates, "order-notional@1", "limits", "max"): (
            "200_000 USDT",
            "100_000 USDT",
        ),
        ("strategy-taker.yaml", "metadata", "version"): ("1.0.0", "1.1.0"),
        ("strategy-taker.yaml", *gates, "total-exposure@1", "limits", "max"): (
            "2_500_000 USDT",
            "1_200_000 USDT",
        ),
    }


def test_the_tightened_copy_is_a_policy_set_of_its_own() -> None:
    assert link_path(ROOT / "examples" / "tightened").sha256 != link_path(ROOT / "policies").sha256


@pytest.mark.integration
def test_the_readme_shows_what_the_demo_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "160")
    recipe = (ROOT / "Makefile").read_text("utf-8").split("ringfence dry-run ")[1].split("\n\t@")[0]
    words = shlex.split(recipe.replace("\\\n", " ").replace("build/demo", str(tmp_path)))
    readme = (ROOT / "README.md").read_text("utf-8")

    assert main(["dry-run", *words, "--no-report"]) == 0

    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    shown = re.findall(r"```text\n(.*?)```", readme, re.DOTALL)[0].splitlines()
    assert len(shown) > 10
    assert [line for line in shown if line.strip() not in printed] == []
    assert "34,419 real orders" in readme
