"""A real PostgreSQL server for tests: its own data directory, a free port, stopped at the end."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

OWNER_PASSWORD = "owner-pass-4711"


def is_installed() -> bool:
    """Whether PostgreSQL's programs are here; Debian keeps them out of the PATH."""
    return bool(_program("initdb"))


def _program(name: str) -> str:
    kept = map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or max(kept, default="")


def _as_postgres() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]


class PostgresServer:
    """A server on a loopback port; `owner` is its superuser, by password."""

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        self.folder = folder
        self.data = folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        secret = folder / "password"
        secret.write_text(OWNER_PASSWORD)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            for path in (folder, secret):
                os.chown(path, user.pw_uid, user.pw_gid)
        self._run(
            _program("initdb"), "-D", self.data, "-U", "owner", "--auth=scram-sha-256",
            f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\n"
                f"unix_socket_directories = '{folder}'\nmax_wal_size = 2GB\n"
            )
            if not fsync:
                # The machine does not lose power in a test.
                file.write("fsync = off\nshared_buffers = 64MB\n")

    def start(self) -> None:
        self._run(_program("pg_ctl"), "-D", self.data, "-w", "-l", self.folder / "log", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run(_program("pg_ctl"), "-D", self.data, "-w", "-m", mode, "stop")

    def url(
        self, database: str = "postgres", user: str = "owner", password: str = OWNER_PASSWORD
    ) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def execute(
        self,
        sql: str,
        database: str = "postgres",
        user: str = "owner",
        password: str = OWNER_PASSWORD,
    ) -> list[Any]:
        with psycopg.connect(self.url(database, user, password), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def _run(self, *command: object) -> None:
        done = subprocess.run(
            [*_as_postgres(), *map(str, command)], cwd=self.folder, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@contextmanager
def running(*, fsync: bool = False) -> Iterator[PostgresServer]:
    """A server that runs; its folder is where PostgreSQL's own user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="ringfence-postgres-", dir="/tmp"))
    try:
        server = PostgresServer(folder, fsync=fsync)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
