"""Numbers in bodies: text or JSON numbers, kept as they were written until they are read digit by digit."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

import msgspec

from ringfence.service.api.problems import Fault, Problem

__all__ = [
    "NO_NUMBER",
    "MaybeNumber",
    "Number",
    "decimals_of",
    "plain_text",
    "text_of",
    "text_or_none",
]

_PATTERN = r"^-?[0-9]{1,40}(\.[0-9]{1,40})?$"
_MOST = 10**40
_WORDS = "A decimal number, as text or as a JSON number; no digit of either is lost."
_EITHER: list[dict[str, Any]] = [
    {"type": "string", "pattern": _PATTERN},
    {"type": "number", "minimum": -_MOST, "maximum": _MOST},
]
Number = Annotated[
    msgspec.Raw, msgspec.Meta(extra_json_schema={"description": _WORDS, "oneOf": _EITHER})
]
MaybeNumber = Annotated[
    msgspec.Raw,
    msgspec.Meta(extra_json_schema={"description": _WORDS, "oneOf": [*_EITHER, {"type": "null"}]}),
]
#: The default of a `MaybeNumber`.
NO_NUMBER = partial(msgspec.Raw, b"null")

_TEXT = re.compile(_PATTERN[1:-1].encode("ascii"))
# As JSON writes numbers; floats go from 1e-324 to 1.8e308, and more is no size, price or amount.
_JSON_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?0*[0-9]{1,3})?")
_LONGEST = 400
# Most bodies name the same sizes and prices again and again.
_KNOWN_MOST = 4096
_known: dict[bytes, str] = {}


def text_of(raw: msgspec.Raw | bytes, at: str) -> str:
    """A number as text: digits, a point, a sign, nothing else.

    Args:
        raw: As it stood in the body.
        at: Its place, a JSON pointer.

    Raises:
        Problem: it is none, or has more digits than anything that is counted.
    """
    content = bytes(raw)
    found = _known.get(content)
    if found is None:
        found = _read(content)
        if found is None:
            raise _no_number(content, at)
        if len(_known) >= _KNOWN_MOST:
            _known.clear()
        _known[content] = found
    return found


def plain_text(text: str, at: str) -> str:
    """A number that is given as text alone: as `text_of`, of JSON text."""
    content = text.encode("utf-8", "replace")
    if not _TEXT.fullmatch(content):
        raise _no_number(content, at)
    return text


def text_or_none(raw: msgspec.Raw, at: str) -> str | None:
    """As `text_of`; None where nothing or null was given."""
    return None if bytes(raw) == b"null" else text_of(raw, at)


def decimals_of(numbers: Mapping[str, msgspec.Raw], at: str) -> dict[str, Decimal]:
    """Several numbers by their names; `at` is where they stand."""
    return {
        name: Decimal(text_of(raw, f"{at}/{name.replace('~', '~0').replace('/', '~1')}"))
        for name, raw in numbers.items()
    }


def _read(content: bytes) -> str | None:
    if len(content) > _LONGEST:
        return None
    if content[:1] == b'"':
        if b"\\" in content:
            content = b'"' + msgspec.json.decode(content, type=str).encode("utf-8") + b'"'
        return content[1:-1].decode("ascii") if _TEXT.fullmatch(content[1:-1]) else None
    if not _JSON_NUMBER.fullmatch(content):
        return None
    number = Decimal(content.decode("ascii"))
    # `abs` would round to the 28 digits of the default context.
    if number.copy_abs() > _MOST:
        return None
    return f"{number:f}"


def _no_number(content: bytes, at: str) -> Problem:
    fault = Fault(f"{_shown(content)} is no decimal number", pointer=at)
    return Problem(
        "invalid-body",
        f"{at}: {fault.detail}",
        fix='write it as "0.5" or 0.5, with at most 40 digits on either side of the point',
        errors=[fault],
    )


def _shown(content: bytes) -> str:
    return f"`{content[:40].decode('utf-8', 'replace')}{'...' if len(content) > 40 else ''}`"
