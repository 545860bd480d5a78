"""Questions about the audit log in a DuckDB file, asked in the process that writes it.

One process alone may have the file open; within it, connections share what is open. Between two questions
nothing is held, so that others find the file free when nothing is written.
"""

from pathlib import Path
from typing import Any

import duckdb

from ringfence.errors import AuditSinkError

__all__ = ["ask_file"]


def ask_file(path: Path, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows that a SELECT answers; none where nothing was written yet.

    Args:
        path: The file.
        sql: One SELECT over `records`, `decisions` and `gates`.
        parameters: Values of the statement's `$name`.

    Raises:
        AuditSinkError: the file cannot be read; `busy` where another process has it.
    """
    if not path.exists():
        return []
    try:
        with duckdb.connect(str(path)) as database:
            database.execute("SET TimeZone='UTC'")
            return database.execute(sql, parameters).fetchall()
    except duckdb.CatalogException:
        return []
    except duckdb.Error as error:
        reason = str(error).strip().splitlines()[0]
        kind = "busy" if "could not set lock" in reason.lower() else "failed"
        raise AuditSinkError(kind, f"`{path}` cannot be read: {reason}", "try again") from None
