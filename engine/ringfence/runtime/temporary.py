"""Temporary directories of our own, for what does not fit in memory or must be a file."""

import tempfile
from pathlib import Path

from ringfence.errors import InputError, reason_of

__all__ = ["temporary_directory"]


def temporary_directory(parent: str | Path | None = None) -> Path:
    """Make a directory that only this user can read; the caller removes it.

    Args:
        parent: Where it is made; the system's place where not given.

    Raises:
        InputError: none can be made, as on a read-only file system.
    """
    try:
        return Path(tempfile.mkdtemp(prefix="ringfence-", dir=parent))
    except OSError as error:
        if parent is not None:
            reason = reason_of(error)
            raise InputError(
                f"no temporary directory can be made in `{parent}`: {reason}",
                "name another directory",
            ) from None
        raise InputError(
            "no place for temporary files can be written",
            "set TMPDIR to a directory that can be written; for a container, add --tmpfs /tmp",
        ) from None
