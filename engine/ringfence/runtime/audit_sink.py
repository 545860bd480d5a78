"""What the audit writer needs of a database: where it stands, and batches that it takes whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ringfence.runtime.audit_stored import Stored

__all__ = ["AuditSink", "Position"]


@dataclass(frozen=True, slots=True)
class Position:
    """The last record that a sink holds: its number (0: none) and its SHA-256 in hex (then empty)."""

    sequence: int = 0
    hash: str = ""


class AuditSink(Protocol):
    """A database that keeps records; one thread uses it at a time.

    Every method raises `AuditSinkError` where the database cannot be used.
    """

    @property
    def name(self) -> str:
        """Lower-case letters, digits, `-` and `_`: names the sink in metrics and beside the log."""
        ...

    def last(self, chain: str) -> Position:
        """The last record of the log called `chain` that is in the database."""
        ...

    def write(self, chain: str, after: Position, records: Sequence[Stored]) -> None:
        """Add records in one transaction, which also looks whether the database stands at `after`.

        Where it raises, all of them may have been added, or none.

        Raises:
            AuditSinkError: `conflict` where the database stands elsewhere.
        """
        ...

    def rest(self) -> None:
        """Nothing more is to be written for now: let others have what only one can have."""
        ...

    def interrupt(self) -> None:
        """Give up what another thread waits for in `write` or `last`."""
        ...

    def close(self) -> None:
        """Let the database go; `last` and `write` open it again."""
        ...
