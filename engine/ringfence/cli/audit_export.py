"""Exports of the audit log: JSON, one record a line, and Parquet; each file appears whole."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ringfence.replay.audit_words import record_text
from ringfence.runtime.audit_columns import SCHEMA, batches
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import Record
from ringfence.runtime.output_files import is_stream

__all__ = ["write_jsonl", "write_parquet"]


def write_jsonl(path: Path, records: Iterable[Record], mask: Mask) -> int:
    """Write one JSON object a line; returns how many. Raises OSError."""
    count = 0
    with _whole(path) as beside, beside.open("a", encoding="utf-8") as file:
        for record in records:
            file.write(record_text(record, mask) + "\n")
            count += 1
    return count


def write_parquet(path: Path, records: Iterable[Record], mask: Mask) -> int:
    """Write Parquet with the columns of `SCHEMA`; returns how many rows. Raises OSError."""
    import pyarrow.parquet as pq

    count = 0
    with _whole(path) as beside, pq.ParquetWriter(beside, SCHEMA, compression="zstd") as writer:
        for batch in batches(records, mask):
            writer.write_batch(batch)
            count += batch.num_rows
    return count


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; it takes the place of `path` at the end, or goes. A pipe or device itself."""
    if is_stream(path):
        yield path
        return
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
