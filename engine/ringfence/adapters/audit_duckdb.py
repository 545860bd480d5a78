"""Copies the audit log into a DuckDB file: each record once, whatever happens in between.

The file is open only while something is copied, so that others can read it between. What is in it says how
far it has come: a batch of records is one transaction, and the next one begins after the last number there.
The log does not know of it; whoever copies too late or not at all delays nothing.
"""

from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa

from ringfence.errors import AuditError
from ringfence.runtime.audit_columns import SCHEMA, TABLES, batches
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import AuditReader, Record, tail

__all__ = ["DuckdbCopy"]

#: Records of one transaction.
BATCH = 10_000


class DuckdbCopy:
    """A copy of a log in a DuckDB file, with the tables that `ringfence audit query` has.

    Args:
        log: The log's directory.
        path: The DuckDB file; made where it is missing.
        mask: What is hidden in the copy.
    """

    def __init__(self, log: Path, path: Path, mask: Mask) -> None:
        self._log = log
        self._path = path
        self._mask = mask
        #: Number of the last record that is known to be in the file.
        self.copied = 0
        # Stands in the log after `copied`; none where the file has yet to say how far it has come.
        self._reader: AuditReader | None = None

    @property
    def lag(self) -> int:
        """How many records of the log are not in the file yet, as of the last `catch_up`."""
        newest = tail(self._log, 1)
        return newest[0].sequence - self.copied if newest else 0

    def catch_up(self) -> int:
        """Copy what is in the log and not in the file yet.

        Returns:
            How many records were copied.

        Raises:
            AuditError: the log or the file cannot be used, or the file holds records of another log. What
                was copied before stays, and the next call goes on after it.
        """
        try:
            records = self._next()
            if self._reader is not None and not records:
                return 0
            with duckdb.connect(str(self._path)) as database:
                return self._copy(database, records)
        except duckdb.Error as error:
            self._reader = None
            reason = str(error).strip().splitlines()[0]
            raise AuditError(
                f"`{self._path}` cannot be written: {reason}",
                "see that it is a DuckDB file, that no other process has it open, and that the disk has room",
            ) from None
        except BaseException:
            self._reader = None
            raise

    def _copy(self, database: duckdb.DuckDBPyConnection, records: list[Record]) -> int:
        database.execute(TABLES)
        newest = database.execute(
            "SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1"
        ).fetchall()
        copied, head = newest[0] if newest else (0, "")
        if self._reader is None or copied != self.copied:
            self.copied = copied
            self._reader = AuditReader(self._log, after=copied)
            records = self._next()
        count = 0
        while records:
            if head and records[0].prev != head:
                raise AuditError(
                    f"`{self._path}` holds records of another log", "name another file for this log"
                )
            self._insert(database, records)
            head, self.copied = records[-1].hash, records[-1].sequence
            count += len(records)
            records = self._next()
        return count

    def _next(self) -> list[Record]:
        return list(islice(self._reader.poll(), BATCH)) if self._reader is not None else []

    def _insert(self, database: duckdb.DuckDBPyConnection, records: list[Record]) -> None:
        table = pa.Table.from_batches(batches(records, self._mask), SCHEMA)
        database.register("coming", table)
        # One statement is one transaction.
        database.execute("INSERT INTO records SELECT * FROM coming")
        database.unregister("coming")
