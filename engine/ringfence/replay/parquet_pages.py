"""Parquet files whose columns already lie in memory as the format wants them.

A general writer looks at every value of every column; for the results of a dry run that costs more
than deciding the orders. Here a column without gaps is written from where it lies, one with gaps in one
compiled pass, a column of names as its codes behind a dictionary, and a column of one value as that
value and a count. What comes out is plain Parquet (version 1 data pages, PLAIN, RLE and RLE_DICTIONARY,
no compression, all columns optional) that every reader takes.
"""

import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ringfence.replay.compiled import compiled

__all__ = [
    "BLOCK",
    "Chunk",
    "ColumnKind",
    "PageFile",
    "Scratch",
    "Words",
    "coded",
    "constant",
    "gapless",
    "numbers",
    "plain_text",
    "sparse",
    "text",
]

Piece: TypeAlias = bytes | memoryview  # of single bytes, so that its length is its size
ColumnKind = str  # "time", "int64", "double" or "text"

#: Rows of numbers with gaps come in blocks of so many.
BLOCK = 64

_PHYSICAL = {"time": 2, "int64": 2, "double": 5, "text": 6}
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_MAGIC = b"PAR1"
_I32, _I64, _BINARY, _LIST, _STRUCT, _TRUE = 5, 6, 8, 9, 12, 1
_NOTHING = np.zeros((0, BLOCK))
# Where `keep_numbers` has the length of its table, above the count.
_ENTRIES_AT = 40


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
    values: list[Piece]
    levels: bytes = b""
    dictionary: bytes | None = None
    entries: int = 0
    nulls: int = 0
    least: bytes = b""
    most: bytes = b""


class Scratch:
    """Room in which one column at a time is encoded: its chunk must be written before the next one."""

    def __init__(self, rows: int) -> None:
        self.compiled = compiled("pages")
        blocks = -(-rows // BLOCK)
        self.kept = np.empty((blocks + 1) * BLOCK)
        self.bits = self.kept.view(np.int64)
        self.levels = np.empty(blocks, np.uint64)
        self.codes = np.empty((blocks + 1) * BLOCK, np.uint8)
        self.table = np.empty(256, np.int64)
        self.slots = np.empty(512, np.int16)


class Words:
    """The words that codes stand for; there may come more, but none changes."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._plain: list[bytes] = []
        self._joined = b""
        self.add(words)

    def __len__(self) -> int:
        return len(self._plain)

    def __getitem__(self, code: int) -> bytes:
        return self._plain[code]

    def add(self, words: Iterable[str]) -> None:
        self._plain += [plain_text(word) for word in words]
        self._joined = b"".join(self._plain)

    @property
    def joined(self) -> bytes:
        """All of them, as a dictionary page has them."""
        return self._joined


def gapless(values: npt.NDArray[Any], *, ordered: bool = False) -> Chunk:
    """Encode int64 or float64 values of which none is missing.

    Args:
        values: C-contiguous; written from where they lie.
        ordered: The values rise; the first and last become statistics.
    """
    chunk = Chunk(len(values), _PLAIN, [_bytes(values)])
    if ordered:
        chunk.least, chunk.most = values[0].tobytes(), values[-1].tobytes()
    return chunk


def numbers(
    values: npt.NDArray[np.float64],
    rows: int,
    scratch: Scratch,
    minus: npt.NDArray[np.float64] | None = None,
) -> Chunk:
    """Encode float64 values; NaN is null.

    Args:
        values: C-contiguous, in whole blocks; what lies after `rows` is NaN.
        rows: How many rows there are.
        scratch: Where the values are put.
        minus: What is to be subtracted from the values, of the same shape.
    """
    blocks = values.reshape(-1, BLOCK)
    taken = _NOTHING if minus is None else minus.reshape(-1, BLOCK)
    found = scratch.compiled.keep_numbers(
        blocks, taken, scratch.kept, scratch.bits, scratch.levels, scratch.codes, scratch.table,
        scratch.slots,
    )  # fmt: skip
    count, entries = found & (1 << _ENTRIES_AT) - 1, found >> _ENTRIES_AT
    if not count:
        return Chunk(rows, _PLAIN, [], _run(0, rows), nulls=rows)
    levels = b"" if count == rows else _packed(scratch.levels, rows)
    if not entries:
        return Chunk(rows, _PLAIN, [_bytes(scratch.kept[:count])], levels, nulls=rows - count)
    dictionary = scratch.table[:entries].tobytes()
    values_ = _one(count) if entries == 1 else _indices(scratch.codes[:count], entries)
    return Chunk(rows, _RLE_DICTIONARY, values_, levels, dictionary, entries, rows - count)


def constant(value: bytes, rows: int) -> Chunk:
    """Encode one value, given as its PLAIN bytes, that stands in every row."""
    return Chunk(rows, _RLE_DICTIONARY, _one(rows), dictionary=value, entries=1)


def coded(codes: npt.NDArray[Any], words: Words) -> Chunk:
    """Encode places in `words`; negative codes are null.

    Long tables are cut to the words that occur, so that each row group stays small.
    """
    rows = len(codes)
    first = codes[0]
    if first == codes[-1] and (codes == first).all():
        if first < 0:
            return Chunk(rows, _PLAIN, [], _run(0, rows), nulls=rows)
        return constant(words[int(first)], rows)
    levels, kept = b"", codes
    if codes.dtype.kind == "i" and codes.min() < 0:
        present = codes >= 0
        kept, levels = codes[present], _packed(np.packbits(present, bitorder="little"), rows)
    dictionary, entries = words.joined, len(words)
    if entries > _LONG:
        kept, used = _places_of_used(kept, entries)
        dictionary, entries = b"".join(words[code] for code in used), len(used)
    values = _indices(kept, entries)
    return Chunk(rows, _RLE_DICTIONARY, values, levels, dictionary, entries, rows - len(kept))


def sparse(codes: npt.NDArray[np.int16], rows: int, words: Words, scratch: Scratch) -> Chunk:
    """Encode places in `words`, of which many are negative: null.

    Args:
        codes: C-contiguous, in whole blocks; what lies after `rows` is negative.
        rows: How many rows there are.
        words: What they stand for.
        scratch: Where they are put.
    """
    if len(words) > 256:
        return coded(codes[:rows], words)
    count = scratch.compiled.keep_codes(codes.reshape(-1, BLOCK), scratch.codes, scratch.levels)
    if not count:
        return Chunk(rows, _PLAIN, [], _run(0, rows), nulls=rows)
    levels = b"" if count == rows else _packed(scratch.levels, rows)
    values = _indices(scratch.codes[:count], len(words))
    return Chunk(rows, _RLE_DICTIONARY, values, levels, words.joined, len(words), rows - count)


# From so many words on a table is cut.
_LONG = 4096
# Types of indices, and their bits.
_WIDTHS = (("u1", 8), ("<u2", 16), ("<u4", 32))


def _places_of_used(codes: npt.NDArray[Any], entries: int) -> tuple[npt.NDArray[Any], list[int]]:
    """The codes as places among those that occur, and these."""
    seen = np.zeros(entries, np.bool_)
    seen[codes] = True
    used = np.flatnonzero(seen)
    places = np.zeros(entries, np.int64)
    places[used] = np.arange(len(used))
    return places[codes], used.tolist()


def _one(count: int) -> list[Piece]:
    """So many times the first value of a dictionary: a run, of indices one bit wide."""
    return [b"\x01" + _varint(count << 1) + b"\x00"]


def _indices(codes: npt.NDArray[Any], entries: int) -> list[Piece]:
    """Indices bit-packed at whole bytes each, which are then what lies in memory."""
    kind, width = next(each for each in _WIDTHS if entries <= 1 << each[1])
    count = len(codes)
    groups = -(-count // 8)
    head = bytes([width]) + _varint(groups << 1 | 1)
    padding = bytes((groups * 8 - count) * (width // 8))
    return [head, _bytes(np.ascontiguousarray(codes, kind)), padding]


def text(body: npt.NDArray[np.uint8], rows: int) -> Chunk:
    """Encode texts that already have their lengths before them, as PLAIN wants."""
    return Chunk(rows, _PLAIN, [_bytes(body)])


def plain_text(value: str) -> bytes:
    """One text as PLAIN bytes."""
    raw = value.encode("utf-8")
    return struct.pack("<I", len(raw)) + raw


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
            _struct(
                (1, _LIST, _list(_STRUCT, described)),
                (2, _I64, self._at - start),
                (3, _I64, rows),
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
        levels = chunk.levels or _run(1, chunk.rows)
        size = 4 + len(levels) + sum(map(len, chunk.values))
        head = _page_head(size, chunk.rows, chunk.encoding)
        pieces += [head, struct.pack("<I", len(levels)), levels, *chunk.values]
        self._write(pieces, page - start + len(head) + size)
        places = b"\x26" + _zigzag(page)  # field 9, i64
        gap = 3
        if chunk.dictionary is not None:
            places += b"\x26" + _zigzag(start)  # field 11, i64
            gap = 1
        known = b"\x36" + _zigzag(chunk.nulls)  # field 3, i64
        if chunk.most:
            known += b"\x28" + _binary(chunk.most) + b"\x18" + _binary(chunk.least)  # 5 and 6
        length = _zigzag(self._at - start)
        # ColumnChunk: where it starts, then its metadata, of which field 12 is the statistics.
        return b"\x26%b\x1c%b\x16%b\x16%b\x16%b%b%c%b\x00\x00\x00" % (
            _zigzag(start),
            _column_head(name, kind, chunk.encoding),
            _zigzag(chunk.rows),
            length,
            length,
            places,
            gap << 4 | _STRUCT,
            known,
        )

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
        end = struct.pack("<I", len(footer)) + _MAGIC
        self._write([footer, end], len(footer) + len(end))


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


def _bytes(values: npt.NDArray[Any]) -> memoryview:
    """The memory of values that lie side by side."""
    return values.data.cast("B")


# Thrift's bytes for what is written with every chunk: `\x15` is the next field, an i32, `\x2c` the next
# but one, a struct.
def _page_head(size: int, rows: int, encoding: int) -> bytes:
    length = _zigzag(size)
    return b"\x15\x00\x15%b\x15%b\x2c\x15%b\x15%b\x15\x06\x15\x06\x00\x00" % (
        length,
        length,
        _zigzag(rows),
        _zigzag(encoding),
    )


def _dictionary_head(size: int, entries: int) -> bytes:
    length = _zigzag(size)
    return b"\x15\x04\x15%b\x15%b\x4c\x15%b\x15\x00\x00\x00" % (length, length, _zigzag(entries))


@cache
def _column_head(name: str, kind: ColumnKind, encoding: int) -> bytes:
    """The first fields of a chunk's metadata, without what ends a struct."""
    encodings = sorted({_PLAIN, _RLE, encoding})
    return _struct(
        (1, _I32, _PHYSICAL[kind]),
        (2, _LIST, _list(_I32, [_zigzag(each) for each in encodings])),
        (3, _LIST, _list(_BINARY, [_binary(name.encode("utf-8"))])),
        (4, _I32, 0),
    )[:-1]


# Definition levels, one bit a row: a run of one level, or bits packed from the lowest.
def _run(level: int, rows: int) -> bytes:
    return _varint(rows << 1) + bytes([level])


def _packed(bits: npt.NDArray[Any], rows: int) -> bytes:
    count = -(-rows // 8)
    return _varint(count << 1 | 1) + bits.view(np.uint8)[:count].tobytes()


# Thrift's compact protocol, as far as Parquet's headers need it.
_SMALL = [bytes([value]) for value in range(128)]


def _varint(value: int) -> bytes:
    if value < 1 << 7:
        return _SMALL[value]
    if value < 1 << 14:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value < 1 << 21:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@lru_cache(1024)  # rows and gaps of one column are those of many
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
