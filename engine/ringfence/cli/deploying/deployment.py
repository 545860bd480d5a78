"""What a deployment knows while it runs: what was asked for, the engine, and what to go back to."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ringfence.cli.deploying.engine import Engine
from ringfence.cli.deploying.step import Finding, Severity
from ringfence.runtime.credentials import Environment

__all__ = ["PORTS", "Deployment", "Machine", "Previous"]

PORTS: Mapping[int, str] = {
    5000: "dashboard and API",
    8000: "metrics",
    8001: "health",
    5432: "PostgreSQL",
    6379: "Redis",
    9090: "Prometheus",
    3000: "Grafana",
    9093: "Alertmanager",
}
"""The ports that a deployment takes on this machine, and who takes each."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is asked of the machine, and how long is waited for it.

    Attributes:
        ports: That have to be free, and who takes each.
        host: Where the services are reached.
        disk_bytes, memory_bytes: It must have more.
        memory_file: Where the system tells how much memory there is.
        patience_s: How long the services may take until they are healthy.
        look_s: How often is looked.
        quick_s: A request has to be answered within this.
        moved: Ports that are another one here.
    """

    ports: Mapping[int, str] = field(default_factory=lambda: PORTS)
    host: str = "127.0.0.1"
    disk_bytes: int = 10 * 10**9
    memory_bytes: int = 4 * 10**9
    memory_file: Path = Path("/proc/meminfo")
    patience_s: float = 300.0
    look_s: float = 1.0
    quick_s: float = 1.0
    moved: Mapping[int, int] = field(default_factory=dict)

    def at(self, port: int) -> int:
        """Where one of `PORTS` is on this machine."""
        return self.moved.get(port, port)


@dataclass(frozen=True, slots=True)
class Previous:
    """What ran before: its image (empty: none did) and its policy set (empty: nobody could say)."""

    image: str = ""
    policy_set: str = ""


@dataclass(slots=True)
class Deployment:
    """One deployment.

    Attributes:
        environment: How strict it is.
        root: The directory of the project.
        secrets: The directory of the secrets' files.
        policies: The directory of the policies.
        environ: The environment's variables.
        engine: None where there is none.
        python: The interpreter that tests and checks run in.
        previous: What to go back to.
        is_prepared: Whether that was noted.
        by: Who deploys.
    """

    environment: Environment
    root: Path
    secrets: Path
    policies: Path
    environ: Mapping[str, str]
    engine: Engine | None
    python: str
    machine: Machine = field(default_factory=Machine)
    previous: Previous = field(default_factory=Previous)
    is_prepared: bool = False
    by: str = "deploy"
    wait: Callable[[float], object] = field(default_factory=lambda: threading.Event().wait)
    elapsed: Callable[[], float] = time.monotonic

    @property
    def strict(self) -> bool:
        """Whether what nobody can say counts as wrong."""
        return self.environment == "production"

    def mild(self) -> Severity:
        """How bad it is where only production has to have something."""
        return Severity.ERROR if self.strict else Severity.WARNING

    def no_engine(self) -> Finding:
        """What to say where an engine is needed and there is none."""
        return Finding(
            Severity.ERROR,
            "no container engine is installed: neither `docker` nor `podman`",
            "install Docker or Podman with Compose, or name the program with --engine",
        )
