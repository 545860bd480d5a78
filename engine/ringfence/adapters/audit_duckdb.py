"""The audit log in a DuckDB file: what `ringfence audit query` has in memory, kept.

While one process has a DuckDB file open for writing, no other can open it at all. So the file is open only
while a batch is written, and whoever wants to read it finds it free between; the writer finds it taken then,
says `busy`, and tries again. Nobody needs the file to read the log itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ringfence.errors import AuditSinkError
from ringfence.runtime.audit_columns import TABLES, stored_table
from ringfence.runtime.audit_sink import Position
from ringfence.runtime.audit_stored import Stored

__all__ = ["DuckdbSink"]

# Words of DuckDB's messages, for what it has no exception of its own.
_KINDS = (
    ("could not set lock", "busy"),
    ("no space left", "full"),
    ("file too large", "full"),
    ("permission denied", "rights"),
    ("read-only", "rights"),
)
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

    @property
    def name(self) -> str:
        """Names the sink."""
        return self._name

    def last(self, chain: str) -> Position:
        """The last record of the file, of whichever log it is."""
        del chain
        if not self._path.exists():
            return Position()
        with self._opened() as database:
            # Also those of a file that an older version made.
            database.execute(TABLES)
            return _last(database)

    def write(self, chain: str, after: Position, records: Sequence[Stored]) -> None:
        """Add records in one transaction."""
        del chain
        table = stored_table(records)
        with self._opened() as database:
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

    def interrupt(self) -> None:
        """Stop the statement that another thread runs."""
        if (database := self._open) is not None:
            database.interrupt()

    def close(self) -> None:
        """Nothing is open between batches."""

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            with duckdb.connect(str(self._path)) as database:
                self._open = database
                yield database
        except duckdb.Error as error:
            raise self._failure(error) from None
        finally:
            self._open = None

    def _failure(self, error: duckdb.Error) -> AuditSinkError:
        reason = str(error).strip().splitlines()[0]
        kind = next((kind for words, kind in _KINDS if words in reason.lower()), "failed")
        return AuditSinkError(
            kind,
            f"`{self._path}` cannot be written: {reason}",
            _FIXES.get(kind, "see that it is a DuckDB file, or name another"),
        )


def _last(database: duckdb.DuckDBPyConnection) -> Position:
    rows = database.execute("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1").fetchall()
    return Position(*rows[0]) if rows else Position()
