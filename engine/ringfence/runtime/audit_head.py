"""The newest record of a log, found from its end, and the log's name: cheap enough to ask all the time."""

from pathlib import Path

from ringfence.errors import AuditError, reason_of
from ringfence.runtime.audit_segments import (
    Envelope,
    Frame,
    Header,
    envelope,
    first_frame,
    read_header,
    scan,
    segments,
)
from ringfence.runtime.ports import SYSTEM_FILES, LogFiles

__all__ = ["chain_of", "check_there", "newest", "no_log_in"]

# Nearly every record is shorter; where none ends in so many bytes, the file is read from its begin.
_TAIL_BYTES = 64 << 10
_HEADER_BYTES = 4 << 10


def chain_of(directory: Path, *, files: LogFiles = SYSTEM_FILES) -> Header | None:
    """What the oldest file of a log says of itself; None where there is no log yet.

    Raises:
        AuditError: it cannot be read.
    """
    for path in segments(directory, files):
        content = _read(path, 0, _HEADER_BYTES, files)
        if (header := read_header(content)) is None:
            raise AuditError(
                f"`{path}` is damaged at byte 0",
                f"`ringfence audit verify --log {directory}` finds all that is wrong with it",
            )
        return header
    return None


def check_there(directory: Path, *, files: LogFiles = SYSTEM_FILES) -> None:
    """Refuse a directory without a log.

    Raises:
        AuditError: it holds none, or one that cannot be read.
    """
    if chain_of(directory, files=files) is None:
        raise no_log_in(directory)


def no_log_in(directory: Path | str) -> AuditError:
    """What is said of a directory without a log."""
    return AuditError(
        f"`{directory}` holds no audit log",
        "name the directory that the guard writes its audit log to",
    )


def newest(directory: Path, *, files: LogFiles = SYSTEM_FILES) -> Envelope | None:
    """The last whole record of a log that may be growing; None where there is none.

    Raises:
        AuditError: the log cannot be read.
    """
    for path in reversed(segments(directory, files)):
        try:
            size = files.size(path)
        except OSError:  # removed since it was listed
            continue
        for begin in dict.fromkeys((max(0, size - _TAIL_BYTES), 0)):
            content = _read(path, begin, -1, files)
            start = first_frame(content)
            last = None
            for piece in scan(content, start):
                if isinstance(piece, Frame):
                    last = envelope(piece.payload) or last
            if last is not None:
                return last
    return None


def _read(path: Path, offset: int, size: int, files: LogFiles) -> bytes:
    try:
        return files.read_from(path, offset, size)
    except OSError as error:
        raise AuditError(
            f"`{path}` cannot be read: {reason_of(error)}", "give this user the right to read it"
        ) from None
