"""Where a follower goes on: the cursor of the last fill that it booked."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ringfence.errors import InputError
from ringfence.runtime.ports import SYSTEM_FILES, Files

__all__ = ["Cursor", "FileCursor", "MemoryCursor"]

# What earlier versions wrote has no checksum.
_FORMAT, _WITHOUT_CHECKSUM = "ringfence-cursor/2", "ringfence-cursor/1"


class Cursor(Protocol):
    """Keeps one cursor."""

    def load(self) -> str | None:
        """The cursor that was kept; None where there was none.

        Raises:
            InputError: what was kept cannot be read.
            OSError: as the system gives it.
        """
        ...

    def save(self, cursor: str) -> None:
        """Keep a cursor; `OSError` where that fails."""
        ...


class MemoryCursor:
    """For as long as the process runs: paper trading and tests."""

    def __init__(self, cursor: str | None = None) -> None:
        self._cursor = cursor

    def load(self) -> str | None:
        """As `Cursor.load`."""
        return self._cursor

    def save(self, cursor: str) -> None:
        """As `Cursor.save`."""
        self._cursor = cursor


@dataclass(frozen=True, slots=True)
class FileCursor:
    """A file for one account, replaced as a whole and on the disk before `save` returns.

    It has a checksum: with another digit in its cursor, fills would be passed over.
    """

    path: Path
    files: Files = SYSTEM_FILES

    def load(self) -> str | None:
        """As `Cursor.load`."""
        if not self.files.exists(self.path):
            return None
        try:
            kept = json.loads(self.files.read_bytes(self.path))
            cursor = str(kept["cursor"])
            if kept in (_kept(cursor), {"format": _WITHOUT_CHECKSUM, "cursor": cursor}):
                return cursor
        except (ValueError, KeyError, TypeError):
            pass
        raise InputError(
            f"{self.path} holds no cursor of fills",
            "move it away: fills are then read from the oldest order that works",
        )

    def save(self, cursor: str) -> None:
        """As `Cursor.save`."""
        self.files.write_atomic(self.path, json.dumps(_kept(cursor)).encode())


def _kept(cursor: str) -> dict[str, object]:
    return {"format": _FORMAT, "cursor": cursor, "crc32": zlib.crc32(json.dumps(cursor).encode())}
