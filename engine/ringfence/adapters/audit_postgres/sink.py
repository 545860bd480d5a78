"""Records into PostgreSQL: by COPY, many in one transaction, which first asks where the log stands there."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg

from ringfence.adapters.audit_postgres.decision_rows import COLUMNS, decision_row
from ringfence.adapters.audit_postgres.migrations_run import check_level
from ringfence.adapters.audit_postgres.server import Server
from ringfence.errors import AuditSinkError
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.audit_sink import Position
from ringfence.runtime.audit_stored import Stored

__all__ = ["PostgresSink"]

_RECORDS = """
COPY ringfence.records (chain, seq, ts_ns, kind, body, original, masked, prev, hash) FROM STDIN
"""
_DECISIONS = f"COPY ringfence.decisions ({', '.join(COLUMNS)}) FROM STDIN"


class PostgresSink:
    """An `AuditSink` for a database that `migrate` has prepared; it holds the logs of any number of guards.

    Its user needs the role `ringfence_writer`, and nothing more.

    Args:
        server: The server.
        name: Names the sink, where there are several.
        statement_seconds: A statement that takes longer is given up.
        lock_seconds: And one that waits longer for somebody else's lock.
    """

    def __init__(
        self,
        server: Server,
        *,
        name: str = "postgres",
        statement_seconds: float = 60.0,
        lock_seconds: float = 10.0,
    ) -> None:
        self._server = server
        self._name = name
        self._limits = (
            f"SET LOCAL statement_timeout = {int(statement_seconds * 1000)}; "
            f"SET LOCAL lock_timeout = {int(lock_seconds * 1000)}"
        ).encode()
        self._connection: psycopg.Connection | None = None
        self._guard = threading.Lock()

    @property
    def name(self) -> str:
        """Names the sink."""
        return self._name

    def last(self, chain: str) -> Position:
        """The last record of this log in the database."""
        with self._transaction() as connection:
            check_level(connection)
            return _last(connection, chain)

    def write(self, chain: str, after: Position, records: Sequence[Stored]) -> None:
        """Add records, and the rows of those that are decisions, in one transaction."""
        with self._transaction() as connection:
            if (found := _last(connection, chain)) != after:
                raise AuditSinkError(
                    "conflict",
                    f"`{self._name}` stands at record {found.sequence}, where {after.sequence} was expected",
                    "another writer has been here: the writer looks again where it stands",
                )
            cursor = connection.cursor()
            with cursor.copy(_RECORDS) as copy:
                for sequence, ts_ns, kind, body, original, masked, prev, digest, _ in records:
                    copy.write_row(
                        (chain, sequence, ts_ns, kind, body, original, masked, prev, digest)
                    )
            with cursor.copy(_DECISIONS) as copy:
                for record in records:
                    if record.kind == DECISION:
                        copy.write_row(decision_row(chain, record))

    def rest(self) -> None:
        """Nothing: a connection that waits is in nobody's way."""

    def interrupt(self) -> None:
        """Ask the server to give up what it does for us."""
        if (connection := self._connection) is not None:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=2.0)

    def close(self) -> None:
        """Close the connection."""
        with self._guard:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection]:
        try:
            connection = self._connection
            if connection is None or connection.closed:
                connection = self._connection = self._server.connect()
            with self._server.failures_told(), connection.transaction():
                connection.execute(self._limits)
                yield connection
        except BaseException:
            # What state it is in nobody knows.
            self.close()
            raise


def _last(connection: psycopg.Connection, chain: str) -> Position:
    row = connection.execute(
        "SELECT last_seq, last_hash FROM ringfence.audit_begin(%s)", (chain,)
    ).fetchone()
    return Position(row[0], row[1]) if row is not None and row[0] is not None else Position()
