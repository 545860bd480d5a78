"""A PostgreSQL server: its address, which is a secret, connections to it, and its failures in our words."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from ringfence.errors import AuditSinkError, InputError
from ringfence.runtime.credentials import DATABASE_PASSWORD, Secret, read_secret
from ringfence.runtime.ports import SYSTEM_FILES, Files

__all__ = ["URL_VARIABLE", "Server"]

#: Holds the address, with or without a password; `..._FILE` names a file that does.
URL_VARIABLE = "RINGFENCE_POSTGRES_URL"

# Seconds and milliseconds as libpq takes them: nobody waits for a server that has gone.
_DEFAULTS = {
    "connect_timeout": "5",
    "tcp_user_timeout": "15000",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "application_name": "ringfence-audit",
}
# By the first letters of PostgreSQL's SQLSTATE; the longest that fits counts.
_KINDS = {
    "08": "unavailable",
    "57P": "unavailable",
    "53": "full",
    "533": "unavailable",  # too many connections
    "28": "login",
    "3D": "login",
    "42501": "rights",
    "42P01": "schema",
    "42703": "schema",
    "42883": "schema",
    "3F": "schema",
    "55P03": "slow",
    "57014": "slow",
    "40": "slow",
    "23": "conflict",
    "25006": "unavailable",  # a standby, or one that was made read-only
}
_FIXES = {
    "unavailable": "check the address, and whether the server runs and takes connections",
    "full": "make room on the server's disk: the writer goes on where it stopped",
    "login": f"check user, password and database in `{URL_VARIABLE}`",
    "rights": "grant this user the role `ringfence_writer` to write, `ringfence_reader` to read",
    "schema": "run `ringfence audit migrate --postgres` as the owner",
    "slow": "see what the server is busy with, or who holds a lock",
    "conflict": "the database holds other records under these numbers: give this log one of its own",
    "failed": "see the server's log",
}


class Server:
    """Where a server is and who we are there.

    Args:
        url: `postgresql://user:password@host:port/database`, or libpq's `name=value` form; what it does not
            name comes from libpq's variables (`PGPASSWORD`, `PGPASSFILE`, `PGSSLMODE` and so on).
        password: Where the address holds none.

    Raises:
        InputError: it is no such address; its text is not shown.
    """

    def __init__(self, url: str, password: Secret | None = None) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            raise InputError(
                "the address of the PostgreSQL server cannot be read",
                "write `postgresql://user:password@host:5432/database`, with `%40` for `@` in a password",
            ) from None
        if password is not None and not given.get("password"):
            given["password"] = password.reveal()
        self._password = str(given.get("password") or "")
        self._address = Secret(make_conninfo("", **{**_DEFAULTS, **given}))
        self.has_password = bool(self._password)
        self._again: Callable[[], Server] | None = None

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], *, files: Files = SYSTEM_FILES
    ) -> "Server":
        """The server that `RINGFENCE_POSTGRES_URL`, or the file that `RINGFENCE_POSTGRES_URL_FILE` names, tells of.

        Its password may stand apart, in `DATABASE_PASSWORD` or the file that `DATABASE_PASSWORD_FILE` names. Files are
        read anew for each connection, so that a password may change while all goes on.

        Raises:
            InputError: no address is set, or what is set cannot be used.
        """

        def read() -> Server:
            name = DATABASE_PASSWORD.name
            apart = environ.get(name) or environ.get(f"{name}_FILE")
            password = read_secret(name, environ, files=files) if apart else None
            return cls(read_secret(URL_VARIABLE, environ, files=files).reveal(), password)

        server = read()
        server._again = read
        return server

    def connect(self) -> psycopg.Connection:
        """A connection, not yet in a transaction; raises AuditSinkError."""
        if self._again is not None:
            # A file that is being replaced is read the next time.
            with suppress(InputError):
                now = self._again()
                self._address, self._password = now._address, now._password
        with self.failures_told():
            # Nothing is prepared, so that a pooler may stand between. A database of no encoding (SQL_ASCII) would
            # answer bytes where text is asked for.
            return psycopg.connect(
                self._address.reveal(), prepare_threshold=None, client_encoding="utf8"
            )

    @property
    def database(self) -> str:
        """The database's name; empty where libpq is to find it."""
        return str(conninfo_to_dict(self._address.reveal()).get("dbname") or "")

    def environment(self) -> dict[str, str]:
        """The address as libpq's variables, for PostgreSQL's own programs."""
        return {
            each.envvar.decode(): each.val.decode()
            for each in Conninfo.parse(self._address.reveal().encode())
            if each.envvar and each.val
        }

    def masked(self, text: str) -> str:
        """The text without the password."""
        return text.replace(self._password, "***") if self._password else text

    @contextmanager
    def failures_told(self) -> Iterator[None]:
        """Turn what psycopg raises into AuditSinkError, without any of the data or the password."""
        try:
            yield
        except psycopg.Error as error:
            raise self._failure(error) from None

    def _failure(self, error: psycopg.Error) -> AuditSinkError:
        state = error.sqlstate or ""
        fits = [start for start in _KINDS if state.startswith(start)]
        kind = _KINDS[max(fits, key=len)] if fits else "failed"
        # Not the details, which quote rows.
        said = (
            error.diag.message_primary
            or (str(error).strip().splitlines() or ["no reason given"])[0]
        )
        if not state and isinstance(error, psycopg.OperationalError):
            kind = "login" if "authentication failed" in said else "unavailable"
        return AuditSinkError(kind, f"PostgreSQL: {self.masked(said)}", _FIXES[kind])
