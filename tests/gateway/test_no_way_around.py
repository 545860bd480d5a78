"""Only the gateway reaches an exchange: the import contract holds, and finds what breaks it."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ringfence

pytestmark = [pytest.mark.security, pytest.mark.integration]

PACKAGE = Path(ringfence.__file__).parent
ROOT = PACKAGE.parents[1]
CONTRACT = "only the gateway knows exchanges"
NAME = "adapters.exchange_"


def contract() -> dict[str, list[str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (found,) = (
        each for each in settings["tool"]["importlinter"]["contracts"] if each["name"] == CONTRACT
    )
    return found


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the package in a folder against the contracts of this project."""
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [command, "--no-cache", ROOT / "pyproject.toml"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contract_names_every_exchange_adapter_and_the_gateway_alone() -> None:
    there = {
        f"ringfence.adapters.{path.stem}" for path in (PACKAGE / "adapters").glob("exchange_*")
    }

    assert set(contract()["protected_modules"]) == there
    assert contract()["allowed_importers"] == ["ringfence.gateway"]


@pytest.mark.parametrize(
    ("place", "statement"),
    [
        ("runtime", "import ringfence.adapters.exchange_paper"),
        ("cli", "from ringfence.adapters import exchange_paper"),
        ("replay", "from ringfence.adapters.exchange_paper.exchange import PaperExchange"),
        (
            "adapters",
            "def late():\n    from ringfence.adapters.exchange_paper import PaperExchange",
        ),
    ],
)
def test_an_import_of_an_exchange_elsewhere_is_found(
    place: str, statement: str, tmp_path: Path
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "ringfence", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "ringfence" / place / "way_around.py").write_text(statement, encoding="utf-8")

    checked = lint(tmp_path)

    assert checked.returncode == 1
    assert f"{CONTRACT} BROKEN" in checked.stdout
    assert f"ringfence.{place}.way_around" in checked.stdout


def test_the_package_as_it_is_keeps_the_contract(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "ringfence", ignore=shutil.ignore_patterns("__pycache__"))

    assert f"{CONTRACT} KEPT" in lint(tmp_path).stdout


def names_in_texts(tree: ast.AST) -> list[str]:
    """Texts of a module that name an exchange adapter, as an import by name would."""
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME in node.value
    ]


def test_no_text_elsewhere_names_an_exchange_for_an_import_by_name() -> None:
    assert names_in_texts(ast.parse('import_module("ringfence.adapters.exchange_paper")'))
    outside = [
        path
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] != "gateway"
        and names_in_texts(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert outside == []
