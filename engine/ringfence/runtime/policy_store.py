"""Policy sets kept by their hash: what once decided can be loaded again, from the very same bytes.

A set is one file, `SHA256.policies`: a line with the format and the SHA-256 of what follows, a line of JSON
(which set, of which version of Ringfence, and what it was stored with), and its files, compressed. It is
written whole or not at all, and never changed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from ringfence import __version__
from ringfence.errors import InputError, PolicyError, StateError, reason_of
from ringfence.runtime.policy_files import compressed, expanded
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import SYSTEM_FILES, LogFiles

__all__ = ["LIMIT_BYTES", "PolicyStore", "StoredSet"]

LIMIT_BYTES = 1 << 30
_MAGIC = b"ringfence-policies 1 "
_NAME = re.compile(r"([0-9a-f]{64})\.policies")
_PREFIX = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, slots=True)
class StoredSet:
    """A set in the store.

    Attributes:
        sha256: Names it.
        about: What it was stored with.
        at_ns: When, from `about`; 0 where that does not say.
        ringfence: The version that stored it.
        size_bytes: Of its file.
        damage: Why it cannot be loaded; empty where nothing is known against it.
    """

    sha256: str
    about: dict[str, Any] = field(default_factory=dict)
    at_ns: int = 0
    ringfence: str = ""
    size_bytes: int = 0
    damage: str = ""


class PolicyStore:
    """The policy sets in one directory; several processes may use it at once.

    Args:
        directory: Holds them and nothing else; made where it is missing, once something is put there.
        files: The file system.
        limit_bytes: What would make the store larger than this is refused.
    """

    def __init__(
        self, directory: Path, files: LogFiles = SYSTEM_FILES, *, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._directory, self._files, self._limit_bytes = Path(directory), files, limit_bytes

    def put(self, policy_set: PolicySet, about: Mapping[str, Any]) -> str:
        """Keep a set; it outlives a loss of power once this returns. One that is there stays as it is.

        Args:
            policy_set: The set.
            about: Where it comes from: `at_ns`, `commit`, `author`, `by` and the like, as JSON has it.

        Returns:
            Its SHA-256.

        Raises:
            InputError: `about` is nothing for JSON.
            StateError: the store is full, or cannot be written.
        """
        name = policy_set.sha256
        path = self._path(name)
        head = {"about": dict(about), "policy_set": name, "ringfence": __version__}
        try:
            text = json.dumps(head, sort_keys=True).encode("ascii")
        except (TypeError, ValueError) as error:
            raise InputError(
                f"this cannot be stored with a policy set: {error}", "give what JSON can hold"
            ) from None
        content = text + b"\n" + compressed(policy_set.files)
        whole = _MAGIC + sha256(content).hexdigest().encode("ascii") + b"\n" + content
        try:
            self._files.make_folder(self._directory)
            if self._is_whole(path):
                return name
            size = sum(self._files.size(each) for each in self._paths())
            if size + len(whole) > self._limit_bytes:
                raise StateError(
                    f"`{self._directory}` is full: {size:,} of {self._limit_bytes:,} bytes",
                    "move old sets elsewhere, or raise its limit",
                )
            self._files.write_atomic(path, whole)
        except OSError as error:
            raise StateError(
                f"`{path}` cannot be written: {reason_of(error)}", "see to the disk and its rights"
            ) from None
        return name

    def load(self, name: str) -> PolicySet:
        """The set of a SHA-256, or of the first four digits of it or more.

        Raises:
            InputError: there is no such set, or more than one.
            StateError: its file cannot be read, or is not what was stored; names the file.
        """
        return self._loaded(self.find(name))

    def find(self, prefix: str) -> str:
        """The SHA-256 that begins so.

        Raises:
            InputError: none does, or more than one; or these are fewer than four digits.
            StateError: the directory cannot be read.
        """
        if not _PREFIX.fullmatch(prefix):
            raise InputError(
                f"`{prefix}` names no policy set", "give four or more of the digits of its SHA-256"
            )
        found = [path.stem for path in self._paths() if path.stem.startswith(prefix)]
        if not found:
            raise InputError(
                f"`{self._directory}` holds no policy set `{prefix}`",
                "see what it holds, or name another directory",
            )
        if len(found) > 1:
            shown = ", ".join(each[: len(prefix) + 4] for each in found[:5])
            raise InputError(f"`{prefix}` may be any of {shown}", "give more of its digits")
        return found[0]

    def entries(self) -> list[StoredSet]:
        """What the store holds, the newest first; a damaged set says so.

        Raises:
            StateError: the directory cannot be read.
        """
        found = []
        for path in self._paths():
            try:
                about, ringfence, content = self._read(path)
            except StateError as error:
                found.append(StoredSet(path.stem, damage=error.message))
                continue
            at_ns = about.get("at_ns")
            moment = at_ns if isinstance(at_ns, int) else 0
            found.append(StoredSet(path.stem, about, moment, ringfence, len(content)))
        return sorted(found, key=lambda each: (-each.at_ns, each.sha256))

    def _loaded(self, name: str) -> PolicySet:
        path = self._path(name)
        _, version, content = self._read(path)
        try:
            found = PolicySet.from_files(expanded(content.split(b"\n", 2)[2]))
        except (InputError, PolicyError) as error:
            raise StateError(
                f"the policy set in `{path}` cannot be linked: {error}",
                f"use Ringfence {version}, which stored it",
            ) from None
        if found.sha256 != name:
            raise StateError(
                f"the policy set in `{path}` is `{found.sha256}`",
                f"use Ringfence {version}, which stored it, or take the file from a copy",
            )
        return found

    def _is_whole(self, path: Path) -> bool:
        try:
            return bool(self._files.exists(path) and self._read(path))
        except StateError:
            return False

    def _read(self, path: Path) -> tuple[dict[str, Any], str, bytes]:
        """What a set was stored with, the version that stored it, and the file's content."""
        try:
            content = self._files.read_bytes(path)
        except OSError as error:
            raise StateError(
                f"`{path}` cannot be read: {reason_of(error)}", "let this user read it"
            ) from None
        first, _, rest = content.partition(b"\n")
        if first != _MAGIC + sha256(rest).hexdigest().encode("ascii"):
            raise StateError(
                f"`{path}` is not what was stored", "take it from a copy, or from the audit log"
            )
        match _head(rest):
            case {"about": dict(about), "policy_set": str(name), "ringfence": str(version)}:
                if name != path.stem:
                    raise StateError(f"`{path}` holds the policy set `{name}`", "rename it")
                return about, version, content
        raise StateError(f"`{path}` is no policy set", "remove it")

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.policies"

    def _paths(self) -> list[Path]:
        try:
            if not self._files.exists(self._directory):
                return []
            return [
                each for each in self._files.list(self._directory) if _NAME.fullmatch(each.name)
            ]
        except OSError as error:
            raise StateError(
                f"`{self._directory}` cannot be read: {reason_of(error)}", "let this user read it"
            ) from None


def _head(content: bytes) -> Any:
    try:
        return json.loads(content.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return None
