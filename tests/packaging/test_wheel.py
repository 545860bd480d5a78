"""What a user installs: a wheel that holds the rule library and the schemas, and works on its own."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def data_files(kind: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix() for path in (ROOT / kind).rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The directory that holds the sdist and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return out


@pytest.fixture(scope="module")
def wheel(dist):
    return next(dist.glob("*.whl"))


@pytest.mark.parametrize("kind", ["rules", "schemas"])
def test_the_wheel_holds_every_file_of_the_rule_library_and_the_schemas(wheel, kind):
    names = set(zipfile.ZipFile(wheel).namelist())

    assert data_files(kind)
    assert {f"ringfence/_data/{name}" for name in data_files(kind)} <= names


def test_the_wheel_holds_the_whole_package_and_nothing_beside_it(wheel):
    package = ROOT / "engine" / "ringfence"
    expected = {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = set(zipfile.ZipFile(wheel).namelist())

    assert "ringfence/py.typed" in expected
    assert expected <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"ringfence"}


def test_policies_are_mounted_not_shipped(wheel, dist):
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = [
            *zipfile.ZipFile(wheel).namelist(),
            *(m.split("/", 1)[-1] for m in sdist.getnames()),
        ]

    assert not [
        name for name in names if name.startswith(("policies/", "ringfence/_data/policies"))
    ]


def test_an_installed_wheel_finds_its_own_data_outside_a_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--disable-pip-version-check", "--target", site, wheel, cwd=tmp_path)
    # Before the checkout on the path: as if it were not there.
    script = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import ringfence;"
        "from ringfence._resources import bundled; print(ringfence.__file__);"
        "print(*(len(list(bundled(kind).iterdir())) for kind in ('rules', 'schemas')));"
        "print(bundled('rules'), bundled('schemas'))"
    )
    home, counts, places = run(sys.executable, "-I", "-c", script, cwd=tmp_path).splitlines()

    assert Path(home) == site / "ringfence" / "__init__.py"
    assert counts.split() == [str(len(list((ROOT / k).iterdir()))) for k in ("rules", "schemas")]
    assert places.split() == [str(site / "ringfence" / "_data" / k) for k in ("rules", "schemas")]
