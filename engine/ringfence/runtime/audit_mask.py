"""Hiding secrets in what leaves the audit log: by the names of keys, and by what values look like."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from ringfence.errors import AuditError

__all__ = ["HIDDEN", "KEYS", "VALUES", "Mask"]

#: What stands in place of a secret.
HIDDEN = "***"
#: Keys whose values are always hidden: globs, in lower case.
KEYS = (
    "*secret*",
    "*password*",
    "*passphrase*",
    "*token*",
    "*api_key*",
    "*api-key*",
    "*apikey*",
    "*private_key*",
    "*credential*",
    "authorization",
    "signature",
)
#: What is always hidden within text: bearer tokens, private keys, names and passwords in URLs, and what follows a word
#: such as `password=`, which people write into reasons.
VALUES = (
    r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]{8,}",
    r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",
    r"(?i)(?:password|passphrase|secret|api[_-]?key|private_key)\s*[=:]\s*[^\s,;]+",
)

# What a text has in it, in lower case, where one of `VALUES` matches; the last of them has one of `KEYS` in it.
_VALUE_MARKS = ("bearer", "basic", "private key-----", "://")
_WILD = re.compile(r"\[.*\]|[*?\[]")


class Mask:
    """Hides the values of keys that match a glob, and what matches an expression within text.

    Args:
        keys: Globs besides `KEYS`; case does not count.
        values: Regular expressions besides `VALUES`.

    Raises:
        AuditError: one of `values` is no regular expression.
    """

    def __init__(self, keys: Iterable[str] = (), values: Iterable[str] = ()) -> None:
        self._keys = (*KEYS, *(each.lower() for each in keys))
        self._values = []
        for each in (*VALUES, *values):
            try:
                self._values.append(re.compile(each))
            except re.error as error:
                raise AuditError(
                    f"`{each}` is no regular expression: {error}", "write a valid expression"
                ) from None
        self._known: dict[str, bool] = {}
        # The longest plain piece of each glob: no key matches the glob that does not hold it.
        marks = [max(_WILD.split(glob), key=len) for glob in self._keys]
        sure = len(self._values) == len(VALUES) and all(marks)
        # Escapes stand for letters that may only look like ours once they are in lower case.
        marks = [re.escape(mark) for mark in (*marks, *_VALUE_MARKS, "\\")]
        #: Where this expression of RE2 is not found in a body that is canonical JSON, nothing is to be hidden there; a
        #: search for it costs a hundredth of `hide`. Empty where only `hide` can tell.
        self.trigger = "(?i)" + "|".join(dict.fromkeys(marks)) if sure else ""

    def hide(self, value: Any) -> Any:
        """Return a copy of the value, a record's body or a part of it, with its secrets hidden."""
        if isinstance(value, str):
            for pattern in self._values:
                value = pattern.sub(HIDDEN, value)
            return value
        if isinstance(value, dict):
            return {
                key: HIDDEN if self._is_secret(key) else self.hide(each)
                for key, each in value.items()
            }
        if isinstance(value, list):
            return [self.hide(each) for each in value]
        return value

    def _is_secret(self, key: str) -> bool:
        if key not in self._known:
            lower = key.lower()
            self._known[key] = any(fnmatchcase(lower, glob) for glob in self._keys)
        return self._known[key]
