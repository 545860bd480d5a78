"""What an unquoted YAML scalar means here: text, a number, true, false, null, or an error.

YAML 1.1 and 1.2 disagree about words such as `no` and numbers such as `010`. A limit must mean the
same to every reader, so where they disagree the scalar is refused; dates and times stay text.
"""

import math
import re
from dataclasses import dataclass

__all__ = ["MAYBE_SPECIAL", "NOT_PRINTABLE", "Fault", "clip", "resolve_plain"]

NOT_PRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Characters that hide or move text in a terminal or a review, or that no UTF-8 file can hold."""

MAYBE_SPECIAL = frozenset("0123456789+-.~nNyYoOtTfF")
"""First characters of the plain scalars that `resolve_plain` may read as other than text."""

_WORDS: dict[str, bool | float | None] = {"~": None}
_WORDS.update(dict.fromkeys(("null", "Null", "NULL")))
_WORDS.update(dict.fromkeys(("true", "True", "TRUE"), True))
_WORDS.update(dict.fromkeys(("false", "False", "FALSE"), False))
_WORDS.update({sign + form: math.inf for sign in ("", "+") for form in (".inf", ".Inf", ".INF")})
_WORDS.update({"-" + form: -math.inf for form in (".inf", ".Inf", ".INF")})
_WORDS.update(dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan))

_IMPLICIT_BOOLEANS = {"y": True, "yes": True, "on": True, "n": False, "no": False, "off": False}

_DIGITS = "[0-9]+(?:_[0-9]+)*"
_INTEGER = re.compile(rf"[-+]?{_DIGITS}")
_FLOAT = re.compile(rf"[-+]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][-+]?[0-9]+)?")
_OTHER_BASE = re.compile(r"[-+]?0(?:[xX][0-9a-fA-F_]+|[oO][0-7_]+|[bB][01_]+)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]")
_LONGEST_NUMBER = 64
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a scalar is refused; the caller adds the place."""

    code: str
    message: str
    why: str
    fix: str


def resolve_plain(text: str) -> bool | int | float | str | Fault | None:
    """Return the value of an unquoted scalar, or the fault that keeps it from having one.

    Numbers take underscores between digits. Dates, times and `12:30` stay text, as written.
    """
    if not text:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= 3 and text.lower() in _IMPLICIT_BOOLEANS:
        return _implicit_boolean(text)
    if text[0] not in "0123456789+-.":
        return text
    if _FLOAT.fullmatch(text):
        return _number(text)
    if _OTHER_BASE.fullmatch(text):
        return Fault(
            "E115",
            f"`{clip(text)}` is a number in another base",
            "some YAML readers take it for a number, others for text",
            f'write it in decimal, or quote it if text is meant: "{clip(text)}"',
        )
    return text


def clip(text: str) -> str:
    """Return user text fit for a message: one line, printable, at most 60 characters."""
    shown = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
    return NOT_PRINTABLE.sub("\ufffd", shown.replace("\n", " ").replace("\t", " "))


def _implicit_boolean(text: str) -> Fault:
    meaning = "true" if _IMPLICIT_BOOLEANS[text.lower()] else "false"
    return Fault(
        "E107",
        f"`{text}` without quotes is a boolean to some YAML readers and text to others",
        f"YAML 1.1 reads it as {meaning}, YAML 1.2 as the text `{text}`",
        f'write `{meaning}` for the boolean, or quote the text: "{text}"',
    )


def _number(text: str) -> int | float | Fault:
    whole = _INTEGER.fullmatch(text) is not None
    if _LEADING_ZERO.match(text):
        plain = text.replace("_", "").lstrip("+-0") or "0"
        return Fault(
            "E115",
            f"`{clip(text)}` starts with a zero",
            "YAML 1.1 reads such a number as octal, YAML 1.2 as decimal",
            f'write `{clip(plain)}` for the number, or quote the text: "{clip(text)}"',
        )
    value = float(text)
    if len(text) > _LONGEST_NUMBER or math.isinf(value):
        return Fault(
            "E116",
            f"the number `{clip(text)}` is too large to hold",
            f"a number has at most {_LONGEST_NUMBER} characters and lies below 1.8e308",
            "write a smaller number, or quote it if text is meant",
        )
    return int(text) if whole else value
