"""What tests of the audit log share: logs on disk, files that fail, and edits of a segment's bytes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader, Record
from ringfence.runtime.audit_segments import Frame, framed, read_header, scan, segments
from ringfence.runtime.ports import SYSTEM_FILES, AppendFile, FixedClock, SeededRandom


def opened(directory: Path, **options: Any) -> AuditLog:
    """A log with a fixed clock and name."""
    given = {"durability": "process", "clock": FixedClock(1_000), "random": SeededRandom(1)}
    return AuditLog.open(directory, **{**given, **options})


def write(directory: Path, count: int, **options: Any) -> None:
    """Append `count` records, each with its own number in it."""
    with opened(directory, **options) as log:
        for _ in range(count):
            log.append("note", {"n": log.last + 1})


def read(directory: Path) -> list[Record]:
    return list(AuditReader(directory).poll())


def numbers(directory: Path) -> list[int]:
    return [record.sequence for record in read(directory)]


def files_of(directory: Path) -> list[Path]:
    return segments(directory, SYSTEM_FILES)


def frames(path: Path) -> list[Frame]:
    """The records of a segment."""
    content = path.read_bytes()
    header = read_header(content)
    assert header is not None
    return [piece for piece in scan(content, header.size) if isinstance(piece, Frame)]


def rewrite(path: Path, edit: Callable[[list[bytes]], Sequence[bytes]]) -> None:
    """Put other payloads into a segment, with lengths and checksums as they should be."""
    content = path.read_bytes()
    header = read_header(content)
    assert header is not None
    payloads = edit([frame.payload for frame in frames(path)])
    path.write_bytes(content[: header.size] + b"".join(framed(each) for each in payloads))


class FailingFiles:
    """The system's files, whose writes or syncs fail once `state.fails` names them."""

    def __init__(self) -> None:
        self.state = State()

    def append_to(self, path: Path) -> AppendFile:
        return FailingFile(SYSTEM_FILES.append_to(path), self.state)

    def __getattr__(self, name: str) -> Any:
        return getattr(SYSTEM_FILES, name)


class State:
    """What fails, how much is written before it does, and what was done."""

    def __init__(self) -> None:
        self.fails = ""
        self.written_before = 0
        self.calls: list[str] = []


class FailingFile:
    def __init__(self, file: AppendFile, state: State) -> None:
        self._file = file
        self._state = state

    def write(self, content: bytes) -> None:
        self._state.calls.append("write")
        if self._state.fails == "write":
            self._file.write(content[: self._state.written_before])
            raise OSError(28, "No space left on device")
        self._file.write(content)

    def sync(self) -> None:
        self._state.calls.append("sync")
        if self._state.fails == "sync":
            raise OSError(5, "Input/output error")
        self._file.sync()

    def close(self) -> None:
        self._file.close()
