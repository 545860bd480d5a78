"""Logs that someone with the right to write them has changed: the chain is whole, for it was computed anew."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from ringfence.runtime.audit_codec import decode, encode
from ringfence.runtime.audit_segments import (
    envelope,
    framed,
    header_bytes,
    payload_of,
    read_header,
)
from runtime.audit_logs import files_of, frames

Edit = Callable[[int, str, dict[str, Any]], Any]


def forge(directory: Path, edit: Edit) -> None:
    """Put what `edit` makes of each record's body in its place, and mend every hash.

    Args:
        directory: The log's.
        edit: Is given number, kind and body; returns the new body, or bytes to stand there as they are.
    """
    prev = ""
    for path in files_of(directory):
        content = path.read_bytes()
        header = read_header(content)
        assert header is not None
        prev = prev or header.prev
        pieces = [header_bytes(header.chain, header.first, prev, header.created_ns)]
        for frame in frames(path):
            about = envelope(frame.payload)
            assert about is not None
            body = edit(about.sequence, about.kind, decode(about.body))
            raw = body if isinstance(body, bytes) else encode(body)
            payload = payload_of(raw, about.kind, prev, about.sequence, about.ts_ns)
            prev = sha256(payload).hexdigest()
            pieces.append(framed(payload))
        path.write_bytes(b"".join(pieces))
