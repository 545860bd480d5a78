"""What a source of policies gives: the bytes of its files, all of one moment, and where they come from."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ringfence.errors import InputError

__all__ = ["MAX_TOTAL", "PolicySource", "Revision", "Snapshot", "SourceError", "Target"]

#: The most bytes that a source's files may have together.
MAX_TOTAL = 64 << 20


class SourceError(InputError):
    """A source that cannot be read now, or whose commit does not count; nothing of it is used."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit: its hash, who wrote it, when it was committed (ns since 1970, UTC).

    Attributes:
        signer: Whose signature was verified; empty where none was asked for.
        rewritten: Whether it does not descend from the commit that was in force.
    """

    commit: str
    author: str
    committer: str
    committed_ns: int
    signer: str = ""
    rewritten: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every YAML file of a source; `files` maps the path that findings show to its bytes."""

    place: str
    files: Mapping[str, bytes] = field(repr=False)
    revision: Revision | None = None

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of names and bytes: equal where no file differs."""
        digest = hashlib.sha256()
        for name in sorted(self.files):
            for part in (name.encode("utf-8", "surrogateescape"), self.files[name]):
                digest.update(len(part).to_bytes(8, "big"))
                digest.update(part)
        return digest.hexdigest()

    @property
    def about(self) -> dict[str, Any]:
        """Where it comes from, for records."""
        told: dict[str, Any] = {"place": self.place, "files": len(self.files)}
        if (revision := self.revision) is not None:
            told |= {
                "commit": revision.commit,
                "author": revision.author,
                "committer": revision.committer,
                "committed_ns": revision.committed_ns,
                "signer": revision.signer,
                "rewritten": revision.rewritten,
            }
        return told


@dataclass(frozen=True, slots=True)
class Target:
    """A directory to watch; with `names`, only for what has such a name in it."""

    path: Path
    recursive: bool = False
    names: frozenset[str] | None = None


class PolicySource(Protocol):
    """Where policy sets come from.

    `place` names it to people. `polling` says that nothing tells of changes, so that it has to be read to see them.
    """

    place: str
    polling: bool

    def read(self, known: str = "") -> Snapshot:
        """Everything, as it was at one moment; `known` is the commit that is in force, or empty.

        Raises:
            SourceError: it cannot be read, or does not count.
        """
        ...

    def targets(self) -> Sequence[Target]:
        """What to watch in order to hear of changes, as things stand now."""
        ...
