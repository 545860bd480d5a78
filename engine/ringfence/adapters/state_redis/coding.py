"""Events and snapshots as the server keeps them.

An entry is `DIGEST NUMBER ORIGIN EVENT`; the digest is the SHA-1 of the one before it and of all that follows
it here, so that two logs that agree in one digest agree in everything before it. It finds differences, and is no
signature: whoever may write to the server can write a log of his own.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

from ringfence.errors import InputError
from ringfence.runtime.shared_log import Entry, Head, Start, StateLostError, StateUnavailableError

__all__ = [
    "entry_text",
    "event_text",
    "first_digest",
    "read_entries",
    "read_snapshot",
    "require_origin",
    "snapshot_text",
]

_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_ORIGIN = re.compile(r"[!-~]{1,200}")
_FORMAT = b"ringfence-snapshot/1"
_COMPRESS_FROM = 4_096
_DIGEST = 40


def require_origin(origin: str) -> str:
    """The name of a guard, if it can be one.

    Raises:
        InputError: it cannot.
    """
    if not _ORIGIN.fullmatch(origin):
        raise InputError(
            "the name of a guard cannot be used",
            "use up to 200 printable characters without blanks",
        )
    return origin


def event_text(event: list[Any]) -> str:
    """An event as one line of ASCII."""
    return _ENCODE(event)


def read_entries(known: Head, texts: list[bytes]) -> tuple[Entry, ...]:
    """The entries after a place, each checked to continue the one before it.

    Raises:
        StateLostError: one does not: somebody changed the log.
    """
    found = []
    count, digest = known.count, known.digest
    for text in texts:
        body = text[_DIGEST:]
        digest = hashlib.sha1(digest.encode() + body, usedforsecurity=False).hexdigest()
        if text[:_DIGEST] != digest.encode():
            raise StateLostError(f"event {count + 1} of the shared log was changed")
        count += 1
        _, number, origin, event = body.split(b" ", 3)
        head = Head(count, digest)
        found.append(Entry(head, origin.decode(), int(number), json.loads(event), event))
    return tuple(found)


def entry_text(digest: bytes, number: int, origin: str, event: str) -> bytes:
    """An entry as the server keeps it; `digest` is its own."""
    return b"%b %d %b %b" % (digest, number, origin.encode(), event.encode())


def first_digest(state: dict[str, Any], numbers: Mapping[str, int]) -> str:
    """The digest that a log begins with: another state, another log."""
    text = _ENCODE([state, dict(sorted(numbers.items()))]).encode()
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()


def snapshot_text(start: Start) -> bytes:
    """A snapshot with its place and a checksum, compressed where it is large."""
    place = {
        "count": start.head.count,
        "digest": start.head.digest,
        "numbers": dict(start.numbers),
        "state": start.state,
    }
    body = _ENCODE(place).encode()
    kind = b"json"
    if len(body) >= _COMPRESS_FROM:
        kind, body = b"zlib", zlib.compress(body, 1)
    return b"%s %s %08x\n%s" % (_FORMAT, kind, zlib.crc32(body), body)


def read_snapshot(text: bytes) -> Start:
    """What `snapshot_text` wrote.

    Raises:
        StateUnavailableError: it is not whole, or of another version.
    """
    head, _, body = text.partition(b"\n")
    name, _, rest = head.partition(b" ")
    kind, _, checksum = rest.partition(b" ")
    if name != _FORMAT:
        raise StateUnavailableError(
            "the snapshot of the shared books has another format", "use one version everywhere"
        )
    if checksum != b"%08x" % zlib.crc32(body):
        raise StateUnavailableError(
            "the snapshot of the shared books was changed: its checksum is another",
            "delete the keys of these books, so that a guard that still has them writes them anew",
        )
    found = json.loads(zlib.decompress(body) if kind == b"zlib" else body)
    return Start(found["state"], Head(found["count"], found["digest"]), found["numbers"])
