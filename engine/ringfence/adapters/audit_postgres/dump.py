"""The audit tables of a PostgreSQL server in a file, and back: by `pg_dump` and `pg_restore`."""

import os
import shutil
import subprocess  # nosec B404  # the server's own programs
from pathlib import Path

from ringfence.adapters.audit_postgres.server import Server
from ringfence.errors import InputError

__all__ = ["dump", "restore_dump"]

# Debian keeps the server's programs out of the PATH.
_DEBIAN = Path("/usr/lib/postgresql")


def dump(server: Server, path: Path) -> None:
    """Write the schema `ringfence` of a database into a file, as it is at one moment, while others write.

    Raises:
        InputError: `pg_dump` is not installed, or failed.
    """
    command = ["--format=custom", "--schema=ringfence", "--no-owner", f"--file={path}"]
    # Whoever reads it has all that the database has.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    _run(server, "pg_dump", command)


def restore_dump(server: Server, path: Path) -> None:
    """Put such a file into a database that has no schema `ringfence`, in one transaction.

    The roles of the tables' users have to be there: `ringfence audit migrate` makes them in any database of the
    server.

    Raises:
        InputError: the schema is there, `pg_restore` is not installed, or failed; nothing was changed then.
    """
    with server.connect() as connection, server.failures_told():
        row = connection.execute(
            "SELECT 1 FROM pg_namespace WHERE nspname = 'ringfence'"
        ).fetchone()
    if row is not None:
        raise InputError(
            "the database holds a schema `ringfence` already",
            "restore into a database that is empty, and have the writer use that one",
        )
    command = ["--exit-on-error", "--single-transaction", "--no-owner"]
    _run(server, "pg_restore", [*command, f"--dbname={server.database}", str(path)])


def _run(server: Server, name: str, options: list[str]) -> None:
    # The address holds a password, which belongs on no command line.
    environ = {**os.environ, **server.environment()}
    done = subprocess.run(  # nosec B603  # no shell, and no word of a user but paths
        [_program(name), *options], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = server.masked((done.stderr.strip().splitlines() or ["no reason given"])[0])
        raise InputError(f"{name} failed: {said}", "see to the server and the rights of its user")


def _program(name: str) -> str:
    newest = max(map(str, _DEBIAN.glob(f"*/bin/{name}")), default="")
    found = newest or shutil.which(name)
    if not found:
        raise InputError(
            f"`{name}` is not installed",
            "install PostgreSQL's client programs, of the server's version or newer",
        )
    return found
