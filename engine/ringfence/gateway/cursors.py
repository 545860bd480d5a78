"""Where a follower goes on: the cursor of the last fill that it booked."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ringfence.errors import InputError
from ringfence.runtime.ports import SYSTEM_FILES, Files

__all__ = ["Cursor", "FileCursor", "MemoryCursor"]

_FORMAT = "ringfence-cursor/1"


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
    """A file for one account, replaced as a whole and on the disk before `save` returns."""

    path: Path
    files: Files = SYSTEM_FILES

    def load(self) -> str | None:
        """As `Cursor.load`."""
        if not self.files.exists(self.path):
            return None
        try:
            kept = json.loads(self.files.read_bytes(self.path))
            if kept["format"] == _FORMAT and isinstance(kept["cursor"], str):
                return str(kept["cursor"])
        except (ValueError, KeyError, TypeError):
            pass
        raise InputError(
            f"{self.path} holds no cursor of fills",
            "move it away: fills are then read from the oldest order that works",
        )

    def save(self, cursor: str) -> None:
        """As `Cursor.save`."""
        text = json.dumps({"format": _FORMAT, "cursor": cursor})
        self.files.write_atomic(self.path, text.encode())
