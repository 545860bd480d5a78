"""Is the machine ready: engine, Compose, files, ports, disk, memory."""

import shutil
import socket
from collections.abc import Callable

from ringfence.cli.deploying.compose_file import mounted_files, read_compose
from ringfence.cli.deploying.deployment import Deployment
from ringfence.cli.deploying.engine import COMPOSE_FILE, Engine
from ringfence.cli.deploying.step import Finding, Outcome, Severity, judged
from ringfence.errors import InputError

__all__ = [
    "NEEDED_FILES",
    "check_compose",
    "check_disk",
    "check_engine",
    "check_files",
    "check_memory",
    "check_ports",
]


#: What the image is built from, and the compose file itself; what that mounts is asked of it.
NEEDED_FILES = (
    COMPOSE_FILE,
    "Dockerfile",
    "LICENSE",
    "README.md",
    "docker",
    "engine",
    "pyproject.toml",
    "requirements.lock",
    "rules",
    "schemas",
)


def check_engine(deployment: Deployment) -> Outcome:
    """An engine is installed, and answers."""
    return _asked(deployment, "engine", lambda engine: engine.version())


def check_compose(deployment: Deployment) -> Outcome:
    """Compose is there, and takes the compose file."""

    def ask(engine: Engine) -> str:
        engine.services()
        return engine.compose_version()

    return _asked(deployment, "Compose", ask)


def check_files(deployment: Deployment) -> Outcome:
    """Every file that is built or mounted is there."""
    import yaml

    try:
        mounted = mounted_files(read_compose(deployment.root))
    except (OSError, ValueError, yaml.YAMLError):
        # The step that looks at its hardening tells what is wrong with it.
        mounted = []
    wanted = [*(deployment.root / name for name in (*NEEDED_FILES, *mounted)), deployment.policies]
    findings = [
        Finding(
            Severity.ERROR,
            f"`{path}` is missing",
            "deploy from a whole checkout, or name the policies with --policies",
        )
        for path in wanted
        if not path.exists()
    ]
    return judged(findings, f"{len(wanted)} files and directories", strict=deployment.strict)


def check_ports(deployment: Deployment) -> Outcome:
    """Each port is free, or is held by this very deployment."""
    ours: set[int] = set()
    if deployment.engine is not None:
        try:
            running = deployment.engine.running()
            ours = {port for each in running for port in each.ports}
            # Of ports that follow one another, Podman names the first to Compose.
            services = deployment.engine.services()
            names = {each.service for each in running if each.state == "running"} & set(services)
            ours |= {port for name in names for port in services[name].ports}
        except InputError:
            # The engine's own check tells what is wrong with it.
            ours = set()
    findings = [
        Finding(
            Severity.ERROR,
            f"port {port} ({what}) is taken",
            f"stop what listens there: `ss -ltnp 'sport = :{port}'` names it",
        )
        for port, what in deployment.machine.ports.items()
        if port not in ours and _is_taken(deployment.machine.host, port)
    ]
    told = f"{len(deployment.machine.ports)} ports"
    if held := ours & set(deployment.machine.ports):
        told += f", {len(held)} of them held by what runs now"
    return judged(findings, told, strict=deployment.strict)


def check_disk(deployment: Deployment) -> Outcome:
    """There is room for images, the log and databases."""
    free, needed = shutil.disk_usage(deployment.root).free, deployment.machine.disk_bytes
    findings = []
    if free <= needed:
        findings.append(
            Finding(
                Severity.ERROR,
                f"{free / 1e9:.1f} GB of disk are free, and more than {needed / 1e9:g} GB are needed",
                "make room, or deploy on another disk",
            )
        )
    return judged(findings, f"{free / 1e9:.0f} GB are free", strict=deployment.strict)


def check_memory(deployment: Deployment) -> Outcome:
    """The machine has memory for all services."""
    needed = deployment.machine.memory_bytes
    held = _memory_bytes(deployment)
    if held is None:
        unknown = Finding(
            Severity.UNKNOWN,
            f"`{deployment.machine.memory_file}` does not tell how much memory there is",
            f"see that the machine has more than {needed / 1e9:g} GB, and skip this step",
        )
        return judged([unknown], "", strict=deployment.strict)
    findings = []
    if held <= needed:
        findings.append(
            Finding(
                Severity.ERROR,
                f"the machine has {held / 1e9:.1f} GB of memory, and more than {needed / 1e9:g} GB are needed",
                "deploy on a larger machine",
            )
        )
    return judged(findings, f"{held / 1e9:.1f} GB", strict=deployment.strict)


def _asked(deployment: Deployment, what: str, ask: Callable[[Engine], str]) -> Outcome:
    if deployment.engine is None:
        return judged([deployment.no_engine()], "", strict=deployment.strict)
    try:
        version = ask(deployment.engine)
    except InputError as error:
        wrong = Finding(Severity.ERROR, error.message, error.fix)
        return judged([wrong], "", strict=deployment.strict)
    except ValueError:
        wrong = Finding(
            Severity.ERROR, f"what {what} answers cannot be read", "use Docker Compose 2 or newer"
        )
        return judged([wrong], "", strict=deployment.strict)
    return judged([], f"{what} {version}", strict=deployment.strict)


def _is_taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        # A port that waits for its last connections to end is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _memory_bytes(deployment: Deployment) -> int | None:
    try:
        lines = deployment.machine.memory_file.read_text(encoding="ascii").splitlines()
        words = next(line.split() for line in lines if line.startswith("MemTotal:"))
        return int(words[1]) * 1024
    except (OSError, ValueError, StopIteration, IndexError):
        return None
