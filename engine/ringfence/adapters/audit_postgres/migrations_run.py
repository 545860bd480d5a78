"""Migrations: SQL files in this package, applied once each, in the order of their numbers, and only forward."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

import psycopg

from ringfence.adapters.audit_postgres.server import Server
from ringfence.errors import AuditSinkError

__all__ = ["Migration", "check_level", "migrate", "migrations"]

# Names the lock that starters take in turn: any number that nobody else uses.
_LOCK = 7_410_226_083_551_902_001
_BEGIN = """
CREATE SCHEMA IF NOT EXISTS ringfence;
CREATE TABLE IF NOT EXISTS ringfence.schema_version (
  version integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, the file's name, its SQL, and the SQL's SHA-256 in hex."""

    version: int
    name: str
    sql: str
    sha256: str


def migrations() -> list[Migration]:
    """All steps, in order."""
    found = []
    for file in (files(__package__) / "migrations").iterdir():
        number, _, rest = file.name.partition("_")
        if rest.endswith(".sql"):
            content = file.read_bytes()
            found.append(
                Migration(int(number), file.name, content.decode(), sha256(content).hexdigest())
            )
    return sorted(found, key=lambda each: each.version)


def migrate(server: Server) -> list[Migration]:
    """Bring a database up to date, in one transaction; of several that try at once, one does it.

    The user becomes the owner of the tables. He needs the right to create a schema, and roles where
    `ringfence_writer` and `ringfence_reader` are missing.

    Returns:
        The steps that were applied now.

    Raises:
        AuditSinkError: it failed, and nothing was changed; or a step that was applied earlier is not the one
            of this version of Ringfence.
    """
    with server.connect() as connection, server.failures_told(), connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(_BEGIN)
        applied = _applied(connection)
        steps = migrations()
        _compare(applied, steps)
        coming = [step for step in steps if step.version not in applied]
        for step in coming:
            connection.execute(step.sql.encode())
            connection.execute(
                "INSERT INTO ringfence.schema_version (version, name, sha256) VALUES (%s, %s, %s)",
                (step.version, step.name, step.sha256),
            )
    return coming


def check_level(connection: psycopg.Connection) -> None:
    """Raise AuditSinkError unless the database has exactly the steps of this version of Ringfence."""
    applied, steps = _applied(connection), migrations()
    _compare(applied, steps)
    if len(applied) < len(steps):
        raise AuditSinkError(
            "schema",
            f"the database is at version {max(applied, default=0)}, and {steps[-1].version} is needed",
            "run `ringfence audit migrate --postgres` as the owner",
        )


def _applied(connection: psycopg.Connection) -> dict[int, str]:
    rows = connection.execute("SELECT version, sha256 FROM ringfence.schema_version").fetchall()
    return {int(version): str(digest) for version, digest in rows}


def _compare(applied: dict[int, str], steps: list[Migration]) -> None:
    known = {step.version: step.sha256 for step in steps}
    for version, digest in sorted(applied.items()):
        if version not in known:
            raise AuditSinkError(
                "schema",
                f"the database is at version {version}, which this Ringfence does not know",
                "use the version of Ringfence that migrated it, or a newer one",
            )
        if known[version] != digest:
            raise AuditSinkError(
                "schema",
                f"step {version} was applied to the database from another file",
                "a step never changes once it is applied: restore the file",
            )
