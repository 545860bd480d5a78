"""Bytes of Thrift's compact protocol, as far as Parquet's headers need it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

__all__ = [
    "BINARY",
    "I32",
    "I64",
    "LIST",
    "STRUCT",
    "TRUE",
    "binary",
    "listed",
    "struct_of",
    "varint",
    "zigzag",
]

I32, I64, BINARY, LIST, STRUCT, TRUE = 5, 6, 8, 9, 12, 1

_SMALL = [bytes([value]) for value in range(128)]


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; not below zero."""
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
def zigzag(value: int) -> bytes:
    """A whole number, of 32 or 64 bits."""
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def binary(value: bytes) -> bytes:
    """Bytes, with how many they are before them."""
    return varint(len(value)) + value


def listed(kind: int, items: Sequence[bytes]) -> bytes:
    """A list of items of one kind, each as its bytes."""
    count = len(items)
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + varint(count)
    return head + b"".join(items)


def struct_of(*fields: tuple[int, int, Any]) -> bytes:
    """A struct of fields (number, kind, value) in rising order; structs and lists as their bytes."""
    out, last = bytearray(), 0
    for number, kind, value in fields:
        out.append((number - last) << 4 | kind)
        last = number
        if kind in (I32, I64):
            out += zigzag(value)
        elif kind == BINARY:
            out += binary(value)
        elif kind != TRUE:
            out += value
    out.append(0)
    return bytes(out)
