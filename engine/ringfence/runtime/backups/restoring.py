"""A backup put back: into an empty directory, checked before and after, whole or not at all."""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import InputError, reason_of
from ringfence.runtime.backups.copying import put
from ringfence.runtime.backups.manifest import Copied, Manifest, Part, digest
from ringfence.runtime.backups.shelf import DATA, check_backup
from ringfence.runtime.ports import SYSTEM_FILES, LogFiles

__all__ = ["Restored", "restore_backup"]

_RESTORING = ".restoring"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back.

    Attributes:
        manifest: The backup's.
        parts: Those that were put back.
    """

    manifest: Manifest
    parts: tuple[Part, ...]


def restore_backup(
    backup: Path,
    target: Path,
    *,
    only: tuple[str, ...] = (),
    files: LogFiles = SYSTEM_FILES,
) -> Restored:
    """Put a backup into a directory that is empty or not there.

    Args:
        backup: The backup's directory.
        target: Where the guard's directory is to be.
        only: The paths of those parts that are wanted, and what lies below them; all where empty.

    Raises:
        InputError: the backup is not sound, the target is in use or holds something, or cannot be written; nothing
            was put there then.
    """
    manifest, findings = check_backup(backup, files)
    if findings:
        raise InputError(
            f"`{backup}` is not sound: {'; '.join(findings)}",
            "restore another one, or read the sound parts of this one by hand",
        )
    parts = tuple(
        part
        for part in manifest.parts
        if part.kind != "dump" and (not only or any(_below(part.path, each) for each in only))
    )
    if not parts:
        held = ", ".join(sorted(part.path for part in manifest.parts))
        raise InputError(f"`{backup}` holds no such part", f"name some of: {held}")
    _refuse_unless_empty(target)
    beside = target / _RESTORING
    try:
        files.make_folder(target)
        if beside.exists():
            shutil.rmtree(beside)
        files.make_folder(beside)
        for copied in (each for part in parts for each in part.files):
            _put_back(backup / DATA / copied.path, beside / copied.path, copied, files)
        for each in sorted(beside.iterdir()):
            each.rename(target / each.name)
        beside.rmdir()
        files.sync(target)
    except OSError as error:
        raise InputError(
            f"`{target}` cannot be written: {reason_of(error)}",
            "see to the disk and its rights, then restore again",
        ) from None
    return Restored(manifest, parts)


def _put_back(source: Path, path: Path, copied: Copied, files: LogFiles) -> None:
    put(path, files.read_bytes(source), files)
    if digest(files.read_bytes(path)) != copied.sha256:
        raise InputError(f"`{path}` is not what the backup holds", "see to the disk, and try again")


def _below(path: str, wanted: str) -> bool:
    wanted = wanted.strip("/")
    return path == wanted or path.startswith(f"{wanted}/")


def _refuse_unless_empty(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"`{target}` is no directory", "name one that is empty or not there")
    held = [each for each in target.iterdir() if each.name != _RESTORING]
    if not held:
        return
    if any(_is_locked(each) for each in target.rglob("*") if _is_lock(each)):
        raise InputError(f"a guard uses `{target}`", "stop it, and move its directory away")
    raise InputError(
        f"`{target}` is not empty", "move what it holds away, or name another directory"
    )


def _is_lock(path: Path) -> bool:
    return (path.name == "lock" or path.name.endswith(".lock")) and path.is_file()


def _is_locked(path: Path) -> bool:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
