"""A checkout, an engine that only writes down what it is asked, and deployments of the one by the other."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.deploying.deployments import COMPOSE, ROOT, Make, never
from cli.recording_engine import OLD, RecordingEngine
from ringfence.cli.deploying import machine_checks
from ringfence.cli.deploying.deployment import Deployment, Machine
from ringfence.cli.deploying.engine import COMPOSE_FILE, find_engine
from ringfence.runtime.credentials import PRODUCTION_SECRETS
from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.runtime.secret_files import make_secrets


@pytest.fixture
def engine(tmp_path: Path) -> RecordingEngine:
    return RecordingEngine(tmp_path / "bin", runs=OLD)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with all that a deployment needs, and sound secrets."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in machine_checks.NEEDED_FILES:
        if (ROOT / name).is_dir():
            (folder / name).mkdir()
        else:
            (folder / name).touch()
    (folder / COMPOSE_FILE).write_text(yaml.safe_dump(COMPOSE))
    (folder / "policies").mkdir()
    given = {each.name: each.make(SYSTEM_RANDOM) for each in PRODUCTION_SECRETS}
    make_secrets(folder / "secrets", PRODUCTION_SECRETS, given=given)
    return folder


@pytest.fixture
def make(root: Path, engine: RecordingEngine) -> Make:
    """A deployment of that checkout with that engine; fields may be given otherwise."""
    environ = {"PATH": f"{engine.folder}:{os.environ['PATH']}"}

    def made(environment: Any = "production", **changed: Any) -> Deployment:
        fields: dict[str, Any] = {
            "root": root,
            "secrets": root / "secrets",
            "policies": root / "policies",
            "environ": environ,
            "engine": find_engine(root, environ),
            "python": sys.executable,
            "machine": Machine(ports={}),
            "wait": never,
        }
        return Deployment(environment, **{**fields, **changed})

    return made
