"""The image, built from the Dockerfile and run by a container engine: where `make containers` asks for it.

`container_engine.py` says by which engine, and from what. What the image does beside the other services is in
`test_compose_containers.py`.
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment.compose_file import ROOT
from deployment.container_engine import IMAGE, engine, only_where_asked
from ringfence.runtime.secret_files import make_secrets

pytestmark = [pytest.mark.integration, only_where_asked, pytest.mark.usefixtures("image")]


def contained(*words: object, options: tuple[object, ...] = ()) -> str:
    """Run a command in the image as hard-pressed as the compose file has it."""
    return engine(
        "run", "--rm", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=none",
        "--security-opt=no-new-privileges", f"--volume={ROOT / 'policies'}:/policies:ro", *options,
        IMAGE, *words,
    )  # fmt: skip


def test_it_runs_as_trader_and_holds_no_compiler_and_no_pip() -> None:
    script = (
        "id; for each in cc gcc c++ clang pip pip3; do command -v $each; done; ls -a /root/.cache"
    )
    told = contained("-c", f"{script}; true", options=("--entrypoint=sh",))
    assert told.split()[:2] == ["uid=1000(trader)", "gid=1000(trader)"]
    assert len(told.splitlines()) == 1


def test_it_bears_its_name_and_version() -> None:
    (about,) = json.loads(engine("image", "inspect", IMAGE))
    labels = about["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "ringfence"
    assert labels["org.opencontainers.image.version"] == "test"
    print(f"image: {about['Size'] / 1e6:.0f} MB")


def test_it_checks_policies_on_a_read_only_file_system() -> None:
    assert "valid" in contained("validate")


def test_a_start_with_the_shipped_policies_compiles_nothing() -> None:
    told = json.loads(contained("compile", "/policies", "--check", "--json"))
    assert told["compiled"] is False


def test_every_module_finds_what_it_imports() -> None:
    """Libraries are in the image without some of their parts; see `docker/ringfence/slim`."""
    script = (
        "import importlib, pkgutil, ringfence, ccxt.pro, duckdb, matplotlib.pyplot, pyarrow.dataset, pyarrow.parquet\n"
        "modules = [each.name for each in pkgutil.walk_packages(ringfence.__path__, 'ringfence.')]\n"
        "for each in modules: importlib.import_module(each)\n"
        "print(len(modules))\n"
    )
    options = ("--entrypoint=python", "--env=MPLCONFIGDIR=/tmp", "--tmpfs=/var/cache/ringfence")
    assert int(contained("-c", script, options=options)) > 200


def test_commands_that_need_large_libraries_work(tmp_path: Path) -> None:
    examples = f"--volume={ROOT / 'examples'}:/examples:ro"
    tmp_path.chmod(0o777)
    out = f"--volume={tmp_path}:/out"
    assert "passed" in contained("test", "/policies/tests", "--policies", "/policies")
    assert "proved" in contained("prove", "/policies", "--no-cache")
    contained(
        "dry-run", "--orders=/examples/data/orders.parquet", "--marks=/examples/data/marks.parquet",
        "--balances=/examples/data/balances.csv", "--instruments=/examples/data/instruments.yaml",
        "--base=/policies", "--policies=/examples/tightened", "--out=/out/dry-run",
        options=(examples, out),
    )  # fmt: skip
    report = (tmp_path / "dry-run" / "report.html").read_text("utf-8")
    assert "<svg" in report or "data:image/" in report


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service on its own, as `docker run` starts it."""
    folder = tmp_path_factory.mktemp("service")
    make_secrets(folder / "secrets", group=1000)
    name = f"ringfence-{uuid.uuid4().hex[:8]}"
    variables = ("api_secret_key", "jwt_secret_key", "dashboard_admin_password")
    engine(
        "run", "--detach", f"--name={name}", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL",
        "--network=none", "--security-opt=no-new-privileges", "--memory=1g",
        f"--volume={name}-data:/var/lib/ringfence", f"--volume={ROOT / 'policies'}:/policies:ro",
        "--env=RINGFENCE_DATA=/var/lib/ringfence/data", "--env=RINGFENCE_SERVER__BEHIND_PROXY=true",
        *(f"--env={each.upper()}_FILE=/run/secrets/{each}" for each in variables),
        *(f"--volume={folder / 'secrets' / each}:/run/secrets/{each}:ro" for each in variables),
        IMAGE,
    )  # fmt: skip
    yield name
    engine("rm", "--force", name)
    engine("volume", "rm", f"{name}-data")


def test_the_service_becomes_healthy_and_stops_when_told(service: str) -> None:
    waits = "for i in $(seq 1200); do healthy 2>/dev/null && exit 0; sleep 0.1; done; exit 1"
    engine("exec", service, "sh", "-c", waits)
    ready = (
        "import time, urllib.request as u\n"
        "for i in range(1800):\n"
        "    try: print(u.urlopen('http://127.0.0.1:8001/health/ready').read()); break\n"
        "    except OSError: time.sleep(0.1)\n"
        "else: raise SystemExit(1)\n"
    )
    assert '"ok"' in engine("exec", service, "python", "-c", ready)
    engine("stop", "--time=40", service)
    (about,) = json.loads(engine("inspect", service))
    assert about["State"]["ExitCode"] == 0, engine("logs", service)
