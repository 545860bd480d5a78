"""What `docker-compose.yml` needs beside itself: files that it mounts, and files of secrets."""

from pathlib import Path
from typing import Any

from ringfence.cli.deploying.engine import COMPOSE_FILE

__all__ = ["mounted_files", "read_compose", "secret_files"]


def read_compose(root: Path) -> dict[str, Any]:
    """The compose file of a directory as it is written: variables are not filled in.

    Raises:
        OSError, UnicodeDecodeError, yaml.YAMLError: it cannot be read.
    """
    import yaml

    with (root / COMPOSE_FILE).open(encoding="utf-8") as file:
        found = yaml.safe_load(file)
    return found if isinstance(found, dict) else {}


def mounted_files(compose: dict[str, Any]) -> list[str]:
    """What services mount of the compose file's directory, each once, but for what a variable names."""
    found: dict[str, None] = {}
    for about in _sections(compose, "services"):
        for volume in about.get("volumes") or ():
            source = volume.get("source") if isinstance(volume, dict) else str(volume).split(":")[0]
            if str(source).startswith("./"):
                found[str(source).removeprefix("./")] = None
    return list(found)


def secret_files(compose: dict[str, Any]) -> set[str]:
    """The names of the files that hold secrets, without their directory."""
    files = (about.get("file") for about in _sections(compose, "secrets"))
    return {Path(str(each)).name for each in files if each}


def _sections(compose: dict[str, Any], name: str) -> list[dict[str, Any]]:
    held = compose.get(name)
    return (
        [each for each in held.values() if isinstance(each, dict)] if isinstance(held, dict) else []
    )
