"""A container engine, `podman` or `docker`, where `RINGFENCE_CONTAINERS` names one; and Compose, talking to it.

`make containers` sets the variable. Where no registry can be reached, `RINGFENCE_BASE_IMAGE=stand-in` has images made from
Debian's packages (root, debootstrap, podman): the base of the Dockerfile by `base-image`, and those that the compose file names
by `stand-ins/Dockerfile`. They stay on the machine, and the base is not made again while it is there.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from deployment.compose_file import COMPOSE_FILE, ROOT, compose_program, read_compose

ENGINE = os.environ.get("RINGFENCE_CONTAINERS", "")
STAND_IN = os.environ.get("RINGFENCE_BASE_IMAGE") == "stand-in"
IMAGE = "localhost/ringfence:test"
BASE = "localhost/ringfence-base:test"
STAND_INS = ("postgres", "redis", "prometheus", "alertmanager", "grafana")
# Of the build, which fetches every dependency where nothing is cached; of all else.
BUILD_S, COMMAND_S = 1500, 420

only_where_asked = pytest.mark.skipif(
    not ENGINE, reason="takes minutes: `make containers` builds the image, and runs it"
)


def engine(*words: object, code: int = 0, timeout_s: float = COMMAND_S) -> str:
    """Run the engine's program; gives what it printed."""
    done = subprocess.run(
        [ENGINE, *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout_s,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def build_image(folder: Path) -> None:
    """Build the Dockerfile as `IMAGE`."""
    base = []
    if STAND_IN:
        if subprocess.run([ENGINE, "image", "inspect", BASE], capture_output=True).returncode:
            script = Path(__file__).with_name("base-image")
            subprocess.run(["sh", script, folder, BASE], check=True, timeout=BUILD_S)
        base = [f"--build-arg=PYTHON_IMAGE={BASE}"]
    words = ("build", *base, "--build-arg=VERSION=test", "--tag", IMAGE, ".")
    engine(*words, timeout_s=BUILD_S)


def build_stand_ins() -> dict[str, str]:
    """The images that the compose file is given, by their variables; needs `build_image`'s base where they are made here."""
    images = {"RINGFENCE_IMAGE": IMAGE}
    for name in STAND_INS if STAND_IN else ():
        tag = images[f"RINGFENCE_{name.upper()}_IMAGE"] = f"localhost/ringfence-{name}:test"
        context = Path(__file__).with_name("stand-ins")
        engine(
            "build", f"--build-arg=BASE={BASE}", f"--target={name}", "--tag", tag, context,
            timeout_s=BUILD_S,
        )  # fmt: skip
    return images


def wait_until(condition: Callable[[], bool], seconds: float, told: Callable[[], str]) -> None:
    """Ask again and again until it holds; fails with what is told where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, told()
        time.sleep(0.25)


@contextmanager
def engine_socket(folder: Path) -> Iterator[str]:
    """The address at which the engine listens for Compose, for `DOCKER_HOST`; empty where Compose knows it by itself."""
    if ENGINE != "podman":
        yield ""
        return
    socket = folder / "podman.sock"
    with (folder / "podman.log").open("wb") as log:
        listens = subprocess.Popen(
            [ENGINE, "system", "service", "--time=0", f"unix://{socket}"], stdout=log, stderr=log
        )
    try:
        wait_until(socket.exists, 30, (folder / "podman.log").read_text)
        yield f"unix://{socket}"
    finally:
        listens.send_signal(signal.SIGTERM)
        listens.wait(timeout=30)


class Project:
    """What `docker-compose.yml` starts, from a copy of it and of what it mounts, under a name of its own.

    Args:
        folder: Is made; gets the copies and the secrets.
        images: By their variables; others are those that the file names.
        host: As `DOCKER_HOST`.
        address: The loopback address that ports are bound to: one on which nothing else listens.
    """

    def __init__(
        self, folder: Path, images: dict[str, str], host: str, address: str = "127.83.0.1"
    ) -> None:
        self.folder, self.address = folder, address
        self.name = f"ringfence-test-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        shutil.copy(COMPOSE_FILE, folder)
        for name in ("docker", "policies"):
            shutil.copytree(ROOT / name, folder / name)
        # Compose looks for credentials of registries, and finds none.
        (folder / "client").mkdir()
        (folder / "client" / "config.json").write_text("{}")
        variables = {name for name in os.environ if name.startswith(("RINGFENCE_", "ALERT_"))}
        self._environ = {key: value for key, value in os.environ.items() if key not in variables}
        self._environ |= {**images, "RINGFENCE_BIND": address}
        self._environ |= {
            "COMPOSE_PROJECT_NAME": self.name,
            "DOCKER_CONFIG": str(folder / "client"),
        }
        if host:
            self._environ["DOCKER_HOST"] = host
        self.compose = read_compose(self._environ)

    def ringfence(self, *words: str) -> str:
        """Run this checkout's command in the project's directory."""
        environ = {**self._environ, "PYTHONPATH": str(ROOT / "engine")}
        done = subprocess.run(
            [sys.executable, "-m", "ringfence.cli.main", *words],
            cwd=self.folder, env=environ, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout

    def run(self, *words: str) -> str:
        """Run Compose; gives what it printed, and what it told beside that."""
        done = subprocess.run(
            [compose_program(), *words],
            cwd=self.folder, env=self._environ, capture_output=True, text=True, check=False,
            timeout=COMMAND_S,
        )  # fmt: skip
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"{told}\n{self.said() if words[-1] != '--no-color' else ''}"
        return told

    def up(self) -> list[tuple[str, str]]:
        """Start all and wait until they are healthy; gives what Compose saw, in order: service, and what became of it."""
        told = self.run(
            "--progress=json", "up", "--detach", "--no-build", "--wait", "--wait-timeout=300"
        )
        seen = []
        for line in told.splitlines():
            with suppress(ValueError, AttributeError):
                about = json.loads(line)
                name = about.get("id", "").removeprefix(f"Container {self.name}-")
                if name != about.get("id", ""):
                    seen.append((name.removesuffix("-1"), about.get("status") or about.get("text")))
        return seen

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine tells of each container, by service."""
        label = f"label=com.docker.compose.project={self.name}"
        found = engine("ps", "--all", "--quiet", "--no-trunc", "--filter", label).split()
        if not found:
            return {}
        told = json.loads(engine("inspect", "--type=container", *found))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in told}

    def inside(self, service: str, *words: str, code: int | None = 0) -> str:
        """Run a command in a running container; gives what it printed, and told beside that."""
        done = subprocess.run(
            [ENGINE, "exec", f"{self.name}-{service}-1", *words],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        told = done.stdout + done.stderr
        assert code is None or done.returncode == code, told
        return told

    def said(self) -> str:
        """The logs of all services."""
        return self.run("logs", "--tail=60", "--no-color")

    @contextmanager
    def asked_for_health(self) -> Iterator[None]:
        """Have the health checks run where the engine does not see to it: podman leaves that to systemd's timers."""
        if ENGINE != "podman" or Path("/run/systemd/system").is_dir():
            yield
            return
        over = threading.Event()
        label = f"label=com.docker.compose.project={self.name}"

        def ask() -> None:
            while not over.wait(1.0):
                listed = subprocess.run(
                    [ENGINE, "ps", "--quiet", "--filter", label], capture_output=True, text=True
                )
                for each in listed.stdout.split():
                    subprocess.run([ENGINE, "healthcheck", "run", each], capture_output=True)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield
        finally:
            over.set()
            asking.join()
