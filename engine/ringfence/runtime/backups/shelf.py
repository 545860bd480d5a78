"""The directory that backups stand in: making one, listing, checking, and removing the oldest."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from ringfence import __version__
from ringfence.errors import InputError, StateError, reason_of
from ringfence.runtime.backups.copying import CopyDatabase, check_part, copy_part, put
from ringfence.runtime.backups.manifest import (
    MANIFEST,
    Copied,
    Manifest,
    Part,
    digest,
    read_manifest,
)
from ringfence.runtime.backups.recognise import Found, find_parts
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_FILES, Clock, LogFiles

__all__ = ["DATA", "DUMP", "CopyDump", "Made", "Shelf", "check_backup", "newest"]

CopyDump = Callable[[Path], None]
"""Writes the tables of a database server into a file."""

# What lies in a directory, and what of it is not copied, and why.
_Parts: TypeAlias = tuple[list[Found], list[tuple[Path, str]]]

DATA, DUMP = "data", "postgres.dump"
_NAME = "ringfence-%Y%m%dT%H%M%SZ"
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made: where, what it holds, and which older ones were removed for it."""

    path: Path
    manifest: Manifest
    removed: tuple[Path, ...]


class Shelf:
    """The directory of backups.

    Args:
        directory: Made where it is missing, for this user alone.
        clock: Names each backup by its time.
        files: The file system.
    """

    def __init__(
        self, directory: Path, *, clock: Clock = SYSTEM_CLOCK, files: LogFiles = SYSTEM_FILES
    ) -> None:
        self._directory, self._clock, self._files = Path(directory), clock, files

    def create(
        self,
        source: Path,
        *,
        copy_database: CopyDatabase,
        dump: CopyDump | None = None,
        keep: int | None = None,
    ) -> Made:
        """Copy a guard's directory, also while the guard runs; whole or not at all.

        A copy with findings (the log was changed, say) is kept and says so.

        Args:
            source: The directory.
            copy_database: Copies a DuckDB file.
            dump: Writes a server's tables into a file, too.
            keep: Afterwards only so many of the sound backups stay, the newest; None removes none. Where the new
                one is not sound, none is removed.

        Raises:
            InputError: the directory is none of a guard, or a backup cannot be made here now.
            RingfenceError: a part of it cannot be read.
        """
        if keep is not None and keep < 1:
            raise InputError(f"`{keep}` backups cannot be kept", "keep one or more")
        source = source.resolve()
        if self._directory.resolve().is_relative_to(source):
            raise InputError(
                f"`{self._directory}` lies in what is to be copied",
                "let backups stand elsewhere, best on another disk",
            )
        at_ns = self._clock.now_ns()
        name = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime(_NAME)
        try:
            # Before anything is made for them.
            held = _parts_of_a_guard(source)
            self._files.make_folder(self._directory)
            with _Held(self._directory, self._files):
                made = self._made(source, held, name, at_ns, copy_database, dump)
                removed = () if keep is None or made.findings else self._removed(keep)
        except OSError as error:
            raise InputError(
                f"no backup could be made: `{error.filename or source}`: {reason_of(error)}",
                "see to the disk and its rights",
            ) from None
        return Made(self._directory / name, made, removed)

    def list(self) -> list[tuple[Path, Manifest | None]]:
        """The backups, the oldest first; None for one whose manifest cannot be used.

        Raises:
            InputError: the directory cannot be read.
        """
        try:
            paths = [each for each in self._files.list(self._directory) if _is_backup(each)]
        except OSError as error:
            raise InputError(
                f"`{self._directory}` cannot be read: {reason_of(error)}",
                "name the directory that backups were made in",
            ) from None
        found: list[tuple[Path, Manifest | None]] = []
        for path in paths:
            try:
                found.append((path, read_manifest(path, self._files)))
            except StateError:
                found.append((path, None))
        return found

    def _made(
        self,
        source: Path,
        held: _Parts,
        name: str,
        at_ns: int,
        copy_database: CopyDatabase,
        dump: CopyDump | None,
    ) -> Manifest:
        path = self._directory / name
        if path.exists():
            raise InputError(f"`{path}` is there already", "try again in a second")
        found, left_out = held
        beside = self._directory / _UNFINISHED
        if beside.exists():
            shutil.rmtree(beside)
        self._files.make_folder(beside)
        parts: list[Part] = []
        if dump is not None:
            # Before the log, which then explains all that the server holds.
            dump(beside / DUMP)
            content = self._files.read_bytes(beside / DUMP)
            parts.append(Part("dump", DUMP, (Copied(DUMP, len(content), digest(content)),)))
        parts += [
            copy_part(each, source, beside / DATA, self._files, copy_database) for each in found
        ]
        told = tuple(f"{each.relative_to(source)}: {why}" for each, why in left_out)
        manifest = Manifest(name, str(source), at_ns, __version__, tuple(parts), told)
        put(beside / MANIFEST, manifest.text(), self._files)
        beside.rename(path)
        self._files.sync(self._directory)
        return manifest

    def _removed(self, keep: int) -> tuple[Path, ...]:
        """Remove what is older than the newest `keep` sound ones, and say what that was."""
        backups = self.list()
        sound = [path for path, manifest in backups if manifest and not manifest.findings]
        if len(sound) <= keep:
            return ()
        gone = tuple(path for path, _ in backups if path.name < sound[-keep].name)
        for path in gone:
            shutil.rmtree(path)
        return gone


def _parts_of_a_guard(source: Path) -> _Parts:
    """What lies in the directory, and what is left out; one without anything of a guard was named by mistake."""
    if not source.is_dir():
        what = "is no directory" if source.exists() else "does not exist"
        raise InputError(f"`{source}` {what}", "name the directory of a guard")
    found, left_out = find_parts(source)
    if not found:
        raise InputError(f"`{source}` holds nothing", "name the directory of a guard")
    if all(each.kind == "files" for each in found):
        raise InputError(
            f"`{source}` holds no audit log, no state and no policy store",
            "name the directory of a guard, as `ringfence-data`",
        )
    return found, left_out


def newest(path: Path) -> Path:
    """The backup at `path`; where that is a directory of backups, the newest of them.

    Raises:
        InputError: there is none.
    """
    if (path / MANIFEST).exists():
        return path
    backups = Shelf(path).list()
    if not backups:
        raise InputError(f"`{path}` holds no backup", "name what `ringfence backup create` made")
    return backups[-1][0]


def check_backup(path: Path, files: LogFiles = SYSTEM_FILES) -> tuple[Manifest, tuple[str, ...]]:
    """Read every file of a backup again, and say what is wrong with any; nothing where it is sound.

    Raises:
        StateError: it is no backup.
    """
    manifest = read_manifest(path, files)
    findings = []
    for part in manifest.parts:
        base = path if part.kind == "dump" else path / DATA
        broken = [
            told for each in part.files if (told := _difference(base / each.path, each, files))
        ]
        findings += broken
        if not broken:
            findings += check_part(part, base, files).findings
    known = {MANIFEST} | {
        each.path if part.kind == "dump" else f"{DATA}/{each.path}"
        for part in manifest.parts
        for each in part.files
    }
    for each in sorted(path.rglob("*")):
        name = each.relative_to(path).as_posix()
        if not each.is_dir() and name not in known:
            findings.append(f"`{name}` was added")
    return manifest, tuple(findings)


def _difference(path: Path, copied: Copied, files: LogFiles) -> str:
    try:
        content = files.read_bytes(path)
    except OSError as error:
        return f"`{copied.path}` cannot be read: {reason_of(error)}"
    if digest(content) != copied.sha256:
        return f"`{copied.path}` is not what was copied"
    return ""


class _Held:
    """The directory, held against others who make or remove backups there."""

    def __init__(self, directory: Path, files: LogFiles) -> None:
        try:
            self._lock = files.lock(directory / ".lock")
        except BlockingIOError:
            raise InputError(
                f"another backup is being made in `{directory}`", "wait until it is done"
            ) from None

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self._lock.close()


def _is_backup(path: Path) -> bool:
    try:
        datetime.strptime(path.name, _NAME)
    except ValueError:
        return False
    return path.is_dir()
