"""What a segment of the audit log looks like on disk, and how its bytes are read back.

A segment is a file `NNNNNNNNNNNNNNNNNNNN.audit`, named by its first sequence number. It begins with the
line `ringfence-audit 1`, then frames: 12 bytes (length, CRC-32 of the payload, CRC-32 of those 8 bytes; all
little-endian) and the payload. The first frame is the header, each other one a record. A record is

    {"body":{...},"kind":"...","prev":"<SHA-256>","seq":N,"ts_ns":N}

where `prev` is the SHA-256 of the payload before it. The first record of a log names the SHA-256 of the
chain's own name, which stands in every header.
"""

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ringfence.errors import AuditError, reason_of
from ringfence.runtime.ports import LogFiles

__all__ = [
    "FRAME_BYTES",
    "KIND",
    "Damage",
    "Envelope",
    "Frame",
    "Header",
    "Tail",
    "chain_start",
    "envelope",
    "first_frame",
    "framed",
    "header_bytes",
    "payload_of",
    "read_header",
    "scan",
    "segment_name",
    "segments",
]

MAGIC = b"ringfence-audit 1\n"
FRAME_BYTES = 12
KIND = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_NAME = re.compile(r"\d{20}\.audit")
_END = re.compile(
    rb',"kind":"([a-z][a-z0-9_.-]{0,63})","prev":"([0-9a-f]{64})","seq":(\d{1,19}),"ts_ns":(-?\d{1,19})\}\Z'
)
# Longer than what follows the body in any record.
_END_BYTES = 256
_START = b'{"body":'
_SECTOR = 512
_FRAME = struct.Struct("<III")
_LENGTHS = struct.Struct("<II")
_CHECK = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself.

    Attributes:
        chain: Name of the log, the same in all its segments.
        first: Sequence number of its first record.
        prev: SHA-256 of the record before that, in hex.
        created_ns: When it was begun, nanoseconds since 1970.
        size: Bytes before its first record.
    """

    chain: str
    first: int
    prev: str
    created_ns: int
    size: int


class Frame(NamedTuple):
    """A whole frame at `offset` (bytes into the segment)."""

    offset: int
    payload: bytes

    @property
    def size(self) -> int:
        """Its bytes on disk."""
        return FRAME_BYTES + len(self.payload)


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that were written whole and are no longer what was written."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Tail:
    """The begin of a record at the end of the file: being written, or torn off."""

    offset: int
    size: int


class Envelope(NamedTuple):
    """What a record says besides its body."""

    kind: str
    prev: str
    sequence: int
    ts_ns: int
    body: bytes


def segment_name(first: int) -> str:
    """The file name of the segment that begins with record `first`."""
    return f"{first:020d}.audit"


def segments(folder: Path, files: LogFiles) -> list[Path]:
    """The segments of a log, oldest first.

    Raises:
        AuditError: the folder cannot be read.
    """
    try:
        return [path for path in files.list(folder) if _NAME.fullmatch(path.name)]
    except OSError as error:
        raise AuditError(
            f"the audit log `{folder}` cannot be read: {reason_of(error)}",
            "name the directory that the guard writes its audit log to",
        ) from None


def chain_start(chain: str) -> str:
    """What the first record of a log names as the hash before it."""
    return hashlib.sha256(f"ringfence-audit {chain}".encode()).hexdigest()


def framed(payload: bytes) -> bytes:
    """Return the payload as a frame."""
    start = _LENGTHS.pack(len(payload), zlib.crc32(payload))
    return start + _CHECK.pack(zlib.crc32(start)) + payload


def payload_of(body: bytes, kind: str, prev: str, sequence: int, ts_ns: int) -> bytes:
    """Return a record's payload; `body` is canonical JSON."""
    end = f',"kind":"{kind}","prev":"{prev}","seq":{sequence},"ts_ns":{ts_ns}}}'
    return _START + body + end.encode("ascii")


def envelope(payload: bytes) -> Envelope | None:
    """Take a record's payload apart; None where it is none."""
    found = _END.search(payload, max(0, len(payload) - _END_BYTES))
    if found is None or not payload.startswith(_START):
        return None
    kind, prev, sequence, ts_ns = found.groups()
    return Envelope(
        kind.decode("ascii"),
        prev.decode("ascii"),
        int(sequence),
        int(ts_ns),
        payload[len(_START) : found.start()],
    )


def header_bytes(chain: str, first: int, prev: str, created_ns: int) -> bytes:
    """Return what a segment begins with."""
    about = {"chain": chain, "created_ns": created_ns, "first": first, "prev": prev}
    return MAGIC + framed(json.dumps(about, separators=(",", ":")).encode("ascii"))


def read_header(content: bytes) -> Header | None:
    """Read what a segment begins with; None where it is damaged, or of a version that is not known."""
    if not content.startswith(MAGIC):
        return None
    frame = next(scan(content, len(MAGIC)), None)
    if not isinstance(frame, Frame):
        return None
    try:
        about = json.loads(frame.payload)
        return Header(
            str(about["chain"]),
            int(about["first"]),
            str(about["prev"]),
            int(about["created_ns"]),
            frame.offset + frame.size,
        )
    except (ValueError, KeyError, TypeError):
        return None


def scan(content: bytes, start: int, base: int = 0) -> Iterator[Frame | Damage | Tail]:
    """Yield what `content` holds from `start` on, in order; a Tail is always the last.

    Args:
        content: Bytes of a segment.
        start: Where a frame begins in them.
        base: Where in the segment they begin, in bytes.
    """
    at, end = start, len(content)
    while at < end:
        if end - at >= FRAME_BYTES:
            # Nearly every frame is whole.
            length, crc, check = _FRAME.unpack_from(content, at)
            after = at + FRAME_BYTES + length
            if after <= end and zlib.crc32(content[at : at + _LENGTHS.size]) == check:
                payload = content[at + FRAME_BYTES : after]
                if zlib.crc32(payload) == crc:
                    yield Frame(base + at, payload)
                    at = after
                    continue
        sound = _sound(content, at)
        size = FRAME_BYTES + _LENGTHS.unpack_from(content, at)[0] if sound else 0
        if end - at < FRAME_BYTES or (sound and end - at < size):
            yield Tail(base + at, end - at)
            return
        after = at + size if sound else _next(content, at + 1)
        if _ends_in_unwritten_blocks(content, at, after, base):
            yield Tail(base + at, end - at)
            return
        yield Damage(base + at, after - at)
        at = after


def first_frame(content: bytes) -> int:
    """Where the first record begins in bytes from the middle of a segment; their end where none does."""
    return _next(content, 0)


def _sound(content: bytes, at: int) -> bool:
    if len(content) - at < FRAME_BYTES:
        return False
    check: int = _CHECK.unpack_from(content, at + _LENGTHS.size)[0]
    return zlib.crc32(content[at : at + _LENGTHS.size]) == check


def _next(content: bytes, at: int) -> int:
    """Where the next frame begins whose length can be believed; the end where there is none."""
    while (found := content.find(_START, at + FRAME_BYTES)) >= 0:
        if _sound(content, found - FRAME_BYTES):
            return found - FRAME_BYTES
        at = found + 1 - FRAME_BYTES
    return len(content)


def _ends_in_unwritten_blocks(content: bytes, at: int, after: int, base: int) -> bool:
    """Whether the frame from `at` to `after` ends in blocks of zeros, and nothing but zeros follows.

    Then the file had grown when the power went, and its content had not.
    INVARIANT: a record ends in `}`, so one that was written whole never ends in a zero.
    """
    written = len(content.rstrip(b"\0"))
    if written <= at:
        return True
    block = -(-(base + written) // _SECTOR) * _SECTOR
    return block < base + after
