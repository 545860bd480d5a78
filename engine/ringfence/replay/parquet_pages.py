"""Parquet files whose columns already lie in memory as the format wants them.

A general writer looks at every value of every column; for the results of a dry run that costs more
than deciding the orders. Here a column without gaps is written as it lies in memory, a column of names
as its codes behind a dictionary, and a column of one value as that value and a count. What comes out
is plain Parquet (version 1 data pages, PLAIN, RLE and RLE_DICTIONARY, no compression, all columns
optional) that every reader takes.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

__all__ = ["Chunk", "ColumnKind", "PageFile", "coded", "constant", "numbers", "plain_text", "text"]

ColumnKind = str  # "time", "int64", "double" or "text"

_PHYSICAL = {"time": 2, "int64": 2, "double": 5, "text": 6}
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_MAGIC = b"PAR1"
_I32, _I64, _BINARY, _LIST, _STRUCT, _TRUE = 5, 6, 8, 9, 12, 1


@dataclass(slots=True)
class Chunk:
    """One column of one row group, encoded.

    Attributes:
        rows: Its rows, nulls included.
        encoding: Of the values.
        values: What follows the definition levels of the data page, in pieces.
        levels: Definition levels; empty where nothing is null.
        dictionary: The values of the dictionary page, PLAIN; None without one.
        entries: How many values the dictionary holds.
        nulls: How many rows are null.
        least, most: Statistics, as PLAIN bytes.
    """

    rows: int
    encoding: int
    values: list[Any]
    levels: bytes = b""
    dictionary: bytes | None = None
    entries: int = 0
    nulls: int = 0
    least: bytes = b""
    most: bytes = b""


def numbers(values: npt.NDArray[Any], *, nan_is_null: bool = False, ordered: bool = False) -> Chunk:
    """Encode int64 or float64 values.

    Args:
        values: C-contiguous; not copied where nothing is null.
        nan_is_null: Write NaN as null.
        ordered: The values rise; the first and last become statistics.
    """
    rows = len(values)
    first = values[0]
    if nan_is_null:
        if first != first or first == values[-1]:
            missing = np.isnan(values)
            if missing.all():
                return Chunk(rows, _PLAIN, [], _run(0, rows), nulls=rows)
            if first == values[-1] and (values == first).all():
                return constant(first.tobytes(), rows)
        else:
            missing = np.isnan(values)
        if missing.any():
            present = ~missing
            kept = values[present]
            return Chunk(rows, _PLAIN, [kept], _bits(present), nulls=rows - len(kept))
    if ordered:
        return Chunk(rows, _PLAIN, [values], least=first.tobytes(), most=values[-1].tobytes())
    return Chunk(rows, _PLAIN, [values])


def constant(value: bytes, rows: int) -> Chunk:
    """Encode one value, given as its PLAIN bytes, that stands in every row."""
    body = b"\x01" + _varint(rows << 1) + b"\x00"
    return Chunk(rows, _RLE_DICTIONARY, [body], dictionary=value, entries=1)


def coded(codes: npt.NDArray[Any], names: Sequence[bytes]) -> Chunk:
    """Encode places in `names` (PLAIN bytes each); negative codes are null.

    Long tables are cut to the names that occur, so that each row group stays small.
    """
    rows = len(codes)
    first = int(codes[0])
    if first == int(codes[-1]) and (codes == first).all():
        if first < 0:
            return Chunk(rows, _PLAIN, [], _run(0, rows), nulls=rows)
        return constant(names[first], rows)
    levels, kept = b"", codes
    if codes.dtype.kind == "i":
        present = codes >= 0
        if not present.all():
            kept, levels = codes[present], _bits(present)
    if len(names) > 4096:
        seen = np.zeros(len(names), np.bool_)
        seen[kept] = True
        used = np.flatnonzero(seen)
        places = np.zeros(len(names), np.int64)
        places[used] = np.arange(len(used))
        kept = places[kept]
        names = [names[int(place)] for place in used]
    kind, width = _index_type(len(names))
    count = len(kept)
    groups = -(-count // 8)
    padding = bytes((groups * 8 - count) * (width // 8))
    head = bytes([width]) + _varint(groups << 1 | 1)
    return Chunk(
        rows,
        _RLE_DICTIONARY,
        [head, np.ascontiguousarray(kept.astype(kind, copy=False)), padding],
        levels,
        b"".join(names),
        len(names),
        rows - count,
    )


def _index_type(count: int) -> tuple[str, int]:
    """Whole bytes for each index: bit-packed at such a width, they are what lies in memory."""
    for kind, width in (("u1", 8), ("<u2", 16)):
        if count <= 1 << width:
            return kind, width
    return "<u4", 32


def text(body: npt.NDArray[np.uint8], rows: int) -> Chunk:
    """Encode texts that already have their lengths before them, as PLAIN wants."""
    return Chunk(rows, _PLAIN, [body])


def plain_text(value: str) -> bytes:
    """One text as PLAIN bytes."""
    raw = value.encode("utf-8")
    return struct.pack("<I", len(raw)) + raw


class PageFile:
    """Writes row groups to an open binary file, and the footer when closed."""

    def __init__(
        self, file: BinaryIO, columns: Sequence[tuple[str, ColumnKind]], metadata: Mapping[str, str]
    ) -> None:
        self._file = file
        self._columns = list(columns)
        self._metadata = dict(metadata)
        self._groups: list[bytes] = []
        self.rows = 0
        self._at = 0
        self._write(_MAGIC)

    def _write(self, piece: Any) -> int:
        size = piece.nbytes if isinstance(piece, np.ndarray) else len(piece)
        if size:
            self._file.write(piece)
            self._at += size
        return int(size)

    def group(self, chunks: Sequence[Chunk]) -> None:
        """Write one row group: a chunk for each column, in order."""
        rows, start = chunks[0].rows, self._at
        described = [
            self._column(name, kind, chunk)
            for (name, kind), chunk in zip(self._columns, chunks, strict=True)
        ]
        self._groups.append(
            _struct(
                (1, _LIST, _list(_STRUCT, described)),
                (2, _I64, self._at - start),
                (3, _I64, rows),
            )
        )
        self.rows += rows

    def _column(self, name: str, kind: ColumnKind, chunk: Chunk) -> bytes:
        start = self._at
        if chunk.dictionary is not None:
            size = len(chunk.dictionary)
            head = _struct((1, _I32, chunk.entries), (2, _I32, _PLAIN))
            self._write(_struct((1, _I32, 2), (2, _I32, size), (3, _I32, size), (7, _STRUCT, head)))
            self._write(chunk.dictionary)
        page = self._at
        levels = chunk.levels or _run(1, chunk.rows)
        pieces = [struct.pack("<I", len(levels)) + levels, *chunk.values]
        size = sum(p.nbytes if isinstance(p, np.ndarray) else len(p) for p in pieces)
        head = _struct(
            (1, _I32, chunk.rows), (2, _I32, chunk.encoding), (3, _I32, _RLE), (4, _I32, _RLE)
        )
        self._write(_struct((1, _I32, 0), (2, _I32, size), (3, _I32, size), (5, _STRUCT, head)))
        for piece in pieces:
            self._write(piece)
        length = self._at - start
        encodings = sorted({_PLAIN, _RLE, chunk.encoding})
        fields: list[tuple[int, int, Any]] = [
            (1, _I32, _PHYSICAL[kind]),
            (2, _LIST, _list(_I32, [_zigzag(each) for each in encodings])),
            (3, _LIST, _list(_BINARY, [_binary(name.encode("utf-8"))])),
            (4, _I32, 0),
            (5, _I64, chunk.rows),
            (6, _I64, length),
            (7, _I64, length),
            (9, _I64, page),
        ]
        if chunk.dictionary is not None:
            fields.append((11, _I64, start))
        known: list[tuple[int, int, Any]] = [(3, _I64, chunk.nulls)]
        if chunk.most:
            known += [(5, _BINARY, chunk.most), (6, _BINARY, chunk.least)]
        fields.append((12, _STRUCT, _struct(*known)))
        return _struct((2, _I64, start), (3, _STRUCT, _struct(*fields)))

    def close(self) -> None:
        """Write the footer; the file itself stays open."""
        root = _struct((4, _BINARY, b"schema"), (5, _I32, len(self._columns)))
        pairs = [
            _struct((1, _BINARY, key.encode("utf-8")), (2, _BINARY, value.encode("utf-8")))
            for key, value in self._metadata.items()
        ]
        order = _struct((1, _STRUCT, _struct()))
        footer = _struct(
            (1, _I32, 2),
            (2, _LIST, _list(_STRUCT, [root, *(_element(*each) for each in self._columns)])),
            (3, _I64, self.rows),
            (4, _LIST, _list(_STRUCT, self._groups)),
            (5, _LIST, _list(_STRUCT, pairs)),
            (6, _BINARY, b"ringfence"),
            (7, _LIST, _list(_STRUCT, [order] * len(self._columns))),
        )
        self._write(footer + struct.pack("<I", len(footer)) + _MAGIC)


def _element(name: str, kind: ColumnKind) -> bytes:
    fields: list[tuple[int, int, Any]] = [
        (1, _I32, _PHYSICAL[kind]),
        (3, _I32, 1),
        (4, _BINARY, name.encode("utf-8")),
    ]
    if kind == "text":
        fields += [(6, _I32, 0), (10, _STRUCT, _struct((1, _STRUCT, _struct())))]
    elif kind == "time":
        nanoseconds = _struct((3, _STRUCT, _struct()))
        stamp = _struct((1, _TRUE, None), (2, _STRUCT, nanoseconds))
        fields.append((10, _STRUCT, _struct((8, _STRUCT, stamp))))
    return _struct(*fields)


# Definition levels, one bit a row: a run of one level, or bits packed from the lowest.
def _run(level: int, rows: int) -> bytes:
    return _varint(rows << 1) + bytes([level])


def _bits(present: npt.NDArray[np.bool_]) -> bytes:
    packed = np.packbits(present, bitorder="little").tobytes()
    return _varint(len(packed) << 1 | 1) + packed


# Thrift's compact protocol, as far as Parquet's headers need it.
_SMALL = [bytes([value]) for value in range(128)]


def _varint(value: int) -> bytes:
    if value < 128:
        return _SMALL[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _zigzag(value: int) -> bytes:
    return _varint(value << 1 if value >= 0 else (-value << 1) - 1)


def _binary(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _list(kind: int, items: Sequence[bytes]) -> bytes:
    count = len(items)
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + _varint(count)
    return head + b"".join(items)


def _struct(*fields: tuple[int, int, Any]) -> bytes:
    out, last = bytearray(), 0
    for number, kind, value in fields:
        out.append((number - last) << 4 | kind)
        last = number
        if kind in (_I32, _I64):
            out += _zigzag(value)
        elif kind == _BINARY:
            out += _binary(value)
        elif kind != _TRUE:
            out += value
    out.append(0)
    return bytes(out)
