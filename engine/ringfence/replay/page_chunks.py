"""Columns of one row group, encoded: written from where they lie where that can be, else in one compiled pass."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ringfence.replay.compact_bytes import varint
from ringfence.replay.compiled import compiled

__all__ = [
    "BLOCK", "PLAIN", "RLE", "RLE_DICTIONARY", "Chunk", "Piece", "Scratch", "Words", "coded", "constant",
    "gapless", "numbers", "plain_text", "run_of", "sparse", "text",
]  # fmt: skip

Piece: TypeAlias = bytes | memoryview  # of single bytes, so that its length is its size

#: Rows of numbers with gaps come in blocks of so many.
BLOCK = 64
#: Encodings, by Parquet's numbers.
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8

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
    chunk = Chunk(len(values), PLAIN, [_bytes(values)])
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
        return Chunk(rows, PLAIN, [], run_of(0, rows), nulls=rows)
    levels = b"" if count == rows else _packed(scratch.levels, rows)
    if not entries:
        return Chunk(rows, PLAIN, [_bytes(scratch.kept[:count])], levels, nulls=rows - count)
    dictionary = scratch.table[:entries].tobytes()
    values_ = _one(count) if entries == 1 else _indices(scratch.codes[:count], entries)
    return Chunk(rows, RLE_DICTIONARY, values_, levels, dictionary, entries, rows - count)


def constant(value: bytes, rows: int) -> Chunk:
    """Encode one value, given as its PLAIN bytes, that stands in every row."""
    return Chunk(rows, RLE_DICTIONARY, _one(rows), dictionary=value, entries=1)


def coded(codes: npt.NDArray[Any], words: Words) -> Chunk:
    """Encode places in `words`; negative codes are null.

    Long tables are cut to the words that occur, so that each row group stays small.
    """
    rows = len(codes)
    first = codes[0]
    if first == codes[-1] and (codes == first).all():
        if first < 0:
            return Chunk(rows, PLAIN, [], run_of(0, rows), nulls=rows)
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
    return Chunk(rows, RLE_DICTIONARY, values, levels, dictionary, entries, rows - len(kept))


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
        return Chunk(rows, PLAIN, [], run_of(0, rows), nulls=rows)
    levels = b"" if count == rows else _packed(scratch.levels, rows)
    values = _indices(scratch.codes[:count], len(words))
    return Chunk(rows, RLE_DICTIONARY, values, levels, words.joined, len(words), rows - count)


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
    return [b"\x01" + varint(count << 1) + b"\x00"]


def _indices(codes: npt.NDArray[Any], entries: int) -> list[Piece]:
    """Indices bit-packed at whole bytes each, which are then what lies in memory."""
    kind, width = next(each for each in _WIDTHS if entries <= 1 << each[1])
    count = len(codes)
    groups = -(-count // 8)
    head = bytes([width]) + varint(groups << 1 | 1)
    padding = bytes((groups * 8 - count) * (width // 8))
    return [head, _bytes(np.ascontiguousarray(codes, kind)), padding]


def text(body: npt.NDArray[np.uint8], rows: int) -> Chunk:
    """Encode texts that already have their lengths before them, as PLAIN wants."""
    return Chunk(rows, PLAIN, [_bytes(body)])


def plain_text(value: str) -> bytes:
    """One text as PLAIN bytes."""
    raw = value.encode("utf-8")
    return struct.pack("<I", len(raw)) + raw


def _bytes(values: npt.NDArray[Any]) -> memoryview:
    """The memory of values that lie side by side."""
    return values.data.cast("B")


# Definition levels, one bit a row: a run of one level, or bits packed from the lowest.
def run_of(level: int, rows: int) -> bytes:
    return varint(rows << 1) + bytes([level])


def _packed(bits: npt.NDArray[Any], rows: int) -> bytes:
    count = -(-rows // 8)
    return varint(count << 1 | 1) + bits.view(np.uint8)[:count].tobytes()
