"""The group by which containers read the files of secrets, and how Compose is told of it."""

import os
from pathlib import Path

from ringfence.errors import InputError, reason_of
from ringfence.runtime import secret_files

__all__ = ["group_of_secrets", "tell_compose"]

_COMPOSE_FILE, _DOT_ENV = "docker-compose.yml", ".env"
_VARIABLE = "RINGFENCE_SECRETS_GID"


def group_of_secrets() -> int:
    """The number of the group: that of the image's user, or the own one of who cannot give files to another."""
    return secret_files.CONTAINER_GROUP if os.geteuid() == 0 else os.getegid()


def tell_compose(directory: Path, group: int) -> str:
    """Name the group to Compose where it is not the usual one; gives what was done, or is still to do, if anything.

    Args:
        directory: Of the secrets; where a compose file lies beside it, `.env` there gets a line.

    Raises:
        InputError: `.env` cannot be written.
    """
    top = directory.resolve().parent
    if group == secret_files.CONTAINER_GROUP or not (top / _COMPOSE_FILE).is_file():
        return ""
    line = f"{_VARIABLE}={group}"
    dot_env = top / _DOT_ENV
    if dot_env.exists():
        try:
            lines = dot_env.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        return "" if line in lines else f"next: put {line} into {dot_env}"
    try:
        dot_env.write_text(f"# The group that may read secrets/\n{line}\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"`{dot_env}` cannot be written: {reason_of(error)}",
            f"set {line} in the environment of `docker compose`",
        ) from None
    return f"{dot_env}: made, with {line}"
