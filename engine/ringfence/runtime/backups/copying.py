"""One part of a guard's directory, copied while the guard runs, and what is wrong with the copy."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ringfence.errors import AuditError, StateError
from ringfence.runtime.audit_reader import Record
from ringfence.runtime.audit_segments import Tail, read_header, scan, segments
from ringfence.runtime.audit_verify import verify
from ringfence.runtime.backups.manifest import Copied, Part, digest
from ringfence.runtime.backups.recognise import Found
from ringfence.runtime.ports import LogFiles
from ringfence.runtime.state_directory import read_journal, read_snapshot

__all__ = ["CopyDatabase", "check_part", "copy_part", "put"]

CopyDatabase = Callable[[Path, Path], None]
"""Copies a database file that another process may be writing."""

_TRIES = 20
_NUMBER = re.compile(r"snapshot-(\d{12})")


def copy_part(
    found: Found, source: Path, target: Path, files: LogFiles, copy_database: CopyDatabase
) -> Part:
    """Copy one part below `target`, as it lies below `source`.

    Raises:
        OSError, RingfenceError: it cannot be read, or the copy cannot be written.
    """
    place = found.folder.relative_to(source)
    if found.kind == "database":
        (path,) = found.files
        place = path.relative_to(source)
        into = target / place
        files.make_folder(into.parent)
        copy_database(path, into)
        content = files.read_bytes(into)
        return Part("database", place.as_posix(), (_copied(place, content),))
    read = {"audit": _audit, "state": _state}.get(found.kind, _plain)
    copied = []
    for name, content in read(found, files).items():
        put(target / place / name, content, files)
        copied.append(_copied(place / name, content))
    return check_part(Part(found.kind, place.as_posix(), tuple(copied)), target, files)


def check_part(part: Part, target: Path, files: LogFiles) -> Part:
    """The part with what its content says: numbers of records, findings."""
    folder = target / part.path
    if part.kind == "audit":
        return _checked_log(part, folder, files)
    if part.kind == "state":
        findings = []
        for file in part.files:
            path = target / file.path
            read = read_snapshot if path.name.startswith("snapshot") else read_journal
            try:
                read(path, files.read_bytes(path))
            except StateError as error:
                findings.append(error.message)
        return replace(part, findings=tuple(findings))
    return part


def put(path: Path, content: bytes, files: LogFiles) -> None:
    """Write a file that is not there yet, for this user alone, durably."""
    files.make_folder(path.parent)
    file = files.append_to(path, new=True)
    try:
        file.write(content)
        file.sync()
    except OSError as error:
        # By itself a write that fails names no file.
        error.filename = error.filename or os.fspath(path)
        raise
    finally:
        file.close()


def _checked_log(part: Part, folder: Path, files: LogFiles) -> Part:
    times = [0]

    def note(record: Record) -> None:
        times[0] = record.ts_ns

    try:
        found = verify(folder, files=files, each=note, complete=False)
    except AuditError as error:
        return replace(part, findings=(error.message,))
    findings = tuple(f"{each.segment}: {each.message}" for each in found.findings)
    return replace(
        part,
        chain=found.chain,
        first=found.first,
        last=found.last,
        last_ns=times[0],
        findings=findings,
    )


def _copied(path: Path, content: bytes) -> Copied:
    return Copied(path.as_posix(), len(content), digest(content))


def _plain(found: Found, files: LogFiles) -> dict[str, bytes]:
    """Files that are replaced as a whole, or grow; one that went meanwhile was of no account."""
    held = {}
    for path in found.files:
        try:
            held[path.name] = files.read_bytes(path)
        except FileNotFoundError:
            continue
    return held


def _audit(found: Found, files: LogFiles) -> dict[str, bytes]:
    """The segments; the last one up to its last whole record.

    Retention may take the oldest away meanwhile: what was read before one that is gone is no part of the log.
    """
    held: dict[str, bytes] = {}
    for path in segments(found.folder, files):
        try:
            held[path.name] = files.read_bytes(path)
        except FileNotFoundError:
            held.clear()
    if held:
        name = max(held)
        held[name] = _whole(held[name])
    return held


def _whole(content: bytes) -> bytes:
    header = read_header(content)
    if header is not None:
        for piece in scan(content, header.size):
            if isinstance(piece, Tail):
                return content[: piece.offset]
    return content


def _state(found: Found, files: LogFiles) -> dict[str, bytes]:
    """The latest snapshot and the journal after it, as they were at one moment.

    INVARIANT: a guard makes snapshot N+1 before it removes snapshot N and its journal. So where snapshot N is still
    there after both were read, they are of one moment. Journal N+1 is made first, and is none while its snapshot lacks.
    """
    for _ in range(_TRIES):
        numbers = [
            int(each[1])
            for path in files.list(found.folder)
            if (each := _NUMBER.fullmatch(path.name))
        ]
        held: dict[str, bytes] = {}
        latest = max(numbers, default=0)
        snapshot, journal = (f"{kind}-{latest:012d}" for kind in ("snapshot", "journal"))
        for name in (snapshot, journal):
            try:
                held[name] = files.read_bytes(found.folder / name)
            except FileNotFoundError:
                continue
        if journal in held:
            held[journal] = held[journal][: held[journal].rfind(b"\n") + 1]
        if snapshot in held and files.exists(found.folder / snapshot):
            return held
    raise StateError(
        f"`{found.folder}` has no snapshot, or another one each time it is read",
        "name the directory of a guard; if it is one, try again",
    )
