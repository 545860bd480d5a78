"""Values of settings beside plain text and numbers: times, sizes, lists of names, addresses."""

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from ringfence.language.parameters import parse_duration

__all__ = [
    "Address",
    "Bytes",
    "Duration",
    "Money",
    "Names",
    "Paths",
    "bytes_text",
    "duration_text",
    "seconds",
]

_NS = {"d": 86_400_000_000_000, "h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000}
_NS |= {"ms": 1_000_000, "us": 1_000, "ns": 1}
_BYTES = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
_SIZE = re.compile(r"(\d+)\s*([KMGT]iB|B)")
_AMOUNT = re.compile(r"[0-9][0-9_]*(\.[0-9]+)?")


def seconds(number: float) -> int:
    """So many seconds in ns."""
    return round(number * 1e9)


def duration_text(ns: int) -> str:
    """A time as it is written in a file: in the largest unit in which it is whole."""
    unit = next((name for name, size in _NS.items() if ns % size == 0), "ns")
    return f"{ns // _NS[unit]}{unit}" if ns else "0s"


def bytes_text(size: int) -> str:
    """A size as it is written in a file."""
    unit = next(name for name, each in _BYTES.items() if size % each == 0)
    return f"{size // _BYTES[unit]} {unit}" if size else "0 B"


def _duration(value: Any) -> int:
    try:
        return round(parse_duration(value) * 1e9)
    except OverflowError:
        raise ValueError("is no time that can be waited for: write for example `10s`") from None


def _bytes(value: Any) -> int:
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is no size: write for example `64 MiB`")
    return int(found[1]) * _BYTES[found[2]]


def _names(value: Any) -> Any:
    """Names as a list, or in one text with commas between, as variables and flags hold them."""
    if isinstance(value, Path):
        return (value,)
    if isinstance(value, str):
        return tuple(each.strip() for each in value.split(",") if each.strip())
    return value


def _money(value: Any) -> str:
    text = str(value) if isinstance(value, str | int | float) else ""
    if isinstance(value, bool) or not _AMOUNT.fullmatch(text):
        raise ValueError("is no amount of money, zero or more: write for example `6_000_000`")
    return text.replace("_", "")


def _address(value: str) -> str:
    if "@" in urlsplit(value).netloc:
        # Settings are printed.
        raise ValueError("holds a user or a password, which belong into a secret")
    return value


Duration = Annotated[
    int,
    BeforeValidator(_duration),
    PlainSerializer(duration_text, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9_.]+ ?(ns|us|ms|s|m|min|h|d)$"}),
]
"""A time in ns, written with its unit, as `5s`."""

Bytes = Annotated[
    int,
    BeforeValidator(_bytes),
    PlainSerializer(bytes_text, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+ ?([KMGT]iB|B)$"}),
]
"""A size in bytes, written with its unit, as `64 MiB`."""

Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""Names: a list, or one text with commas between."""

Paths = Annotated[tuple[Path, ...], BeforeValidator(_names)]
"""Paths: a list, or one text with commas between."""

Money = Annotated[
    str,
    BeforeValidator(_money),
    WithJsonSchema({"type": ["string", "number"], "pattern": r"^[0-9][0-9_]*(\.[0-9]+)?$"}),
]
"""An amount in the policies' currency, digit by digit."""

Address = Annotated[str, AfterValidator(_address)]
"""A URL without a user or a password in it."""
