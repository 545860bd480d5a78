"""Holds: what a sink has not got yet stays in the log.

A hold is a file `holds/NAME.json` beside the segments, in which a writer notes how far its sink has come.
Retention removes no record behind the lowest of them. It is noted after the sink has committed, so a hold may
name too little, and never too much. Nobody removes it by itself: a sink that is given up is released by hand.
"""

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ringfence.errors import AuditError, reason_of
from ringfence.runtime.ports import SYSTEM_FILES, Lock, LogFiles

__all__ = ["Hold", "Noted", "holds", "lowest", "release"]

_FOLDER = "holds"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Noted:
    """How far a sink had come when its writer noted it.

    Attributes:
        sink: Its name.
        sequence: The last record that it holds; 0 where there is none, or where the note cannot be read.
        chain: Name of the log; empty before there was one.
        ts_ns: When that was, nanoseconds since 1970, UTC.
        error: Why it came no further then; empty where all was well.
    """

    sink: str
    sequence: int = 0
    chain: str = ""
    ts_ns: int = 0
    error: str = ""


class Hold:
    """The hold of one sink; no other process has it at the same time.

    Raises:
        AuditError: another writer feeds a sink of this name, or the hold cannot be written.
    """

    def __init__(self, log: Path, sink: str, *, files: LogFiles = SYSTEM_FILES) -> None:
        self._path = _path(log, sink)
        self._files = files
        try:
            files.make_folder(self._path.parent)
            self._lock: Lock = files.lock(self._path.with_suffix(".lock"))
        except BlockingIOError:
            raise AuditError(
                f"another writer feeds `{sink}` from `{log}`",
                "stop that writer first, or leave it to it: one for each sink is enough",
            ) from None
        except OSError as error:
            raise _unwritable(self._path, error) from None
        try:
            if not files.exists(self._path):
                self.note(Noted(sink))
            #: As it was noted last.
            self.noted = _read(self._path, files)
        except BaseException:
            self._lock.close()
            raise

    def note(self, noted: Noted) -> None:
        """Note how far the sink has come; raises AuditError where that cannot be written."""
        try:
            self._files.write_atomic(self._path, json.dumps(asdict(noted)).encode() + b"\n")
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self.noted = noted

    def close(self) -> None:
        """Let another process have it; the hold stays."""
        self._lock.close()


def holds(log: Path, chain: str = "", *, files: LogFiles = SYSTEM_FILES) -> list[Noted]:
    """The holds on a log, by name.

    Args:
        log: Its directory.
        chain: Its name; what was noted of another log that lay here before holds everything.

    Raises:
        AuditError: they cannot be listed.
    """
    folder = log / _FOLDER
    try:
        paths = files.list(folder) if files.exists(folder) else ()
    except OSError as error:
        raise AuditError(
            f"`{folder}` cannot be read: {reason_of(error)}", "give this user the right to read it"
        ) from None
    found = [_read(path, files) for path in paths if path.suffix == ".json"]
    return [replace(each, sequence=0) if chain and each.chain != chain else each for each in found]


def lowest(log: Path, chain: str, *, files: LogFiles = SYSTEM_FILES) -> Noted | None:
    """The hold that lets go of the least; None where there is none. Arguments and errors as of `holds`."""
    return min(holds(log, chain, files=files), key=lambda each: each.sequence, default=None)


def release(log: Path, sink: str, *, files: LogFiles = SYSTEM_FILES) -> Noted:
    """Remove the hold of a sink that is given up; returns what it said.

    Raises:
        AuditError: there is none, a writer uses it, or it cannot be removed.
    """
    path = _path(log, sink)
    if not files.exists(path):
        raise AuditError(f"no sink `{sink}` holds `{log}`", "`ringfence audit lag` lists them")
    hold = Hold(log, sink, files=files)
    try:
        files.remove(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        hold.close()
    return hold.noted


def _path(log: Path, sink: str) -> Path:
    if not _NAME.fullmatch(sink):
        raise AuditError(
            f"`{sink}` is no name of a sink", "use lower-case letters, digits, `-` and `_`"
        )
    return log / _FOLDER / f"{sink}.json"


def _read(path: Path, files: LogFiles) -> Noted:
    try:
        about = json.loads(files.read_bytes(path))
        return Noted(
            path.stem,
            int(about["sequence"]),
            str(about["chain"]),
            int(about["ts_ns"]),
            str(about["error"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        # What cannot be read holds everything.
        return Noted(path.stem, error="its note cannot be read")


def _unwritable(path: Path, error: OSError) -> AuditError:
    return AuditError(
        f"`{path}` cannot be written: {reason_of(error)}",
        "a sink's writer must be allowed to write there",
    )
