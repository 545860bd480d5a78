"""Where `rules/` and `schemas/` are: in an installed package, in a checkout, or where a variable says.

And where what was worked out once is kept for this user.
"""

import os
import stat
from pathlib import Path
from typing import Literal

from ringfence.errors import InputError

__all__ = ["bundled", "cache_directory", "compiled_directory", "is_ours"]


def bundled(kind: Literal["rules", "schemas"]) -> Path:
    """Return the directory that holds the rule library or the JSON Schemas.

    The first of these that applies: the directory named by `RINGFENCE_RULES_PATH` or
    `RINGFENCE_SCHEMAS_PATH`; the read-only copy in an installed wheel; the live files of the
    checkout this module lies in.

    Raises:
        InputError: the variable names something that is not a directory.
        FileNotFoundError: neither an installed copy nor a checkout is there.
    """
    variable = f"RINGFENCE_{kind.upper()}_PATH"
    if override := os.environ.get(variable):
        if not Path(override).is_dir():
            raise InputError(
                f"`{variable}` names `{override}`, which is not a directory",
                fix=f"set it to a {kind}/ directory, or unset it",
            )
        return Path(override)
    # The place of this file and not `importlib.resources`, which takes longer to import than all rules
    # take to read: rules are found by listing their directory, so they never worked from a zip file.
    packaged = Path(__file__).parent / "_data" / kind
    if packaged.is_dir():
        return packaged
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file() and (root / kind).is_dir():
        return root / kind
    raise FileNotFoundError(f"no {kind}/ in the installed package or in a checkout at {root}")


def cache_directory() -> Path:
    """Where results are kept: `RINGFENCE_CACHE_PATH`, else `ringfence` below the user's cache directory."""
    if given := os.environ.get("RINGFENCE_CACHE_PATH"):
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "ringfence"


def compiled_directory() -> Path | None:
    """Where code lies that was compiled beforehand: `RINGFENCE_COMPILED_PATH`; None where it is not set."""
    given = os.environ.get("RINGFENCE_COMPILED_PATH")
    return Path(given) if given else None


def is_ours(path: Path, *, or_roots: bool = False) -> bool:
    """Whether the file or directory belongs to this user, and nobody else may write to it.

    Args:
        or_roots: Whether it may belong to root instead, who may do anything here anyway.
    """
    try:
        about = path.lstat()
    except OSError:
        return False
    kind = stat.S_ISDIR(about.st_mode) or stat.S_ISREG(about.st_mode)
    others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    owners = (os.getuid(), 0) if or_roots else (os.getuid(),)
    return kind and about.st_uid in owners and others == 0
