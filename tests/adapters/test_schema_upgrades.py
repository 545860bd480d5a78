"""Databases that older versions made, with records in them, taken forwards: nothing is lost, all goes on."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from adapters.postgres_server import PostgresServer, running
from adapters.sink_logs import in_log, log_of_gates
from ringfence.adapters.audit_duckdb import DuckdbSink
from ringfence.adapters.audit_postgres import Migration, PostgresSink, Server, migrate
from ringfence.adapters.audit_postgres import migrations_run as steps
from ringfence.adapters.audit_postgres import sink as sinks
from ringfence.errors import AuditSinkError
from ringfence.runtime.audit_writer import AuditWriter
from runtime.audit_logs import write

pytestmark = pytest.mark.integration

OLDER = sorted((Path(__file__).parent / "older_tables").glob("duckdb_*.sql"))
COLUMNS = "seq, ts, kind, body, prev, hash"
# How many columns of a decision the versions wrote that needed a level, where those of today are more.
OLDER_COLUMNS = {1: 17}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log_of_gates(tmp_path / "log")
    write(tmp_path / "log", 10)
    return tmp_path / "log"


def shown(path: Path) -> list[list[Any]]:
    with duckdb.connect(str(path), read_only=True) as database:
        return [
            database.execute(sql).fetchall()
            for sql in (
                f"SELECT {COLUMNS} FROM records ORDER BY seq",
                "SELECT * FROM decisions ORDER BY seq",
                "SELECT * FROM gates ORDER BY ALL",
            )
        ]


@pytest.mark.parametrize("older", OLDER, ids=lambda path: path.stem)
def test_a_file_of_an_older_version_goes_on(older: Path, log: Path, tmp_path: Path) -> None:
    count = len(in_log(log))
    fresh, old = tmp_path / "fresh.duckdb", tmp_path / "old.duckdb"
    AuditWriter(log, [DuckdbSink(fresh)]).catch_up()
    with duckdb.connect(str(old)) as database:
        database.execute(older.read_text())
        database.execute(f"ATTACH '{fresh}' AS fresh (READ_ONLY)")
        database.execute(
            f"INSERT INTO records BY NAME SELECT {COLUMNS} FROM fresh.records WHERE seq <= {count // 2}"
        )

    assert AuditWriter(log, [DuckdbSink(old)]).catch_up() == count - count // 2
    assert shown(old) == shown(fresh)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running() as found:
        yield found


LATER = """
ALTER TABLE ringfence.records ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE ringfence.decisions RENAME COLUMN code TO why;
"""


def held(server: PostgresServer, database: str) -> list[Any]:
    return server.execute(
        "SELECT seq, hash, prev, body::text, original FROM ringfence.records ORDER BY seq", database
    )


@pytest.mark.needs("initdb", "postgresql")
@pytest.mark.parametrize("level", range(1, len(steps.migrations()) + 1))
def test_a_server_at_any_older_level_is_taken_forwards_with_its_records(
    level: int, server: PostgresServer, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to a level that comes after this version, as its successor will take it."""
    name = f"level_{level}"
    server.execute(f"CREATE DATABASE {name}")
    here = Server(server.url(name))
    known = steps.migrations()
    monkeypatch.setattr(steps, "migrations", lambda: known[:level])
    migrate(here)
    with monkeypatch.context() as older:
        if (count := OLDER_COLUMNS.get(level)) is not None:
            names, row = ", ".join(sinks.COLUMNS[:count]), sinks.decision_row
            older.setattr(sinks, "_DECISIONS", f"COPY ringfence.decisions ({names}) FROM STDIN")
            older.setattr(sinks, "decision_row", lambda *given: row(*given)[:count])
        AuditWriter(log, [PostgresSink(here)]).catch_up()
    before, waiting = held(server, name), PostgresSink(here)
    position = waiting.last(_chain(server, name))

    later = Migration(99, "0099_later.sql", LATER, sha256(LATER.encode()).hexdigest())
    monkeypatch.setattr(steps, "migrations", lambda: [*known, later])
    applied = migrate(here)

    assert [each.name for each in applied] == [*(each.name for each in known[level:]), later.name]
    assert held(server, name) == before
    assert len(before) == position.sequence == len(in_log(log))
    # A writer of the version before says so, and loses nothing: its log holds what it has not written.
    monkeypatch.setattr(steps, "migrations", lambda: known)
    write(log, 3)
    with pytest.raises(AuditSinkError, match="at version 99, which this Ringfence does not know"):
        AuditWriter(log, [PostgresSink(here)]).catch_up()
    waiting.close()


@pytest.mark.needs("initdb", "postgresql")
def test_a_step_that_fails_leaves_the_server_as_it_was(
    server: PostgresServer, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.execute("CREATE DATABASE stays")
    here = Server(server.url("stays"))
    migrate(here)
    AuditWriter(log, [PostgresSink(here)]).catch_up()
    before, known = held(server, "stays"), steps.migrations()
    wrong = LATER + "SELECT 1 / 0;"
    monkeypatch.setattr(
        steps, "migrations", lambda: [*known, Migration(99, "0099_wrong.sql", wrong, "0" * 64)]
    )

    with pytest.raises(AuditSinkError, match="division by zero"):
        migrate(here)

    monkeypatch.setattr(steps, "migrations", lambda: known)
    assert held(server, "stays") == before
    write(log, 3)
    assert AuditWriter(log, [PostgresSink(here)]).catch_up() == 3
    with pytest.raises(psycopg.errors.UndefinedColumn):
        server.execute("SELECT later FROM ringfence.records", "stays")


def _chain(server: PostgresServer, database: str) -> str:
    ((chain,),) = server.execute("SELECT DISTINCT chain FROM ringfence.records", database)
    return str(chain)
