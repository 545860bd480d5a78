"""`ringfence backup`: what it prints, in both forms, and its exit codes; a server's tables too."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from adapters.postgres_server import PostgresServer, running
from ringfence._resources import bundled
from ringfence.adapters.audit_postgres import PostgresSink, Server, migrate
from ringfence.cli.main import main
from ringfence.runtime.audit_writer import AuditWriter
from runtime.audit_logs import files_of, read, rewrite, write

pytestmark = pytest.mark.integration

SCHEMA = json.loads(bundled("schemas").joinpath("backup.v1.schema.json").read_text("utf-8"))
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `ringfence backup` beside a guard's directory with a log of 30 records."""
    monkeypatch.chdir(tmp_path)
    write(Path("ringfence-data/audit"), 30)

    def asked(*words: object) -> tuple[int, str, str]:
        code = main(["backup", *map(str, words)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return asked


def parsed(answer: tuple[int, str, str]) -> Any:
    code, out, err = answer
    assert (code, err) == (0, "")
    found = json.loads(out)
    for each in found if isinstance(found, list) else [found]:
        jsonschema.validate(each, SCHEMA)
    return found


def only_backup() -> Path:
    (path,) = Path("backups").glob("ringfence-*")
    return path


def test_from_the_first_backup_to_its_restore(run: Run) -> None:
    code, out, _ = run("create", "--to", "backups")
    assert (code, "records 1 to 30" in out) == (0, True)
    backup = only_backup()

    assert str(backup) in run("list", "backups")[1]
    assert "records 1 to 30" in run("verify", backup)[1]
    assert run("verify", "backups") == run("verify", backup)
    code, _, err = run("verify", "ringfence-data")
    assert (code, "holds no backup" in err) == (2, True)
    code, out, _ = run("restore", backup, "--to", "new")
    assert code == 0
    assert "missing: what audit recorded from record 31 on" in out
    assert read(Path("new/audit")) == read(Path("ringfence-data/audit"))
    code, _, err = run("restore", backup, "--to", "new")
    assert (code, "is not empty" in err) == (2, True)


def test_as_json(run: Run) -> None:
    made = parsed(run("create", "--to", "backups", "--keep", "3", "--json"))
    assert made["removed"] == []
    (listed,) = parsed(run("list", "backups", "--json"))
    assert parsed(run("verify", only_backup(), "--json")) == {**listed, "findings": []}
    restored = parsed(run("restore", only_backup(), "--to", "new", "--json"))
    assert restored["restored"] == ["audit"]


def test_a_directory_without_backups_is_told_so(run: Run) -> None:
    Path("backups").mkdir()

    code, out, err = run("list", "backups")
    assert (code, err) == (0, "")
    assert out == "none yet: `ringfence backup create DIR --to backups`\n"
    assert parsed(run("list", "backups", "--json")) == []


def test_what_is_wrong_is_told_and_fails(run: Run) -> None:
    rewrite(files_of(Path("ringfence-data/audit"))[0], lambda payloads: payloads[:3] + payloads[4:])

    for words in (("create", "--to", "backups"), ("verify", Path("backups")), ("list", "backups")):
        code, out, err = run(
            *(only_backup() if each == Path("backups") else each for each in words)
        )
        assert code == 1
        assert "record 4 is missing" in err or "1 finding\n" in out
    (only_backup() / "manifest.json").write_text("{}")
    code, _, err = run("list", "backups")
    assert (code, "cannot be used" in err) == (1, True)
    code, _, err = run("restore", only_backup(), "--to", "new", "--postgres", "postgresql://a@b/c")
    assert (code, "holds no dump" in err) == (2, True)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running() as found:
        migrate(Server(found.url()))
        yield found


@pytest.mark.needs("initdb", "postgresql")
def test_tables_of_a_server_are_kept_and_put_into_an_empty_database(
    run: Run, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Path("ringfence-data/audit")
    AuditWriter(log, [PostgresSink(Server(server.url()))]).catch_up()
    monkeypatch.setenv("RINGFENCE_POSTGRES_URL", server.url())
    assert run("create", "--to", "backups", "--postgres")[0] == 0
    assert "dump" in run("verify", only_backup())[1]

    server.execute("CREATE DATABASE again")
    monkeypatch.setenv("RINGFENCE_POSTGRES_URL", server.url("again"))
    assert run("restore", only_backup(), "--to", "new", "--postgres")[0] == 0

    asked = "SELECT seq, hash, body::text FROM ringfence.records ORDER BY seq"
    assert server.execute(asked, "again") == server.execute(asked)
    # It is up to date, and the writer of the restored log goes on in it.
    assert migrate(Server(server.url("again"))) == []
    write(Path("new/audit"), 2)
    assert (
        AuditWriter(Path("new/audit"), [PostgresSink(Server(server.url("again")))]).catch_up() == 2
    )
    code, _, err = run("restore", only_backup(), "--to", "newer", "--postgres")
    assert (code, "holds a schema `ringfence` already" in err) == (2, True)


@pytest.mark.security
@pytest.mark.needs("initdb", "postgresql")
def test_no_password_stands_on_a_command_line_or_in_a_message(
    run: Run, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []
    real = subprocess.run

    def noted(command: list[str], **options: Any) -> Any:
        commands.append(" ".join(command))
        return real(command, **options)

    monkeypatch.setattr(subprocess, "run", noted)
    monkeypatch.setenv("RINGFENCE_POSTGRES_URL", server.url("nowhere"))
    code, out, err = run("create", "--to", "backups", "--postgres")

    assert (code, "pg_dump failed" in err) == (2, True)
    assert len(commands) == 1
    assert "owner-pass" not in commands[0] + out + err
    assert not list(Path("backups").glob("ringfence-*"))
