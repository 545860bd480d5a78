"""What lies in a directory: an audit log, a guard's state, a policy store, databases, other files."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ringfence.runtime.backups.manifest import Kind

__all__ = ["DATABASE_ENDING", "Found", "find_parts"]

DATABASE_ENDING = ".duckdb"
_AUDIT = re.compile(r"\d{20}\.audit")
_STATE = re.compile(r"(snapshot|journal)-\d{12}")
_POLICIES = re.compile(r"[0-9a-f]{64}\.policies")

# What is taken first is oldest. A cursor of fills older than the books makes fills come twice, which are booked once;
# the other way round they would be lost. A log that is as new as all else, or newer, explains all of it.
_ORDER: tuple[Kind, ...] = ("files", "state", "policies", "database", "audit")


@dataclass(frozen=True, slots=True)
class Found:
    """A part as it lies on the disk: its kind, its directory, and its files there (of a database, the one)."""

    kind: Kind
    folder: Path
    files: tuple[Path, ...]


def find_parts(source: Path) -> tuple[list[Found], list[tuple[Path, str]]]:
    """Everything below a directory, in the order in which it has to be copied; and what is not copied, and why.

    Raises:
        OSError: a directory cannot be read.
    """
    found: list[Found] = []
    left_out: list[tuple[Path, str]] = []
    for folder, names in _folders(source):
        plain = []
        for name in names:
            path = folder / name
            if why := _left_out(path):
                left_out.append((path, why))
            elif not _passing(name):
                plain.append(path)
        found += _parts_of(folder, plain)
    return sorted(found, key=lambda each: _ORDER.index(each.kind)), left_out


def _parts_of(folder: Path, paths: list[Path]) -> Iterator[Found]:
    rest = []
    kinds: dict[Kind, list[Path]] = {}
    for path in paths:
        if path.name.endswith(DATABASE_ENDING):
            yield Found("database", folder, (path,))
        elif _AUDIT.fullmatch(path.name):
            kinds.setdefault("audit", []).append(path)
        elif _STATE.fullmatch(path.name):
            kinds.setdefault("state", []).append(path)
        elif _POLICIES.fullmatch(path.name):
            kinds.setdefault("policies", []).append(path)
        else:
            rest.append(path)
    if rest:
        yield Found("files", folder, tuple(rest))
    for kind, held in kinds.items():
        yield Found(kind, folder, tuple(held))


def _folders(source: Path) -> Iterator[tuple[Path, list[str]]]:
    def fail(error: OSError) -> None:
        raise error

    for folder, below, names in os.walk(source, onerror=fail):
        below.sort()
        links = [each for each in below if Path(folder, each).is_symlink()]
        yield Path(folder), sorted([*names, *links])


def _passing(name: str) -> bool:
    """Locks, and files that are being written beside their place."""
    return name == "lock" or name.endswith((".lock", ".wal")) or name.startswith(".")


def _left_out(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ""
    if stat.S_ISLNK(mode):
        return "a link: back up what it leads to on its own"
    return "" if stat.S_ISREG(mode) else "no plain file"
