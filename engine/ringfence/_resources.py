"""Where `rules/` and `schemas/` are: in an installed package, in a checkout, or where a variable says."""

import os
from pathlib import Path
from typing import Literal

from ringfence.errors import InputError

__all__ = ["bundled"]


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
