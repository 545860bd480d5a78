"""Parquet files whose columns already lie in memory as the format wants them.

A general writer looks at every value of every column; for the results of a dry run that costs more
than deciding the orders. Here a column without gaps is written from where it lies, one with gaps in one
compiled pass, a column of names as its codes behind a dictionary, and a column of one value as that
value and a count (`page_chunks.py`). What comes out is plain Parquet (version 1 data pages, PLAIN, RLE
and RLE_DICTIONARY, no compression, all columns optional) that every reader takes.
"""

import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from ringfence.replay.compact_bytes import (
    BINARY,
    I32,
    I64,
    LIST,
    STRUCT,
    TRUE,
    binary,
    listed,
    struct_of,
    zigzag,
)  # fmt: skip
from ringfence.replay.page_chunks import PLAIN, RLE, Chunk, Piece, run_of

__all__ = ["ColumnKind", "PageFile"]

ColumnKind = str  # "time", "int64", "double" or "text"

_PHYSICAL = {"time": 2, "int64": 2, "double": 5, "text": 6}
_MAGIC = b"PAR1"


class PageFile:
    """Writes row groups to an open file, and the footer when closed.

    Args:
        handle: Descriptor of the file; it stays open.
        columns: Their names and kinds.
        metadata: Keys and values for the footer.
    """

    def __init__(
        self, handle: int, columns: Sequence[tuple[str, ColumnKind]], metadata: Mapping[str, str]
    ) -> None:
        self._handle = handle
        self._columns = list(columns)
        self._metadata = dict(metadata)
        self._groups: list[bytes] = []
        self.rows = 0
        self._at = 0
        self._write([_MAGIC], len(_MAGIC))

    def _write(self, pieces: Sequence[Piece], size: int) -> None:
        done = os.writev(self._handle, pieces)
        if done < size:  # a full disk, a signal, or more pieces than one call takes
            rest = memoryview(b"".join(pieces))[done:]
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        self._at += size

    def group(self, chunks: Iterable[Chunk]) -> None:
        """Write one row group: a chunk for each column, in order, each before the next is asked for."""
        start, rows, described = self._at, 0, []
        for (name, kind), chunk in zip(self._columns, chunks, strict=True):
            described.append(self._column(name, kind, chunk))
            rows = chunk.rows
        self._groups.append(
            struct_of(
                (1, LIST, listed(STRUCT, described)),
                (2, I64, self._at - start),
                (3, I64, rows),
            )
        )
        self.rows += rows

    def _column(self, name: str, kind: ColumnKind, chunk: Chunk) -> bytes:
        start = page = self._at
        pieces: list[Piece] = []
        if chunk.dictionary is not None:
            head = _dictionary_head(len(chunk.dictionary), chunk.entries)
            pieces = [head, chunk.dictionary]
            page += len(head) + len(chunk.dictionary)
        levels = chunk.levels or run_of(1, chunk.rows)
        size = 4 + len(levels) + sum(map(len, chunk.values))
        head = _page_head(size, chunk.rows, chunk.encoding)
        pieces += [head, struct.pack("<I", len(levels)), levels, *chunk.values]
        self._write(pieces, page - start + len(head) + size)
        places = b"\x26" + zigzag(page)  # field 9, i64
        gap = 3
        if chunk.dictionary is not None:
            places += b"\x26" + zigzag(start)  # field 11, i64
            gap = 1
        known = b"\x36" + zigzag(chunk.nulls)  # field 3, i64
        if chunk.most:
            known += b"\x28" + binary(chunk.most) + b"\x18" + binary(chunk.least)  # 5 and 6
        length = zigzag(self._at - start)
        # ColumnChunk: where it starts, then its metadata, of which field 12 is the statistics.
        return b"\x26%b\x1c%b\x16%b\x16%b\x16%b%b%c%b\x00\x00\x00" % (
            zigzag(start),
            _column_head(name, kind, chunk.encoding),
            zigzag(chunk.rows),
            length,
            length,
            places,
            gap << 4 | STRUCT,
            known,
        )

    def close(self) -> None:
        """Write the footer; the file itself stays open."""
        root = struct_of((4, BINARY, b"schema"), (5, I32, len(self._columns)))
        pairs = [
            struct_of((1, BINARY, key.encode("utf-8")), (2, BINARY, value.encode("utf-8")))
            for key, value in self._metadata.items()
        ]
        order = struct_of((1, STRUCT, struct_of()))
        footer = struct_of(
            (1, I32, 2),
            (2, LIST, listed(STRUCT, [root, *(_element(*each) for each in self._columns)])),
            (3, I64, self.rows),
            (4, LIST, listed(STRUCT, self._groups)),
            (5, LIST, listed(STRUCT, pairs)),
            (6, BINARY, b"ringfence"),
            (7, LIST, listed(STRUCT, [order] * len(self._columns))),
        )
        end = struct.pack("<I", len(footer)) + _MAGIC
        self._write([footer, end], len(footer) + len(end))


def _element(name: str, kind: ColumnKind) -> bytes:
    fields: list[tuple[int, int, Any]] = [
        (1, I32, _PHYSICAL[kind]),
        (3, I32, 1),
        (4, BINARY, name.encode("utf-8")),
    ]
    if kind == "text":
        fields += [(6, I32, 0), (10, STRUCT, struct_of((1, STRUCT, struct_of())))]
    elif kind == "time":
        nanoseconds = struct_of((3, STRUCT, struct_of()))
        stamp = struct_of((1, TRUE, None), (2, STRUCT, nanoseconds))
        fields.append((10, STRUCT, struct_of((8, STRUCT, stamp))))
    return struct_of(*fields)


# Thrift's bytes for what is written with every chunk: `\x15` is the next field, an i32, `\x2c` the next
# but one, a struct.
def _page_head(size: int, rows: int, encoding: int) -> bytes:
    length = zigzag(size)
    return b"\x15\x00\x15%b\x15%b\x2c\x15%b\x15%b\x15\x06\x15\x06\x00\x00" % (
        length,
        length,
        zigzag(rows),
        zigzag(encoding),
    )


def _dictionary_head(size: int, entries: int) -> bytes:
    length = zigzag(size)
    return b"\x15\x04\x15%b\x15%b\x4c\x15%b\x15\x00\x00\x00" % (length, length, zigzag(entries))


@cache
def _column_head(name: str, kind: ColumnKind, encoding: int) -> bytes:
    """The first fields of a chunk's metadata, without what ends a struct."""
    encodings = sorted({PLAIN, RLE, encoding})
    return struct_of(
        (1, I32, _PHYSICAL[kind]),
        (2, LIST, listed(I32, [zigzag(each) for each in encodings])),
        (3, LIST, listed(BINARY, [binary(name.encode("utf-8"))])),
        (4, I32, 0),
    )[:-1]
