"""A SELECT over the audit tables of PostgreSQL, which can change nothing."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import errors

from ringfence.adapters.audit_postgres.server import Server
from ringfence.errors import InputError

__all__ = ["ask"]


def ask(
    server: Server,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    seconds: float = 300.0,
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and the rows that a SELECT answers.

    Args:
        server: The server; the user needs the role `ringfence_reader`.
        sql: One statement over `records`, `decisions` and `gates`.
        parameters: Values of the statement's `%(name)s`; without any, a `%` stands for itself.
        seconds: It is given up after so long.

    Raises:
        AuditSinkError: the server cannot be asked.
        InputError: the statement fails, would change something, or answers nothing.
    """
    with server.connect() as connection, server.failures_told():
        connection.read_only = True
        connection.execute(
            f"SET LOCAL statement_timeout = {int(seconds * 1000)}; "
            "SET LOCAL search_path = ringfence, pg_catalog; SET LOCAL TIME ZONE 'UTC'".encode()
        )
        try:
            # Prepared, since the server then takes one statement only.
            answer = connection.execute(sql.encode(), parameters, prepare=True)
        except errors.InsufficientPrivilege:
            raise
        except (psycopg.ProgrammingError, psycopg.DataError, psycopg.InternalError) as error:
            said = error.diag.message_primary or str(error).strip().splitlines()[0]
            raise InputError(
                f"the query failed: {said}", "select from `records`, `decisions` or `gates`"
            ) from None
        if answer.description is None:
            raise InputError("the query answers no rows", "give one SELECT")
        names, rows = [each.name for each in answer.description], answer.fetchall()
    return names, rows
