"""Passwords of databases change while all goes on: nobody is refused, and nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.postgres_server import PostgresServer, running
from adapters.redis_server import RedisServer
from adapters.sink_logs import in_log
from ringfence.adapters.audit_postgres import PostgresSink, Server, migrate
from ringfence.adapters.state_redis import RedisSharedLog, RedisStore
from ringfence.errors import AuditSinkError
from ringfence.runtime.audit_feed import Feed
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_writer import AuditWriter
from ringfence.runtime.credentials import Secret, read_secret
from ringfence.runtime.ports import SYSTEM_FILES
from runtime.audit_logs import write

pytestmark = pytest.mark.integration

OLD, NEW = "the-password-before-0815", "the-password-after-4711"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running() as found:
        migrate(Server(found.url()))
        found.execute(f"CREATE ROLE writer LOGIN PASSWORD '{OLD}' IN ROLE ringfence_writer")
        yield found


@pytest.mark.needs("initdb", "postgresql")
def test_the_writer_takes_the_new_password_of_its_role_from_the_file(
    server: PostgresServer, tmp_path: Path
) -> None:
    file = tmp_path / "database_password"
    file.write_text(OLD)
    environ = {
        "RINGFENCE_POSTGRES_URL": f"postgresql://writer@127.0.0.1:{server.port}/postgres",
        "DATABASE_PASSWORD_FILE": str(file),
    }
    here = Server.from_environment(environ)
    sink = PostgresSink(here)
    log = tmp_path / "log"
    write(log, 5)
    feed = Feed(log, sink, Mask(), files=SYSTEM_FILES)
    assert feed.step() == 5

    server.execute(f"ALTER ROLE writer PASSWORD '{NEW}'")
    # A connection that is open stays; a new one is refused until the file says what the server knows.
    write(log, 5)
    assert feed.step() == 5
    feed.close()
    write(log, 5)
    writer = AuditWriter(log, [PostgresSink(here)])
    with pytest.raises(AuditSinkError) as caught:
        writer.catch_up()
    assert caught.value.kind == "login"
    assert OLD not in str(caught.value)
    file.write_text(NEW)

    assert writer.catch_up() == 5
    found = server.execute("SELECT seq, hash FROM ringfence.records ORDER BY seq")
    assert found == in_log(log)


@pytest.mark.needs("initdb", "postgresql")
def test_a_password_file_that_is_away_for_a_moment_changes_nothing(
    server: PostgresServer, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    file.write_text(server.url())
    here = Server.from_environment({"RINGFENCE_POSTGRES_URL_FILE": str(file)})
    file.unlink()

    with here.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.needs("redis-server", "redis-server")
def test_guards_go_on_while_the_password_of_redis_changes(tmp_path: Path) -> None:
    file = tmp_path / "redis_password"
    environ = {"REDIS_PASSWORD_FILE": str(file)}
    file.write_text(OLD)
    server = RedisServer(tmp_path / "redis", password=OLD).start()
    try:
        settings = server.settings(
            password=Secret(OLD), password_now=lambda: read_secret("REDIS_PASSWORD", environ)
        )
        running_guard = RedisSharedLog(RedisStore(settings), origin="a")
        assert running_guard.found({}).head.count == 0

        # As docs/how-to/rotate-keys.md has it: both hold, the file changes, the old one goes.
        server.ask("ACL", "SETUSER", "default", f">{NEW}")
        for text in (OLD, NEW):
            file.write_text(text)
            started = RedisSharedLog(RedisStore(settings), origin=text)
            assert started.found({}).head.count == 0
        server.ask("ACL", "SETUSER", "default", f"<{OLD}")

        assert running_guard.found({}).head.count == 0
        assert RedisSharedLog(RedisStore(settings), origin="c").found({}).head.count == 0
        file.unlink()
        # The password from the start does not hold any more; what that says is told, and the password is not.
        with pytest.raises(Exception, match="refuses the password") as caught:
            RedisSharedLog(RedisStore(settings), origin="d").found({})
        assert OLD not in str(caught.value)
    finally:
        server.stop()
