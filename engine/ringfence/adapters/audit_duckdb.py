"""The audit log in a DuckDB file: what `ringfence audit query` has in memory, kept.

While one process has a DuckDB file open for writing, no other can open it at all. So the file is open only
while there is something to write, and no longer than a second or two at a time; whoever wants to read it
finds it free between. The writer finds it taken then, says `busy`, and tries again. Nobody needs the file to
read the log itself.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from ringfence.errors import AuditSinkError
from ringfence.runtime.audit_columns import TABLES, stored_table
from ringfence.runtime.audit_sink import Position
from ringfence.runtime.audit_stored import Stored

__all__ = ["DuckdbSink", "copy_file"]

# Words of DuckDB's messages, for what it has no exception of its own.
_KINDS = (
    ("could not set lock", "busy"),
    ("no space left", "full"),
    ("file too large", "full"),
    ("permission denied", "rights"),
    ("read-only", "rights"),
)
# Where records come without end, the file is let go after so long: closing it costs as much as some thousand rows.
_OPEN_SECONDS = 2.0
_LOOK_SECONDS = 0.05
_FIXES = {
    "busy": "close it in the other process: the writer tries again",
    "full": "make room on its disk: the writer goes on where it stopped",
    "rights": "give this user the right to write it",
}


class DuckdbSink:
    """An `AuditSink` that writes a DuckDB file with the tables of `audit_columns.TABLES`; it holds one log.

    Args:
        path: The file; made where it is missing.
        name: Names the sink, where there are several.
    """

    def __init__(self, path: Path, *, name: str = "duckdb") -> None:
        self._path = Path(path)
        self._name = name
        self._open: duckdb.DuckDBPyConnection | None = None
        self._opened_at = 0.0  # of a clock that only measures

    @property
    def name(self) -> str:
        """Names the sink."""
        return self._name

    def last(self, chain: str) -> Position:
        """The last record of the file, of whichever log it is."""
        del chain
        if not self._path.exists():
            return Position()
        with self._used() as database:
            # Also those of a file that an older version made.
            database.execute(TABLES)
            return _last(database)

    def write(self, chain: str, after: Position, records: Sequence[Stored]) -> None:
        """Add records in one transaction."""
        del chain
        table = stored_table(records)
        with self._used() as database:
            if not after.sequence:
                database.execute(TABLES)
            database.execute("BEGIN")
            if (found := _last(database)) != after:
                raise AuditSinkError(
                    "conflict",
                    f"`{self._path}` ends with record {found.sequence}, where {after.sequence} was expected",
                    "another writer has been here: the writer looks again where it stands",
                )
            database.register("coming", table)
            database.execute("INSERT INTO records SELECT * FROM coming")
            database.execute("COMMIT")
            database.unregister("coming")
        if time.monotonic() - self._opened_at > _OPEN_SECONDS:
            self.rest()

    def rest(self) -> None:
        """Close the file, so that others can have it."""
        self.close()

    def interrupt(self) -> None:
        """Stop the statement that another thread runs."""
        if (database := self._open) is not None:
            database.interrupt()

    def close(self) -> None:
        """Close the file."""
        database, self._open = self._open, None
        if database is not None:
            try:
                database.close()
            except duckdb.Error as error:
                raise self._failure(error) from None

    @contextmanager
    def _used(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            if (database := self._open) is None:
                database = self._open = duckdb.connect(str(self._path))
                self._opened_at = time.monotonic()
            yield database
        except duckdb.Error as error:
            self._give_up()
            raise self._failure(error) from None
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        # What was begun is rolled back; why it failed is told already.
        with suppress(AuditSinkError):
            self.close()

    def _failure(self, error: duckdb.Error) -> AuditSinkError:
        reason = str(error).strip().splitlines()[0]
        kind = next((kind for words, kind in _KINDS if words in reason.lower()), "failed")
        return AuditSinkError(
            kind,
            f"`{self._path}` cannot be written: {reason}",
            _FIXES.get(kind, "see that it is a DuckDB file, or name another"),
        )


def copy_file(path: Path, target: Path, *, patience: float = 60.0) -> None:
    """Copy a DuckDB file as it is at one moment; waits while a writer has it.

    Args:
        target: Is not there yet.
        patience: How long it waits, in seconds.

    Raises:
        AuditSinkError: it cannot be read, or the copy cannot be written.
    """
    until, pause = time.monotonic() + patience, threading.Event()
    while True:
        with duckdb.connect() as database:
            try:
                database.execute(f"ATTACH {_quoted(path)} AS held (READ_ONLY)")
                database.execute(f"ATTACH {_quoted(target)} AS copied")
                database.execute("COPY FROM DATABASE held TO copied")
                return
            except duckdb.Error as error:
                reason = str(error).strip().splitlines()[0]
                if "could not set lock" not in reason.lower() or time.monotonic() > until:
                    raise AuditSinkError(
                        "failed",
                        f"`{path}` cannot be copied: {reason}",
                        "see to the file and the disk",
                    ) from None
        pause.wait(_LOOK_SECONDS)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _last(database: duckdb.DuckDBPyConnection) -> Position:
    rows = database.execute("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1").fetchall()
    return Position(*rows[0]) if rows else Position()
