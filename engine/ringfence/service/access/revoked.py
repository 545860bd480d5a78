"""Tokens that are not honoured any more, by their id, until they would have run out: `revoked-tokens.json`."""

import re
from pathlib import Path

import msgspec

from ringfence.errors import InputError
from ringfence.runtime.ports import SYSTEM_FILES, Clock, LogFiles
from ringfence.service.access.table import Table

__all__ = ["LONGEST_NS", "RevokedTokens"]

LONGEST_NS = 400 * 86_400 * 1_000_000_000
"""No token is made that is valid for longer."""
_MOST = 10_000
_ID = re.compile(r"[!-~]{1,128}")


class _Revoked(msgspec.Struct, frozen=True):
    at_ns: int
    by: str
    expires_ns: int


class RevokedTokens:
    """The list; thread-safe, and shared with the command line. What is added holds within a second.

    Raises:
        StateError: by every method: the file cannot be read or written.
    """

    def __init__(self, folder: Path, clock: Clock, files: LogFiles = SYSTEM_FILES) -> None:
        self._table = Table(folder / "revoked-tokens.json", _Revoked, files)
        self._clock = clock

    def add(self, token: str, by: str) -> None:
        """Honour a token no more.

        Args:
            token: Its id (`jti`).

        Raises:
            InputError: this is no id, or the list is full.
        """
        if not _ID.fullmatch(token):
            raise InputError("this is no id of a token", "`ringfence token` tells it with each one")
        now = self._clock.now_ns()
        with self._table.changing() as held:
            for name in [name for name, each in held.items() if each.expires_ns <= now]:
                del held[name]
            if len(held) >= _MOST:
                raise InputError(f"{_MOST:,} tokens are revoked", "change the key that signs them")
            held[token] = _Revoked(now, by, now + LONGEST_NS)

    def __contains__(self, token: str) -> bool:
        return token in self._table.all()
