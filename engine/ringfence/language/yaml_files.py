"""The YAML files of a directory: all of them, or a refusal; what cannot be looked into is not left out."""

import os
from pathlib import Path

from ringfence.errors import InputError, reason_of

__all__ = ["named_files", "yaml_files"]

_SUFFIXES = (".yaml", ".yml")


def yaml_files(folder: Path) -> list[Path]:
    """Every YAML file below `folder`, sorted, in whatever case its ending is; none of hidden files and directories.

    Raises:
        InputError: a directory cannot be read, or is a link to one elsewhere.
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for each in folders:
            if os.path.islink(os.path.join(place, each)):
                raise InputError(
                    f"`{os.path.join(place, each)}` is a link to a directory, which is not followed",
                    fix="put the directory itself there, or name where it really is",
                )
        found += [
            Path(place, name)
            for name in (*names, *folders)
            if name.lower().endswith(_SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def named_files(path: Path) -> list[Path]:
    """The file at `path`, or every YAML file below a directory.

    Raises:
        InputError: nothing is there, or a directory that cannot be read or holds none.
    """
    if not path.exists():
        raise InputError(f"`{path}` does not exist", fix="name a file or a directory")
    files = yaml_files(path) if path.is_dir() else [path]
    if not files:
        raise InputError(f"`{path}` holds no YAML files", fix="name a directory with policies")
    return files


def _refuse(error: OSError) -> None:
    raise InputError(
        f"`{error.filename}` cannot be read: {reason_of(error)}",
        fix="check its permissions",
    ) from None
