"""What a backup says of itself: its parts, its files with their SHA-256, and what is wrong with any of them."""

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from ringfence.errors import StateError, reason_of
from ringfence.runtime.ports import LogFiles

__all__ = ["MANIFEST", "Copied", "Kind", "Manifest", "Part", "digest", "read_manifest"]

MANIFEST = "manifest.json"
_FORMAT = "ringfence-backup/1"

Kind = Literal["files", "state", "policies", "database", "audit", "dump"]


@dataclass(frozen=True, slots=True)
class Copied:
    """A file of a backup.

    Attributes:
        path: Below the directory that was copied, with `/`.
        size: In bytes.
        sha256: Of what it holds, in hex.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Part:
    """A directory of a guard, or a database: what is taken in one go.

    Attributes:
        kind: What it is.
        path: Below the directory that was copied; `.` for itself.
        files: Its files.
        chain: Of an audit log: its name.
        first, last: Of an audit log: the numbers of its records; 0 where there are none.
        last_ns: Of an audit log: the time of its last record, ns since 1970, UTC; 0 where there is none.
        findings: What is wrong with it; empty where it is sound.
    """

    kind: Kind
    path: str
    files: tuple[Copied, ...]
    chain: str = ""
    first: int = 0
    last: int = 0
    last_ns: int = 0
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup.

    Attributes:
        name: Of its directory.
        source: What was copied.
        at_ns: When it was begun, ns since 1970, UTC.
        ringfence: The version that made it.
        parts: In the order in which they were taken.
        left_out: What was not copied, and why.
    """

    name: str
    source: str
    at_ns: int
    ringfence: str
    parts: tuple[Part, ...]
    left_out: tuple[str, ...] = ()
    format: str = field(default=_FORMAT)

    @property
    def findings(self) -> tuple[str, ...]:
        """What was wrong when it was made; empty where it is sound."""
        return tuple(each for part in self.parts for each in part.findings)

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(file.size for part in self.parts for file in part.files)

    def as_json(self) -> dict[str, Any]:
        """As `schemas/backup.v1.schema.json` has it."""
        return asdict(self)

    def text(self) -> bytes:
        """The manifest's file."""
        return (json.dumps(self.as_json(), indent=2) + "\n").encode()


def digest(content: bytes) -> str:
    """The SHA-256, in hex."""
    return sha256(content).hexdigest()


def read_manifest(backup: Path, files: LogFiles) -> Manifest:
    """The manifest of a backup.

    Raises:
        StateError: there is none, or it cannot be used.
    """
    path = backup / MANIFEST
    try:
        held = json.loads(files.read_bytes(path))
        if held["format"] != _FORMAT:
            raise StateError(
                f"`{path}` has the format `{held['format']}`",
                "use the version of Ringfence that made it, or a newer one",
            )
        parts = tuple(
            Part(
                **{
                    **part,
                    "files": tuple(Copied(**each) for each in part["files"]),
                    "findings": tuple(part["findings"]),
                }
            )
            for part in held["parts"]
        )
        manifest = Manifest(**{**held, "parts": parts, "left_out": tuple(held["left_out"])})
        for each in (file for part in parts for file in part.files):
            _check_path(each.path)
    except OSError as error:
        raise StateError(
            f"`{backup}` is no backup: {reason_of(error)}",
            "name a directory that `ringfence backup create` made",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StateError(
            f"`{path}` cannot be used", "take this backup from another copy, or another backup"
        ) from None
    return manifest


def _check_path(path: str) -> None:
    """No path may lead out of where a backup is restored to."""
    if (
        path.startswith("/")
        or "\0" in path
        or any(part in ("", ".", "..") for part in path.split("/"))
    ):
        raise ValueError(path)
