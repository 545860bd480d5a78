"""What reading and writing alone take: `python -m benchmarks.yardstick ORDERS DECISIONS OUT ENCODINGS`.

pyarrow, in one thread, reads the columns of ORDERS that a dry run reads, and writes as many rows as it
read of the columns of DECISIONS, a dry run's result that lies in memory. ENCODINGS is `alike` (as
decisions.parquet has them: dictionaries for text, nothing compressed) or `usual` (what pyarrow does when
nothing is said). Prints seconds.
"""

import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.generate import COLUMNS
from benchmarks.measure import pinned

BATCH_ROWS = 1 << 16
_WORDS = ("account", "strategy", "venue", "symbol", "side", "type")


def main(orders: str, decisions: str, out: str, encodings: str) -> float:
    """Read and write once; returns seconds."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    names = pq.read_schema(decisions).names
    schema = pq.read_schema(decisions)
    words = [name for name in names if not _is_number(schema.field(name).type)]
    kept = pq.read_table(decisions, use_threads=False, read_dictionary=words).combine_chunks()
    groups = [kept.slice(at, BATCH_ROWS) for at in range(0, len(kept), BATCH_ROWS)]
    options: dict[str, Any] = {}
    if encodings == "alike":
        options = {"compression": "none", "use_dictionary": words, "write_statistics": ["ts"]}
    with pinned():
        start = time.perf_counter()
        rows = _read(orders)
        _write(groups, rows, out, options)
        seconds = time.perf_counter() - start
    Path(out).unlink()
    return seconds


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind)
    )


def _read(path: str) -> int:
    rows = 0
    with pq.ParquetFile(path, memory_map=True, read_dictionary=_WORDS) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(COLUMNS), use_threads=False):
            rows += len(batch)
    return rows


def _write(groups: list[pa.Table], rows: int, out: str, options: dict[str, Any]) -> None:
    """Write the groups over and over, until there are as many rows."""
    done = 0
    with pq.ParquetWriter(out, groups[0].schema, **options) as writer:
        while done < rows:
            for group in groups:
                take = min(len(group), rows - done)
                if take:
                    writer.write_table(group.slice(0, take), row_group_size=BATCH_ROWS)
                    done += take


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
