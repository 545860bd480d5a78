"""How a scalar is written: plain where every reader of YAML takes it for the text it is, else in quotes."""

import re
import textwrap

from ringfence.language.scalars import resolve_plain
from ringfence.review.layout_tree import Scalar

__all__ = ["block_lines", "inline_text"]

# Text that needs no quotes. What starts with anything but a letter keeps those it has: "00:00", "1.10" and
# "2026-01-05" are text here, and something else to other readers.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 _/.()+<>=~^$%@*;!'?,-]*(?<! )")
_PLAIN_IN_FLOW = re.compile(r"[A-Za-z][A-Za-z0-9 _/.()+<>=~^$%@;!-]*(?<! )")
_HEADER = re.compile(r"(?:&\S+\s+)?>([-+1-9]*)")
_WIDTH = 100

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def inline_text(scalar: Scalar, in_flow: bool) -> str:
    """Return a scalar as it stands within a line.

    Args:
        scalar: Of any style.
        in_flow: Whether it stands in brackets, where less can do without quotes.
    """
    value = scalar.value
    if scalar.style == "" and "\n" not in value:
        return value or ("null" if in_flow else "")
    pattern = _PLAIN_IN_FLOW if in_flow else _PLAIN
    if pattern.fullmatch(value) and resolve_plain(value) == value:
        return value
    if ('"' in value or "\\" in value) and "\n" not in value and "\t" not in value:
        return "'" + value.replace("'", "''") + "'"
    # The loader lets no other character through that would need an escape.
    return '"' + "".join(_ESCAPES.get(each, each) for each in value) + '"'


def block_lines(scalar: Scalar, indent: int, room: int) -> tuple[str, list[str]] | None:
    """Return the sign and the lines of a scalar that is written as a block, or None for one that is not.

    A literal block is laid out from its value, a folded one keeps its lines. Text in quotes, or plain, that
    went over several lines and does not fit in one is folded.

    Args:
        scalar: Of any style.
        indent: Columns before each line.
        room: Columns that are left in the line where it begins.
    """
    value = scalar.value
    if scalar.style == "|":
        return _literal(value, indent)
    if scalar.style == ">":
        return _folded(scalar, indent)
    several = len(scalar.lines) > 1 and value == " ".join(value.split())
    if not several or len(inline_text(scalar, False)) <= room or "\n" in value:
        return None
    lines = textwrap.wrap(
        value, max(40, _WIDTH - indent), break_long_words=False, break_on_hyphens=False
    )
    return ">-", [" " * indent + each for each in lines]


def _literal(value: str, indent: int) -> tuple[str, list[str]] | None:
    body = value[:-1] if value.endswith("\n") else value
    if not body.strip("\n ") or body.endswith("\n"):
        return None
    # Without a figure, readers take the first line's indentation for that of all.
    figure = "2" if body.lstrip("\n").startswith(" ") else ""
    chomp = "" if value.endswith("\n") else "-"
    pad = " " * indent
    return f"|{figure}{chomp}", [f"{pad}{each}" if each else "" for each in body.split("\n")]


def _folded(scalar: Scalar, indent: int) -> tuple[str, list[str]] | None:
    lines = [each if each.strip(" ") else "" for each in scalar.lines[1:]]
    while lines and not lines[-1]:
        lines.pop()
    first = next((each for each in lines if each), "")
    header = _HEADER.match(scalar.lines[0]) if scalar.lines else None
    if not first or header is None or header[1].strip("+-") or scalar.value.endswith("\n\n"):
        return None
    depth = len(first) - len(first.lstrip(" "))
    chomp = "" if scalar.value.endswith("\n") else "-"
    return f">{chomp}", [" " * indent + each[depth:] if each else "" for each in lines]
