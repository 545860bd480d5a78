"""Proofs that were found once, kept for this user under the hash of all that they rest on.

One file for each policy set: what it holds was worked out from the set's meaning, by this code and this
solver. It is used only where the directory and the file are this user's own; a file that cannot be read,
or says something else, is as good as none. Refutations are kept as the order that refutes, which is asked
again; what could not be decided is not kept.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ringfence
from ringfence._resources import cache_directory, is_ours
from ringfence.runtime.ports import SYSTEM_FILES, LogFiles

__all__ = ["ProofCache", "proofs_key"]

_FOLDERS = ("language", "review", "backends/smt", "backends/reference")
"""Of the package: code that a proof rests on."""
_MOST_PARTS = 50_000


def proofs_key(*parts: str) -> str:
    """The hash of what a proof rests on: hashes of policy sets, the code, the solver's version."""
    digest = hashlib.sha256()
    root = Path(ringfence.__file__).parent
    for file in sorted(each for folder in _FOLDERS for each in (root / folder).rglob("*.py")):
        digest.update(file.read_bytes())
    for part in (*parts, ringfence.__version__, _solver()):
        digest.update(f"\\0{part}".encode())
    return digest.hexdigest()[:40]


def _solver() -> str:
    # Read from the package's metadata: to import it takes longer than all else.
    try:
        return version("z3-solver")
    except PackageNotFoundError:
        return "unknown"


class ProofCache:
    """What was found about one policy set, by the hash of an invariant; and parts of it, whatever set they are of.

    A part is gates with limits under which an invariant holds. A change of one policy leaves most of a large
    set's parts as they were, and these need not be asked about again.

    Args:
        key: Of `proofs_key`.
        root: The directory; by default the one below the user's cache.
        files: Where it is read and written.
    """

    def __init__(self, key: str, root: Path | None = None, files: LogFiles = SYSTEM_FILES) -> None:
        self._folder = (root or cache_directory()) / "proofs"
        self._path = self._folder / f"{key}.json"
        self._files = files
        self._found = self._read(self._path)
        self._parts: dict[str, Any] | None = None
        self._new_parts: list[str] = []

    def get(self, invariant: str) -> Any:
        """What was kept for an invariant, None where nothing was."""
        return self._found.get(invariant)

    def holds_in(self, part: str) -> bool:
        """Whether a part, by its hash, was kept as one in which an invariant holds."""
        if self._parts is None:
            self._parts = self._read(self._parts_path)
        return part in self._parts

    def keep_part(self, part: str) -> None:
        """Keep a part, with the next `keep`."""
        self._new_parts.append(part)

    def keep(self, found: Iterable[tuple[str, Any]]) -> None:
        """Keep more; where that cannot be done, nothing is kept and nothing is said."""
        before = dict(self._found)
        self._found.update(found)
        if self._found != before:
            self._write(self._path, self._found)
        if self._new_parts:
            known = list(self._read(self._parts_path))
            # The oldest go first.
            kept = dict.fromkeys([*known, *self._new_parts])
            self._write(self._parts_path, dict.fromkeys(list(kept)[-_MOST_PARTS:], 1))
            self._new_parts = []

    @cached_property
    def _parts_path(self) -> Path:
        return self._folder / f"parts-{proofs_key()}.json"

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        text = json.dumps(content, separators=(",", ":"))
        try:
            # Each by itself: those above would be made for the group as well.
            self._files.make_folder(self._folder.parent)
            self._files.make_folder(self._folder)
            if is_ours(self._folder.parent) and is_ours(self._folder):
                self._files.write_atomic(path, text.encode())
                path.chmod(0o600)
        except OSError:
            return

    def _read(self, path: Path) -> dict[str, Any]:
        if not all(map(is_ours, (self._folder.parent, self._folder, path))):
            return {}
        try:
            found = json.loads(self._files.read_bytes(path))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
