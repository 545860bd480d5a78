"""What the command line changed, until the service has put it into the audit log, which one process alone can write."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ringfence.runtime.ports import SYSTEM_FILES, SYSTEM_RANDOM, Clock, LogFiles, Random
from ringfence.service.access.records import Records
from ringfence.service.access.table import Table

__all__ = ["Outbox"]


class _Told(msgspec.Struct, frozen=True):
    kind: str
    by: str
    at_ns: int
    body: dict[str, Any]


class Outbox:
    """Records that wait, in `to-record.json`.

    Raises:
        StateError: by every method: the file cannot be read or written.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        files: LogFiles = SYSTEM_FILES,
        random: Random = SYSTEM_RANDOM,
    ) -> None:
        self._table = Table(folder / "to-record.json", _Told, files)
        self._clock, self._random = clock, random

    def put(self, kind: str, by: str, body: Mapping[str, Any]) -> None:
        """Have something recorded, as `Records.changed` does."""
        now = self._clock.now_ns()
        with self._table.changing() as held:
            held[f"{now:020}-{self._random.token(4)}"] = _Told(kind, by, now, dict(body))

    def hand_over(self, records: Records) -> None:
        """Record all that waits; one whose record may be there already is recorded again.

        Raises:
            AuditError: the log takes nothing; all waits on.
        """
        if not self._table.all():
            return
        with self._table.changing() as held:
            for _, each in sorted(held.items()):
                records.changed(each.kind, each.by, {**each.body, "changed_ns": each.at_ns})
            held.clear()
