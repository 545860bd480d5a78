"""Secrets as files of one directory: made where missing, never overwritten, looked at without being shown.

A file bears the variable's name in small letters, `jwt_secret_key` for `JWT_SECRET_KEY`. The directory is closed to
everybody but its owner (0700). The files may be read by one group besides (0640): containers get each file by
itself, and their users, of whom none is the owner, are given that group. On the machine nobody but the owner
comes past the directory.
"""

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ringfence.errors import InputError, reason_of
from ringfence.runtime.credentials import ALL_SECRETS, SecretKind
from ringfence.runtime.ports import SYSTEM_RANDOM, Random

__all__ = [
    "CONTAINER_GROUP",
    "FoundSecret",
    "MadeSecret",
    "check_directory",
    "file_of",
    "look_at_secrets",
    "make_secrets",
]

CONTAINER_GROUP = 1000
"""The group of the image's user `trader`."""

_DIRECTORY_MODE, _FILE_MODE = 0o700, 0o640
_MOST_BYTES = 64 << 10
_SEE_TO_RIGHTS = "check the path, and whether this user may read it"


@dataclass(frozen=True, slots=True)
class MadeSecret:
    """What became of one secret: `made`, `kept` since it was there, or `left-out` since others give it out."""

    kind: SecretKind
    path: Path
    result: Literal["made", "kept", "left-out"]


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """What is wrong with one secret's file (empty: nothing), and the fix."""

    kind: SecretKind
    path: Path
    there: bool
    fault: str
    fix: str


def file_of(directory: Path, kind: SecretKind) -> Path:
    """The file of a secret."""
    return directory / kind.name.lower()


def make_secrets(
    directory: Path,
    kinds: Iterable[SecretKind] = ALL_SECRETS,
    *,
    given: Mapping[str, str] | None = None,
    group: int | None = None,
    random: Random = SYSTEM_RANDOM,
) -> list[MadeSecret]:
    """Make the files that are missing, and leave those that are there as they are.

    Args:
        directory: Is made where it is missing.
        kinds: Which secrets.
        given: Texts by name of the variable, as of those that an exchange gives out; the rest is made up.
        group: The number of the group that may read the files; the process's own where not given.

    Raises:
        InputError: a text that was given is unsound, or something cannot be written.
    """
    given = given or {}
    wanted = list(kinds)
    for kind in wanted:
        if kind.name in given and (fault := kind.fault(given[kind.name])):
            raise InputError(f"`{kind.name}` {fault}", kind.fix)
    try:
        _make_directory(directory)
        return [_make(directory, kind, given.get(kind.name), group, random) for kind in wanted]
    except OSError as error:
        raise InputError(
            f"`{directory}` cannot be written: {reason_of(error)}",
            "name a directory that this user may write, and a group that it belongs to",
        ) from None


def check_directory(directory: Path) -> None:
    """Refuse a directory of which nobody can tell what it holds; one that is not there holds nothing.

    Raises:
        InputError: it is none, or this user may not look into it.
    """
    try:
        # Asked for a name in it: who may not look into it is told here, and not that each is missing.
        os.lstat(directory / "any")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(
            f"`{directory}` cannot be read: {reason_of(error)}",
            "name the directory of the secrets, as a user that may read it",
        ) from None


def look_at_secrets(
    directory: Path, kinds: Iterable[SecretKind] = ALL_SECRETS
) -> list[FoundSecret]:
    """Look at each secret's file: whether it is there, closed to others, and well-formed.

    An optional one that is missing has no fault.

    Raises:
        InputError: it cannot be told what the directory holds.
    """
    check_directory(directory)
    closed = _mode_fault(directory, stat.S_ISDIR, _DIRECTORY_MODE, f"chmod 700 {directory}")
    return [_look_at(file_of(directory, kind), kind, closed) for kind in kinds]


def _make_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    directory.mkdir(parents=True)
    directory.chmod(_DIRECTORY_MODE)
    # Wherever it lies, no commit takes it along.
    (directory / ".gitignore").write_text("*\n", encoding="utf-8")


def _make(
    directory: Path, kind: SecretKind, given: str | None, group: int | None, random: Random
) -> MadeSecret:
    path = file_of(directory, kind)
    if os.path.lexists(path):
        return MadeSecret(kind, path, "kept")
    if given is None and kind.issued_elsewhere:
        return MadeSecret(kind, path, "left-out")
    text = kind.make(random) if given is None else given
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb", closefd=False) as file:
            file.write(text.encode())
            file.flush()
        if group is not None:
            os.fchown(handle, -1, group)
        os.fchmod(handle, _FILE_MODE)
        os.fsync(handle)
    except BaseException:
        # Half of a secret would be kept the next time.
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    return MadeSecret(kind, path, "made")


def _look_at(path: Path, kind: SecretKind, closed: tuple[str, str]) -> FoundSecret:
    if not os.path.lexists(path):
        if kind.optional:
            return FoundSecret(kind, path, False, "", "")
        fix = (
            f"{kind.fix}, in `{path}`" if kind.issued_elsewhere else "run `ringfence secrets init`"
        )
        return FoundSecret(kind, path, False, "is missing", fix)
    fault, fix = closed
    if not fault:
        fault, fix = _mode_fault(path, stat.S_ISREG, _FILE_MODE, f"chmod 640 {path}")
    if not fault:
        fault, fix = _text_fault(path, kind)
    return FoundSecret(kind, path, True, fault, fix if fault else "")


def _mode_fault(path: Path, is_kind: Callable[[int], bool], most: int, fix: str) -> tuple[str, str]:
    """What is wrong with who may reach `path`, and the fix; both empty where nothing is."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return _unreadable(path, error), _SEE_TO_RIGHTS
    if not is_kind(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "a link or a device"
        return f"lies at `{path}`, which is {what}", "put the file itself there"
    more = stat.S_IMODE(mode) & 0o777 & ~most
    return (f"is open to others: `{path}` has mode {mode & 0o777:o}", fix) if more else ("", "")


def _unreadable(path: Path, error: OSError) -> str:
    return f"cannot be read: `{path}`: {reason_of(error)}"


def _text_fault(path: Path, kind: SecretKind) -> tuple[str, str]:
    """What is wrong with the text of a file, and the fix; the first is empty where nothing is."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        return _unreadable(path, error), _SEE_TO_RIGHTS
    return _content_fault(content, kind), kind.fix


def _content_fault(content: bytes, kind: SecretKind) -> str:
    if len(content) > _MOST_BYTES:
        return "is longer than any secret"
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError:
        return "is no text"
    # While a key is rotated its file holds several.
    keys = text.splitlines() if kind.rotates else [text]
    return next(filter(None, map(kind.fault, keys)), "") if text else "is empty"
