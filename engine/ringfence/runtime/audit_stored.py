"""Records as databases keep them: the body as the log has it, with its secrets hidden.

The body is the log's own text, so that whoever has the row can compute the record's hash anew, unless a
secret was hidden in it. Databases do not take every text that JSON can name (half a surrogate pair, a NUL):
such a body is kept twice, once readable and once as it was. So is that of a record which the log completes out of
an earlier one: a row of a database is read by itself.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ringfence.runtime.audit_codec import decode, encode
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import RawRecord

__all__ = ["Stored", "stored"]


class Stored(NamedTuple):
    """One row.

    Attributes:
        sequence, ts_ns, kind, prev, hash: The record's.
        body: JSON in ASCII, secrets hidden.
        original: The body as the log has it, before letters that databases do not take were replaced, or
            before it was completed; None where it is `body`.
        masked: A secret was hidden, so that the hash is no longer the body's.
        segment: The file of the log that holds the record.
    """

    sequence: int
    ts_ns: int
    kind: str
    body: str
    original: str | None
    masked: bool
    prev: str
    hash: str
    segment: str


def stored(records: Sequence[RawRecord], mask: Mask) -> list[Stored]:
    """The records as rows."""
    rows = []
    for record, look in zip(records, _to_be_looked_at(records, mask), strict=True):
        sequence, ts_ns, kind, content, prev, digest, segment, written = record
        text, original, masked = content.decode("ascii"), None, False
        if look:
            text, masked = _hidden(content, mask)
        as_written = text
        if written is not None:
            as_written = _hidden(written, mask)[0] if look else written.decode("ascii")
        if look and "\\u" in text:
            text = encode(_readable(decode(text.encode("ascii")))).decode("ascii")
        if as_written != text:
            original = as_written
        rows.append(Stored(sequence, ts_ns, kind, text, original, masked, prev, digest, segment))
    return rows


def _hidden(content: bytes, mask: Mask) -> tuple[str, bool]:
    """A body with its secrets hidden, and whether there were any."""
    hidden = encode(mask.hide(decode(content)))
    return hidden.decode("ascii"), hidden != content


def _to_be_looked_at(records: Sequence[RawRecord], mask: Mask) -> list[bool]:
    """Of which records the bodies may hold a secret: all are searched in one pass, outside Python's lock."""
    if not mask.trigger or not records:
        return [True] * len(records)
    bodies = [record.body for record in records]
    ends = np.cumsum([0, *map(len, bodies)], dtype=np.int64)
    column = pa.LargeStringArray.from_buffers(
        len(bodies), pa.py_buffer(ends), pa.py_buffer(b"".join(bodies))
    )
    found: list[bool] = pc.match_substring_regex(column, pattern=mask.trigger).to_pylist()
    return found


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        # What is left of surrogates here is halves.
        clean = value.replace("\0", "\ufffd")
        return clean.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_readable(key): _readable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    return value
