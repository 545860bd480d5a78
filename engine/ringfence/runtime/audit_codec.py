"""How a record's body becomes bytes and comes back the same: canonical JSON, in ASCII, keys sorted.

Floats come back bit for bit. JSON has no word for NaN and infinity, so one of those is written as an
object `{"$float": "7ff8000000000000"}` that holds its 64 bits in hex; a key of the body that begins with
`$` gets one more. Decimals and whole numbers are written in full, a Decimal as text.
"""

import json
import math
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ringfence.errors import AuditError

__all__ = ["decode", "encode", "plain", "plain_text"]

_TAG = "$float"


def encode(body: Mapping[str, Any]) -> bytes:
    """Return the body as canonical JSON.

    Args:
        body: Of text, whole numbers, floats, booleans, None, lists, tuples, mappings with text as keys,
            and Decimals; subclasses are written as what they derive from.

    Raises:
        AuditError: it holds something else, or itself.
    """
    try:
        try:
            text = _ENCODE(body)
        except ValueError:  # most likely NaN or infinity
            text = _ENCODE(_marked(body))
        else:
            if '"$' in text:
                text = _ENCODE(_marked(body))
    except (TypeError, ValueError, RecursionError) as error:
        raise AuditError(
            f"this body cannot be written to the audit log: {error}",
            "give text, numbers, booleans, None, lists and mappings with text as keys",
        ) from None
    if not isinstance(body, Mapping):
        raise AuditError("a body must be a mapping", "give names with values")
    return text.encode("ascii")


def decode(content: bytes) -> Any:
    """Return what `encode` was given; a Decimal stays text, a tuple is a list.

    Raises:
        ValueError: it is no JSON.
    """
    value = json.loads(content)
    return _unmarked(value) if b'"$' in content else value


def plain(value: Any) -> Any:
    """Return the value so that any JSON reader takes it: `NaN`, `Infinity`, `-Infinity` are text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def plain_text(value: Any) -> str:
    """Return the value as one line of JSON that any reader takes, as `plain` has it."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def _other(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"`{type(value).__name__}` is no kind of value that it holds")


_ENCODE = json.JSONEncoder(
    sort_keys=True,
    separators=(",", ":"),
    allow_nan=False,
    check_circular=False,  # slow, and a body that holds itself ends in a RecursionError
    default=_other,
).encode


# These need no look, and most values are one of them: asking for a Mapping is slow.
_PLAIN = frozenset((str, int, bool, type(None), Decimal))


def _marked(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_TAG: struct.pack(">d", value).hex()}
    if isinstance(value, list | tuple):
        return [_marked(each) for each in value]
    if isinstance(value, Mapping):
        return {
            f"${key}" if isinstance(key, str) and key.startswith("$") else key: _marked(each)
            for key, each in value.items()
        }
    return value


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_TAG}:
            number: float = struct.unpack(">d", bytes.fromhex(value[_TAG]))[0]
            return number
        return {key.removeprefix("$"): _unmarked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_unmarked(each) for each in value]
    return value
