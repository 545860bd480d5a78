"""A guard's state on disk: a snapshot, and a journal of what happened since.

`snapshot-N` is whole or not there; `journal-N` follows it. A snapshot is a line with the format and the
CRC-32 of what follows, which is msgpack (format 2), or JSON (format 1: where a text is no Unicode, or a number is too large). A record of
the journal is one line: the CRC-32 in hex of the journal's number and all texts so far, a blank, and the text, JSON. So a
line that is missing, or stands elsewhere, shows at the next one. In older journals it is that of the text alone; they are
read, too. A record is with the system before `append` returns, so that it outlives the process. One that was torn by the
end of a process stands last, lacks the end of its line, and was never answered for; any other that is damaged may have been.
"""

import json
import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from ringfence.errors import StateError, reason_of
from ringfence.runtime.forks import forks
from ringfence.runtime.ports import AppendFile, LogFiles

__all__ = ["Durability", "StateDirectory", "encoded", "read_journal", "read_snapshot"]

Durability = Literal["process", "disk"]
_JSON, _MSGPACK = 1, 2
# Knows NaN, infinities and text that is no Unicode, and takes ten times as long.
_encode_any = json.JSONEncoder(separators=(",", ":")).encode
_encode_plain = msgspec.json.Encoder().encode
_decode_plain = msgspec.json.Decoder().decode
_NULL = b"null"
_NAME = re.compile(r"(snapshot|journal)-(\d{12})")
_CRC = 9
_SEE_TO_RIGHTS = "see to the disk, and let this user read and write it"
_RESTORE = "restore it from a backup; or begin in an empty directory, and reconcile every account"


class StateDirectory:
    """The files of one guard; one process at a time holds them.

    Args:
        directory: Made where it is not there.
        files: The file system.
        durability: `process` outlives a `kill -9`, `disk` a loss of power.

    Attributes:
        crc: What the checksum of the next record goes on from.
        written_bytes: Of the journal so far.

    Raises:
        StateError: another guard holds the directory, or it cannot be used.
    """

    def __init__(self, directory: Path, files: LogFiles, durability: Durability) -> None:
        self._directory, self._files, self.durability = directory, files, durability
        self._journal: AppendFile | None = None
        self._forks = forks[0]
        self.crc = 0
        self.written_bytes = 0
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = files.lock(directory / "lock")
        except BlockingIOError:
            raise StateError(
                f"another guard holds `{directory}`", fix="give each guard a directory of its own"
            ) from None
        except OSError as error:
            raise StateError(
                f"`{directory}` cannot be used: {reason_of(error)}", _SEE_TO_RIGHTS
            ) from None
        self._number = max(self._numbers("snapshot"), default=0)

    def read(self) -> tuple[dict[str, Any] | None, list[list[Any]]]:
        """The latest snapshot, and every whole record after it.

        Raises:
            StateError: a file cannot be read, or was changed.
        """
        snapshot, path = None, self._path("snapshot")
        try:
            if self._files.exists(path):
                snapshot = read_snapshot(path, self._files.read_bytes(path))
            path = self._path("journal")
            if snapshot is None:
                # The first journal is made before the first snapshot, and holds nothing until that is there.
                first, journals = self._path("journal", 1), self._numbers("journal")
                if journals - {1} or (journals and self._files.size(first)):
                    raise StateError(
                        f"the snapshot before `{path.parent}`'s journal is missing", _RESTORE
                    )
                return None, []
            if not self._files.exists(path):
                raise StateError(
                    f"the journal `{path}` is missing, and with it what happened after the snapshot",
                    fix="restore it from a backup; or make it, empty, and reconcile every account",
                )
            events = read_journal(path, self._files.read_bytes(path))
        except OSError as error:
            raise StateError(
                f"`{path}` cannot be read: {reason_of(error)}", _SEE_TO_RIGHTS
            ) from None
        return snapshot, events

    def append(self, record: list[Any]) -> None:
        """Add a record; as durable as asked when this returns.

        Raises:
            OSError: it could not be written. Call `renew` before the next one.
        """
        try:
            self._write(self._line(record))
        except BaseException:
            # What may be torn must stay last, and the next checksum would go on from what may not be there.
            self._close_journal()
            raise

    def append_all(self, records: Iterable[list[Any]]) -> None:
        """As `append`, of several at once: one write, and one sync. Of those that failed some may be there."""
        try:
            self._write(b"".join(map(self._line, records)))
        except BaseException:
            self._close_journal()
            raise

    def append_lines(self, lines: bytes, crc: int) -> None:
        """As `append`, of records that are written out already; `crc` is the checksum that the last line begins with."""
        try:
            self._write(lines)
        except BaseException:
            self._close_journal()
            raise
        self.crc = crc

    def _line(self, record: list[Any]) -> bytes:
        """The record's line, after that of the one before: where it is not written, no more can be."""
        text = encoded(record)
        self.crc = zlib.crc32(text, self.crc)
        return b"%08x %b\n" % (self.crc, text)

    def _check_process(self) -> None:
        # A forked child has its parent's lock and journal; what both wrote nobody could read again.
        if self._forks != forks[0]:
            raise OSError("the state was opened before the process forked")

    def _write(self, lines: bytes) -> None:
        self._check_process()
        if self._journal is None:
            raise OSError("the journal is not open")
        self._journal.write(lines)
        if self.durability == "disk":
            self._journal.sync()
        self.written_bytes += len(lines)

    def renew(self, snapshot: dict[str, Any]) -> None:
        """Put everything into a new snapshot, and start an empty journal after it.

        Raises:
            OSError: it could not be written; the old files are as they were.
        """
        self._check_process()
        number = self._number + 1
        try:
            text, form = msgspec.msgpack.encode(snapshot), _MSGPACK
        except (UnicodeEncodeError, OverflowError):
            text, form = _encode_any(snapshot).encode("ascii"), _JSON
        head = b"ringfence-state %d %08x\n" % (form, zlib.crc32(text))
        # Before the snapshot, so that what makes this durable makes the journal's name durable, too.
        journal = self._files.append_to(self._path("journal", number), new=True)
        try:
            self._files.write_atomic(self._path("snapshot", number), head + text)
        except BaseException:
            journal.close()
            raise
        # INVARIANT: from here on a restart reads the new snapshot, and the journal of its number.
        self._number = number
        self._close_journal()
        self._journal, self.crc = journal, _first_crc(self._path("journal"))
        self.written_bytes = 0
        for kind in ("snapshot", "journal"):
            for old in self._numbers(kind):
                if old < number:
                    with suppress(FileNotFoundError):
                        self._files.remove(self._path(kind, old))

    def close(self) -> None:
        """Give the files back."""
        self._close_journal()
        self._lock.close()

    def _close_journal(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    def _path(self, kind: str, number: int | None = None) -> Path:
        return self._directory / f"{kind}-{self._number if number is None else number:012d}"

    def _numbers(self, kind: str) -> set[int]:
        found = (_NAME.fullmatch(path.name) for path in self._files.list(self._directory))
        return {int(each[2]) for each in found if each and each[1] == kind}


def _first_crc(journal: Path) -> int:
    """What the CRC-32 of a journal's first record goes on from."""
    return zlib.crc32(journal.name.encode())


def encoded(record: list[Any]) -> bytes:
    """The record as JSON, every float of it bit for bit."""
    try:
        text = _encode_plain(record)
    except UnicodeEncodeError:
        return _encode_any(record).encode("ascii")
    # NaN and infinities became `null`: then there are more of these than the record holds of None. Text that
    # holds the word only makes this slower.
    nulls = text.count(_NULL)
    if nulls and nulls != record.count(None) and nulls != _nones(record):
        return _encode_any(record).encode("ascii")
    return text


def _nones(values: list[Any] | tuple[Any, ...]) -> int:
    count = values.count(None)
    for each in values:
        if type(each) is list or type(each) is tuple:
            count += _nones(each)
    return count


def _decoded(text: bytes) -> list[Any]:
    found: list[Any]
    try:
        found = _decode_plain(text)
    except msgspec.DecodeError:
        found = json.loads(text)
    return found


def read_snapshot(path: Path, content: bytes) -> dict[str, Any]:
    """What a snapshot holds; raises StateError where it is none, or was changed."""
    head, _, text = content.partition(b"\n")
    words = head.split()
    if len(words) != 3 or words[0] != b"ringfence-state":
        raise StateError(f"`{path}` is no state of a guard", _RESTORE)
    if words[1] not in (b"%d" % _JSON, b"%d" % _MSGPACK):
        raise StateError(
            f"`{path}` has the format {words[1].decode('ascii', 'replace')}",
            "open it with the version that wrote it",
        )
    if words[2] != b"%08x" % zlib.crc32(text):
        raise StateError(f"`{path}` was changed: its checksum is another", _RESTORE)
    is_json = words[1] == b"%d" % _JSON
    found: dict[str, Any] = json.loads(text) if is_json else msgspec.msgpack.decode(text)
    return found


def read_journal(path: Path, content: bytes) -> list[list[Any]]:
    """Every whole record of a journal; raises StateError where one was changed, or is missing before another."""
    *lines, rest = content.split(b"\n")
    goes_on = not _is_whole(lines[0] if lines else rest[:-1], 0)
    crc = _first_crc(path) if goes_on else 0
    for number, line in enumerate(lines, 1):
        if not _is_whole(line, crc):
            raise StateError(
                f"`{path}` was changed: record {number} has another checksum, or one before it is missing",
                _RESTORE,
            )
        crc = int(line[:_CRC], 16) if goes_on else 0
    # What is torn lacks its end. Whole but for the last byte, it was written to its end.
    if _is_whole(rest[:-1], crc):
        raise StateError(
            f"`{path}` was changed: record {len(lines) + 1} ends in another byte", _RESTORE
        )
    return [_decoded(line[_CRC:]) for line in lines]


def _is_whole(line: bytes, before: int) -> bool:
    """Whether a line's checksum is that of its text, going on from the one before."""
    return line[:_CRC] == b"%08x " % zlib.crc32(line[_CRC:], before)
