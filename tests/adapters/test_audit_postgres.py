"""The log in a real PostgreSQL: each record once, whatever fails, by a user that may only insert."""

import json
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from adapters.postgres_server import OWNER_PASSWORD, PostgresServer, running
from adapters.sink_logs import (
    follow,
    in_log,
    killed_writers,
    line_with,
    log_of_gates,
    log_of_margins,
    until,
    waits_for,
)
from ringfence.adapters.audit_postgres import PostgresSink, Server, ask, migrate
from ringfence.adapters.audit_postgres import migrations_run as steps
from ringfence.cli.main import main
from ringfence.errors import AuditSinkError, InputError
from ringfence.runtime import audit_batches
from ringfence.runtime.audit_codec import decode
from ringfence.runtime.audit_feed import Feed
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_segments import payload_of
from ringfence.runtime.audit_writer import AuditWriter, WriterSettings
from ringfence.runtime.ports import SYSTEM_FILES, SeededRandom
from ringfence.service import archive
from ringfence.service.opening.audit import may_read, postgres_server
from runtime.audit_logs import opened, read, write

pytestmark = [pytest.mark.integration, pytest.mark.needs("initdb", "postgresql")]

QUICK = WriterSettings(look=0.02, first_pause=0.02, longest_pause=0.1, note=0.0)
NUMBERS = count(1)
WORD = "user-pass-0815"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running() as found:
        for user in ("guard_writer", "auditor", "nobody_special"):
            found.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{WORD}'")
        migrate(Server(found.url()))
        found.execute("GRANT ringfence_writer TO guard_writer; GRANT ringfence_reader TO auditor")
        found.execute("CREATE DATABASE template_audit TEMPLATE postgres")
        yield found


class Database:
    """A migrated database on the server, with what its users ask of it."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.name = name

    def url(self, user: str = "guard_writer", word: str = WORD) -> str:
        return self.server.url(self.name, user, word)

    def sink(self, **options: Any) -> PostgresSink:
        return PostgresSink(Server(self.url()), **options)

    def owner(self, sql: str) -> list[Any]:
        return self.server.execute(sql, self.name)

    def rows(self) -> list[Any]:
        return self.owner("SELECT seq, hash FROM ringfence.records ORDER BY seq")


@pytest.fixture
def database(server: PostgresServer) -> Database:
    server.execute("TRUNCATE ringfence.records, ringfence.decisions")
    return Database(server, "postgres")


@pytest.fixture
def own_database(server: PostgresServer) -> Database:
    """One whose tables a test may change."""
    name = f"audit_{next(NUMBERS)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template_audit STRATEGY file_copy")
    return Database(server, name)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write(tmp_path / "log", 30, segment_bytes=1_000)
    return tmp_path / "log"


def catch_up(log: Path, database: Database) -> int:
    return AuditWriter(log, [database.sink()]).catch_up()


def test_every_record_is_written_once(
    log: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_batches, "BATCH", 7)
    assert (catch_up(log, database), catch_up(log, database)) == (30, 0)
    feed = Feed(log, database.sink(), Mask(), files=SYSTEM_FILES)
    write(log, 5)
    assert feed.step() == 5
    write(log, 5)
    assert catch_up(log, database) == 5
    write(log, 5)
    # Overtaken, it is told so, and goes on behind the other one.
    with pytest.raises(AuditSinkError, match="another writer"):
        feed.step()
    assert feed.step() == 5
    feed.close()
    assert database.rows() == in_log(log)


def test_a_database_without_an_encoding_is_taken(server: PostgresServer, log: Path) -> None:
    name = f"audit_{next(NUMBERS)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII'")
    assert migrate(Server(server.url(name)))
    assert migrate(Server(server.url(name))) == []
    assert catch_up(log, Database(server, name)) == 30


def test_logs_of_several_guards_share_a_database(
    log: Path, database: Database, tmp_path: Path
) -> None:
    write(tmp_path / "other", 20, random=SeededRandom(2))

    with ThreadPoolExecutor() as pool:
        assert sorted(
            pool.map(lambda each: catch_up(each, database), (log, tmp_path / "other"))
        ) == [
            20,
            30,
        ]
    counts = database.owner("SELECT count(*) FROM ringfence.records GROUP BY chain ORDER BY 1")
    assert counts == [(20,), (30,)]


def test_the_service_reads_the_decisions_of_its_own_log(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ringfence.service.archive import _Postgres

    logs = [tmp_path / name for name in ("ours", "theirs")]
    for folder in logs:
        with AuditLog.open(folder, durability="process") as opened:
            opened.append("policy-set", {"policy_set": "ab", "currency": folder.name})
            for k in range(4):
                opened.append("decision", {"id": f"{folder.name}-{k}", "decision": "APPROVE"})
            opened.wait(opened.last)
        catch_up(folder, database)
    monkeypatch.setenv("RINGFENCE_POSTGRES_URL", database.url("auditor"))
    copy = _Postgres(logs[0])
    assert [each.sequence for each in copy.between(3, 5)] == [4, 3]
    found = copy.named("ours-2")
    assert found is not None
    assert b'"ours-2"' in found.content
    assert copy.named("theirs-2") is None
    assert b"ours" in (copy.policy_set("ab") or b"")
    assert copy.policy_set("cd") is None


def test_a_log_that_is_not_the_one_in_the_database_is_refused(
    log: Path, database: Database, tmp_path: Path
) -> None:
    catch_up(log, database)
    # As after a restored backup: the same name, other records.
    write(tmp_path / "shorter", 10)
    with pytest.raises(AuditSinkError, match="ends before that") as caught:
        catch_up(tmp_path / "shorter", database)
    assert caught.value.kind == "conflict"
    with opened(tmp_path / "twin") as twin:
        for _ in range(40):
            twin.append("note", {"another": twin.last})
    with pytest.raises(AuditSinkError, match="another record 30"):
        catch_up(tmp_path / "twin", database)
    assert database.rows() == in_log(log)


def test_a_record_that_was_changed_in_the_database_is_found(log: Path, database: Database) -> None:
    catch_up(log, database)
    database.owner("UPDATE ringfence.records SET hash = 'other' WHERE seq = 30")

    with pytest.raises(AuditSinkError, match="another record 30"):
        catch_up(log, database)


def test_a_number_that_is_taken_is_an_error_and_never_passed_over(
    log: Path, database: Database
) -> None:
    catch_up(log, database)
    with opened(log) as more:
        more.append("note", {})
        more.append("decision", {})
    # Where the decision's row goes there is one already, with something else in it.
    database.owner(
        "INSERT INTO ringfence.decisions (chain, seq, ts_ns) "
        "SELECT chain, 32, 1 FROM ringfence.records LIMIT 1"
    )

    with pytest.raises(AuditSinkError, match="duplicate key") as caught:
        catch_up(log, database)
    assert caught.value.kind == "conflict"
    # Nothing of the transaction is there.
    assert len(database.rows()) == 30


@pytest.mark.security
def test_the_writer_may_insert_and_nothing_else(log: Path, database: Database) -> None:
    catch_up(log, database)
    for table in ("records", "decisions"):
        for sql in (
            f"SELECT * FROM ringfence.{table}",
            f"SELECT seq FROM ringfence.{table}",
            f"UPDATE ringfence.{table} SET ts_ns = 1",
            f"DELETE FROM ringfence.{table}",
            f"TRUNCATE ringfence.{table}",
            f"DROP TABLE ringfence.{table}",
            f"ALTER TABLE ringfence.{table} ADD COLUMN x int",
            f"INSERT INTO ringfence.{table} DEFAULT VALUES ON CONFLICT (chain, seq) DO UPDATE SET ts_ns = 1",
            f"INSERT INTO ringfence.{table} DEFAULT VALUES RETURNING seq",
            f"COPY ringfence.{table} TO STDOUT",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                database.server.execute(sql, database.name, "guard_writer", WORD)
    for sql in (
        "SELECT * FROM ringfence.gates",
        "CREATE TABLE ringfence.mine (x int)",
        "DELETE FROM ringfence.schema_version",
        "CREATE OR REPLACE FUNCTION ringfence.audit_begin(text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SET ROLE owner",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.server.execute(sql, database.name, "guard_writer", WORD)


@pytest.mark.security
def test_the_reader_may_read_and_others_may_not(log: Path, database: Database) -> None:
    catch_up(log, database)
    reader = Server(database.url("auditor"))

    assert ask(reader, "SELECT count(*) AS n FROM records") == (["n"], [(30,)])
    for sql in (
        "DELETE FROM records",
        "INSERT INTO records DEFAULT VALUES",
        "SELECT ringfence.audit_begin('x')",
    ):
        with pytest.raises((AuditSinkError, InputError)):
            ask(reader, sql)
    with pytest.raises(AuditSinkError) as caught:
        ask(Server(database.url("nobody_special")), "SELECT * FROM ringfence.records")
    assert caught.value.kind == "rights"
    with pytest.raises(AuditSinkError, match="permission denied") as caught:
        AuditWriter(log, [PostgresSink(Server(database.url("auditor")))]).catch_up()
    assert caught.value.kind == "rights"


@pytest.mark.security
@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM records",
        "SELECT 1; DELETE FROM records",
        "SELECT 1; COMMIT; DELETE FROM records",
        "WITH gone AS (DELETE FROM records RETURNING 1) SELECT * FROM gone",
        "CREATE TABLE x (y int)",
        "SET TRANSACTION READ WRITE",
        "SELECT none FROM records",
        "SELECT 1/0",
        "SELECT",
        "",
    ],
)
def test_a_question_changes_nothing_whoever_asks(sql: str, log: Path, database: Database) -> None:
    catch_up(log, database)

    if sql != "SELECT":  # which PostgreSQL answers with rows of nothing
        with pytest.raises(InputError):
            ask(Server(database.url("owner", OWNER_PASSWORD)), sql)
    assert len(database.rows()) == 30


HOSTILE: list[dict[str, Any]] = [
    {
        "order": {"account": "\ud800 half", "symbol": "nul \0", "side": "tab\t\\N"},
        "id": "x" * 9_000,
    },
    {"order": {"account": "\U0001f600" * 3_000, "size": "1e999999999", "price": float("nan")}},
    {"order": {"size": 10**400, "price": "Infinity", "type": ["a"], "side": True}, "gates": "none"},
    {"order": {"size": "٣", "price": "1_0", "venue": None}, "size": "-0.10", "gates": [1, [], "x"]},
    {"order": "none", "inputs": {"order": ["none"]}, "code": 5, "gates": {"a": 1}},
    {"inputs": {"order": {"size": 2, "price": 1e-7}}, "size": True},
    {"order": {"size": "9" * 300, "price": "1E+59"}, "size": "nine"},
]


def test_decisions_are_asked_for_by_the_request_that_brought_them(
    database: Database, tmp_path: Path
) -> None:
    with opened(tmp_path / "log") as log:
        for number in range(3):
            named = {"request_id": f"trace-{number}"} if number else {}
            log.append("decision", {"id": f"d-{number}", **named})
    catch_up(tmp_path / "log", database)

    sql = "SELECT id, request_id FROM decisions WHERE request_id IS DISTINCT FROM 'trace-2' ORDER BY seq"
    found = ask(Server(database.url("auditor")), sql)
    assert found == (["id", "request_id"], [("d-0", None), ("d-1", "trace-1")])


def test_no_body_however_hostile_stops_the_sink(database: Database, tmp_path: Path) -> None:
    with opened(tmp_path / "log") as log:
        for body in HOSTILE:
            log.append("decision", body)

    assert catch_up(tmp_path / "log", database) == len(HOSTILE)

    found = database.owner(
        "SELECT account, symbol, side, type, asked, price, size, length(id) "
        "FROM ringfence.decisions ORDER BY seq"
    )
    none = (None,) * 7
    assert [tuple(map(str, row)) for row in found] == [
        tuple(map(str, row))
        for row in (
            ("\ufffd half", "nul \ufffd", "tab\t\\N", None, None, None, None, 256),
            ("\U0001f600" * 256, *none),
            (None, None, "true", '["a"]', None, None, None, None),
            (None, None, None, None, 3, 10, "-0.10", None),
            (None, *none),
            (None, None, None, None, 2, "1E-7", None, None),
            (None, None, None, None, None, "1" + "0" * 59, None, None),
        )
    ]
    assert database.owner("SELECT gate, outcome, measure FROM ringfence.gates") == [(None,) * 3] * 3
    # Every body is there to the last bit.
    bodies = [
        (coalesced or body)
        for coalesced, body in database.owner(
            "SELECT original, body::text FROM ringfence.records ORDER BY seq"
        )
    ]
    assert [repr(decode(each.encode())) for each in bodies] == [
        repr(record.body) for record in read(tmp_path / "log")
    ]


def test_a_hash_can_be_checked_in_the_database_and_secrets_are_hidden(
    database: Database, tmp_path: Path
) -> None:
    gates = [["a", "pass", float("nan"), 2.0], {"gate": "b", "measure": 1.5, "limit": 2, "line": 3}]
    with opened(tmp_path / "log") as log:
        log.append("decision", {"gates": gates, "half": "\ud800"})
        log.append("reload", {"api_key": "abc", "who": "me"})

    catch_up(tmp_path / "log", database)

    whole, hidden = database.owner(
        "SELECT coalesce(original, body::text), kind, prev, seq, ts_ns, hash, masked, ts "
        "FROM ringfence.records ORDER BY seq"
    )
    payload = payload_of(whole[0].encode(), *whole[1:5])
    assert sha256(payload).hexdigest() == whole[5]
    assert (whole[6], hidden[6]) == (False, True)
    assert json.loads(hidden[0]) == {"api_key": "***", "who": "me"}
    assert database.owner(
        'SELECT gate, outcome, measure, "limit", margin, line FROM ringfence.gates'
    ) == [
        ("a", "pass", None, 2.0, None, None),
        ("b", None, 1.5, 2.0, None, 3),
    ]


def test_gates_are_told_as_python_tells_them(database: Database, tmp_path: Path) -> None:
    wanted = log_of_gates(tmp_path / "log")
    catch_up(tmp_path / "log", database)

    found = database.owner(
        'SELECT seq, gate, file, line, outcome, measure, "limit" FROM ringfence.gates'
    )
    assert (
        sorted([(*row[:3], row[3] and int(row[3]), *row[4:]) for row in found], key=repr) == wanted
    )


def test_a_margin_is_what_is_left_also_of_a_floor(database: Database, tmp_path: Path) -> None:
    wanted = log_of_margins(tmp_path / "log")
    catch_up(tmp_path / "log", database)

    found = database.owner("SELECT gate, nullif(margin, 'NaN') FROM ringfence.gates ORDER BY gate")
    assert found == wanted


def test_migrations_run_once_also_when_several_start_together(server: PostgresServer) -> None:
    server.execute("CREATE DATABASE fresh")
    url = Server(server.url("fresh"))
    begin = threading.Barrier(4)

    def start(_: int) -> int:
        begin.wait()
        return len(migrate(url))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(start, range(4))) == [0, 0, 0, len(steps.migrations())]
    assert migrate(url) == []
    found = server.execute("SELECT version FROM ringfence.schema_version ORDER BY 1", "fresh")
    assert found == [(each.version,) for each in steps.migrations()]


def test_a_database_of_another_version_is_not_touched(
    log: Path, own_database: Database, server: PostgresServer
) -> None:
    database = own_database
    database.owner("UPDATE ringfence.schema_version SET sha256 = 'changed'")
    owner = Server(database.url("owner", OWNER_PASSWORD))
    for action in (lambda: migrate(owner), lambda: catch_up(log, database)):
        with pytest.raises(AuditSinkError, match="another file") as caught:
            action()
        assert caught.value.kind == "schema"
    database.owner("UPDATE ringfence.schema_version SET version = version + 98")
    with pytest.raises(AuditSinkError, match="does not know"):
        migrate(owner)
    database.owner("DELETE FROM ringfence.schema_version")
    with pytest.raises(AuditSinkError, match="at version 0, and 3 is needed"):
        catch_up(log, database)
    server.execute("CREATE DATABASE untouched")
    with pytest.raises(AuditSinkError) as caught:
        AuditWriter(log, [PostgresSink(Server(server.url("untouched")))]).catch_up()
    assert (caught.value.kind, "audit migrate" in caught.value.fix) == ("schema", True)


def test_a_user_without_rights_cannot_migrate_and_nothing_is_left(server: PostgresServer) -> None:
    server.execute("CREATE DATABASE forbidden")
    with pytest.raises(AuditSinkError) as caught:
        migrate(Server(server.url("forbidden", "nobody_special", WORD)))
    assert caught.value.kind == "rights"
    assert server.execute(
        "SELECT count(*) FROM pg_namespace WHERE nspname = 'ringfence'", "forbidden"
    ) == [(0,)]


def test_a_server_that_stops_delays_nothing_and_gets_everything_later(
    log: Path, server: PostgresServer, database: Database
) -> None:
    with AuditWriter(log, [database.sink()], settings=QUICK) as writer:
        until(lambda: writer.status()[0].sequence == 30)
        server.stop()
        try:
            with opened(log, segment_bytes=1_000) as guard:
                for _ in range(50):
                    guard.wait(guard.append("note", {"n": guard.last + 1}))
                waits_for(writer, "unavailable")
                (status,) = writer.status()
                assert (status.sequence, status.lag_records) == (30, 50)
                assert status.error
        finally:
            server.start()
        until(lambda: writer.status()[0].sequence == 80 and not writer.status()[0].error)
    assert database.rows() == in_log(log)


@pytest.mark.security
def test_a_wrong_password_is_told_without_it_and_mended_by_itself(
    log: Path, database: Database
) -> None:
    database.server.execute("CREATE ROLE late LOGIN PASSWORD 'right-one' IN ROLE ringfence_writer")
    sink = PostgresSink(Server(database.url("late", "wrong-secret-word")))
    try:
        with AuditWriter(log, [sink], settings=QUICK) as writer:
            waits_for(writer, "login")
            (status,) = writer.status()
            assert "password authentication failed" in status.error
            assert "wrong-secret-word" not in repr(status)
            database.server.execute("ALTER ROLE late PASSWORD 'wrong-secret-word'")
            until(lambda: writer.status()[0].sequence == 30)
    finally:
        database.server.execute("DROP ROLE late")


def test_a_lock_that_somebody_holds_is_waited_for_only_so_long(
    log: Path, database: Database
) -> None:
    with psycopg.connect(database.url("owner", OWNER_PASSWORD)) as other:
        other.execute("LOCK TABLE ringfence.records IN EXCLUSIVE MODE")
        with AuditWriter(log, [database.sink(lock_seconds=0.05)], settings=QUICK) as writer:
            waits_for(writer, "slow")
            other.rollback()
            until(lambda: writer.status()[0].sequence == 30)


def test_stopping_gives_up_what_a_slow_server_is_asked(log: Path, database: Database) -> None:
    with psycopg.connect(database.url("owner", OWNER_PASSWORD)) as other:
        other.execute("LOCK TABLE ringfence.records IN EXCLUSIVE MODE")
        writer = AuditWriter(log, [database.sink()], settings=QUICK).start()
        until(
            lambda: database.owner(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            != []
        )
        writer.stop(60)
        assert writer.status()[0].errors == {}
    assert catch_up(log, database) == 30


def test_a_disk_that_is_full_loses_nothing(log: Path, own_database: Database) -> None:
    database = own_database
    # What the server says when a tablespace runs full; a trigger says it here.
    database.owner(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$; "
        "CREATE TRIGGER full_disk BEFORE INSERT ON ringfence.records FOR EACH ROW "
        "WHEN (NEW.seq > 20) EXECUTE FUNCTION full_disk()"
    )
    with AuditWriter(log, [database.sink()], settings=QUICK) as writer:
        waits_for(writer, "full")
        assert writer.status()[0].sequence == 0
        assert database.rows() == []
        database.owner("DROP TRIGGER full_disk ON ringfence.records")
        until(lambda: writer.status()[0].sequence == 30)
    assert database.rows() == in_log(log)


def test_kill_nine_neither_loses_nor_doubles_a_record(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGFENCE_POSTGRES_URL", database.url())
    log = tmp_path / "log"
    write(log, 3_000, segment_bytes=40_000)

    def check() -> None:
        found = database.rows()
        assert found == in_log(log)[: len(found)]

    killed_writers(log, ["--postgres"], random.Random(7), times=4, check=check)

    catch_up(log, database)
    assert database.rows() == in_log(log)


def test_both_sinks_are_fed_and_one_that_is_down_holds_up_nobody(
    log: Path, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text(database.url("guard_writer", "wrong") + "\n")
    monkeypatch.setenv("RINGFENCE_POSTGRES_URL_FILE", str(tmp_path / "url"))
    child = follow(log, ["--duckdb", str(tmp_path / "a.duckdb"), "--postgres"])
    try:
        line_with(child.stdout, "duckdb: up to record 30, 0 behind")
        said = line_with(child.stderr, "postgres: up to record 0, 30 behind: ")
        assert "password authentication failed" in said
    finally:
        child.terminate()
        child.communicate(timeout=60)
    assert child.returncode == 0


def test_the_commands(
    log: Path,
    own_database: Database,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = own_database

    def run(*words: str, user: str, code: int = 0) -> str:
        word = OWNER_PASSWORD if user == "owner" else WORD
        monkeypatch.setenv("RINGFENCE_POSTGRES_URL", database.url(user, word))
        assert main(["audit", *words]) == code
        shown = capsys.readouterr()
        assert word not in shown.out + shown.err
        return shown.out + shown.err

    database.owner("DROP SCHEMA ringfence CASCADE")
    assert run("migrate", "--postgres", user="owner") == (
        "applied 0001_audit.sql\napplied 0002_request_ids.sql\napplied 0003_margins.sql\n"
    )
    assert "up to date" in run("migrate", "--postgres", user="owner")
    words = ("write", "--once", "--log", str(log), "--postgres")
    assert run(*words, user="guard_writer") == "postgres: 30 written, up to record 30\n"
    sql = "SELECT kind, count(*) AS n, max(ts) AS last FROM records GROUP BY kind"
    (row,) = json.loads(run("query", sql, "--postgres", "--json", user="auditor"))
    assert (row["kind"], row["n"]) == ("note", 30)
    assert "note" in run("query", sql, "--postgres", user="auditor")
    assert "command line" in run("query", sql, "--postgres", database.url(), user="auditor", code=2)
    monkeypatch.setenv("PGPASSWORD", WORD)
    address = f"host=127.0.0.1 port={database.server.port} user=auditor dbname={database.name}"
    assert "note" in run("query", sql, "--postgres", address, user="guard_writer")
    monkeypatch.delenv("PGPASSWORD")
    (tmp_path / "password").write_text(WORD + "\n")
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("RINGFENCE_POSTGRES_URL", address)
    assert main(["audit", "query", sql, "--postgres"]) == 0
    assert "note" in capsys.readouterr().out
    monkeypatch.delenv("RINGFENCE_POSTGRES_URL")
    assert main(["audit", "migrate", "--postgres"]) == 2
    assert "`RINGFENCE_POSTGRES_URL` is not set" in capsys.readouterr().err


@pytest.mark.security
@pytest.mark.parametrize(
    "url", ["postgresql://me:se%cret@host/db", "password secret", "postgresql://h/db?secret=1"]
)
def test_an_address_that_cannot_be_read_is_not_shown(url: str) -> None:
    with pytest.raises(InputError, match="cannot be read") as caught:
        Server(url)
    assert "se%cret" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_said(log: Path) -> None:
    with pytest.raises(AuditSinkError) as caught:
        AuditWriter(log, [PostgresSink(Server("postgresql://me:word@127.0.0.1:1/x"))]).catch_up()
    assert caught.value.kind == "unavailable"
    assert os.sep not in caught.value.fix


def test_a_service_that_may_write_alone_says_which_right_older_decisions_need(
    log: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    catch_up(log, database)
    monkeypatch.setenv("RINGFENCE_POSTGRES_URL", database.url())
    copy = archive._Postgres(log)

    assert not may_read(postgres_server())
    with pytest.raises(AuditSinkError, match="lacks the role `ringfence_reader`") as caught:
        copy.between(1, 30)
    assert caught.value.kind == "rights"
    assert "GRANT ringfence_reader TO" in caught.value.fix

    database.owner("GRANT ringfence_reader TO guard_writer")
    try:
        assert may_read(postgres_server())
        assert copy.between(1, 30) is not None
        assert copy.named("no-such") is None
        with pytest.raises(InputError, match=r"read-only|the query failed"):
            ask(postgres_server(), "DELETE FROM records RETURNING seq")
    finally:
        database.owner("REVOKE ringfence_reader FROM guard_writer")
