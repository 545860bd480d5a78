"""The container engine, through its own command: `docker compose` or `podman compose`, and nothing else."""

import json
import os
import shutil
import subprocess  # nosec B404  # the engine's own program
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ringfence.errors import InputError, reason_of

__all__ = [
    "COMPOSE_FILE",
    "PROGRAMS",
    "ComposeEngine",
    "Engine",
    "Running",
    "Service",
    "find_engine",
]

COMPOSE_FILE = "docker-compose.yml"
PROGRAMS = ("docker", "podman")
# Words of an engine's complaint that are worth showing.
_SHOWN_LINES = 2


@dataclass(frozen=True, slots=True)
class Service:
    """A service as the compose file has it: its image's name, whether it does something once and ends, its ports here."""

    image: str
    is_job: bool = False
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """A container of the deployment.

    Attributes:
        service: Whose it is.
        container: Its id.
        state, health: As the engine calls them, in small letters.
        exit_code: Where it has ended.
        ports: That it has on this machine.
    """

    service: str
    container: str
    state: str
    health: str
    exit_code: int
    ports: tuple[int, ...]


class Engine(Protocol):
    """What a deployment asks of a container engine; each raises InputError with the engine's own words."""

    def version(self) -> str:
        """Of the engine that answers."""
        ...

    def compose_version(self) -> str:
        """Of Compose."""
        ...

    def services(self) -> dict[str, Service]:
        """The services by name, after the environment was filled in."""
        ...

    def image_of(self, container: str) -> str:
        """The id of the image that a container runs."""
        ...

    def tag(self, image: str, name: str) -> None:
        """Give an image another name."""
        ...

    def build(self) -> None:
        """Build the images that are built here."""
        ...

    def up(self, *, build: bool) -> None:
        """Start what is not running as it should be, and wait for nothing."""
        ...

    def down(self) -> None:
        """Stop everything; volumes stay."""
        ...

    def running(self) -> list[Running]:
        """What runs, and what has ended."""
        ...

    def inside(self, service: str, words: Sequence[str]) -> str:
        """Run a command inside a running service; gives what it printed."""
        ...


@dataclass(frozen=True, slots=True)
class ComposeEngine:
    """`Engine` by a command that understands `compose`.

    Args:
        program: Its path.
        root: The directory of `docker-compose.yml`.
        environ: What the command and the compose file are given.
        timeout_s: A command that takes longer has failed.
    """

    program: str
    root: Path
    environ: Mapping[str, str]
    timeout_s: float = 1800.0

    def version(self) -> str:
        """As `Engine.version`."""
        return self._run("version", "--format", "{{.Server.Version}}").strip()

    def compose_version(self) -> str:
        """As `Engine.compose_version`."""
        return self._run("compose", "version", "--short").strip()

    def services(self) -> dict[str, Service]:
        """As `Engine.services`."""
        found = json.loads(self._compose("config", "--format", "json"))
        return {
            name: Service(
                str(about.get("image", "")),
                about.get("restart") == "no",
                tuple(
                    int(each["published"])
                    for each in about.get("ports") or ()
                    if str(each.get("published", "")).isdigit()
                ),
            )
            for name, about in found.get("services", {}).items()
        }

    def image_of(self, container: str) -> str:
        """As `Engine.image_of`."""
        return self._run("inspect", "--format", "{{.Image}}", container).strip()

    def tag(self, image: str, name: str) -> None:
        """As `Engine.tag`."""
        self._run("tag", image, name)

    def build(self) -> None:
        """As `Engine.build`."""
        self._compose("build")

    def up(self, *, build: bool) -> None:
        """As `Engine.up`."""
        self._compose("up", "--detach", "--build" if build else "--no-build")

    def down(self) -> None:
        """As `Engine.down`."""
        self._compose("down")

    def running(self) -> list[Running]:
        """As `Engine.running`."""
        return [
            _running(each) for each in _objects(self._compose("ps", "--all", "--format", "json"))
        ]

    def inside(self, service: str, words: Sequence[str]) -> str:
        """As `Engine.inside`."""
        return self._compose("exec", "-T", service, *words)

    def _compose(self, *words: str) -> str:
        return self._run("compose", "--file", str(self.root / COMPOSE_FILE), *words)

    def _run(self, *words: str) -> str:
        shown = f"{Path(self.program).name} {' '.join(words[:6])}"
        try:
            done = subprocess.run(  # nosec B603  # no shell; every word is this program's own
                [self.program, *words],
                cwd=self.root,
                env=dict(self.environ),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"`{shown}` took longer than {self.timeout_s:g} s", "see what the engine does"
            ) from None
        except OSError as error:
            raise InputError(
                f"`{shown}` cannot be run: {reason_of(error)}",
                "install Docker or Podman with Compose",
            ) from None
        if done.returncode:
            said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            # The first word of a complaint and the last one; what is between is how it came to it.
            lines = (
                said
                if len(said) <= 2 * _SHOWN_LINES
                else [*said[:_SHOWN_LINES], *said[-_SHOWN_LINES:]]
            )
            raise InputError(
                f"`{shown}` failed with {done.returncode}: {' | '.join(lines) or 'no reason given'}",
                "run it by hand to see all that it says",
            )
        return done.stdout


def find_engine(root: Path, environ: Mapping[str, str], program: str = "") -> ComposeEngine | None:
    """The engine that is installed; None where there is none.

    Args:
        program: The one that is wanted; by default the first of `PROGRAMS`.
    """
    for name in [program] if program else PROGRAMS:
        path = shutil.which(name, path=environ.get("PATH", os.defpath))
        if path is not None:
            return ComposeEngine(path, root, environ)
    return None


def _objects(text: str) -> list[dict[str, Any]]:
    """JSON as Compose prints it: one array, or one object a line."""
    if not text.strip():
        return []
    try:
        if text.lstrip().startswith("["):
            found = json.loads(text)
        else:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        raise InputError(
            "what `compose ps` prints cannot be read", "use Docker Compose 2, or Podman with it"
        ) from None
    return [each for each in found if isinstance(each, dict)]


def _running(about: Mapping[str, Any]) -> Running:
    ports = {
        int(each.get("PublishedPort") or 0)
        for each in about.get("Publishers") or ()
        if isinstance(each, dict)
    }
    return Running(
        str(about.get("Service", "")),
        str(about.get("ID", "")),
        str(about.get("State", "")).lower(),
        str(about.get("Health", "")).lower(),
        int(about.get("ExitCode") or 0),
        tuple(sorted(ports - {0})),
    )
