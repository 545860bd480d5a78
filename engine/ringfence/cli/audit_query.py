"""A SELECT over the audit log, in a database in memory that can reach nothing else, or over a DuckDB file."""

import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from ringfence.cli.output import finite
from ringfence.errors import InputError
from ringfence.replay.sql_check import RefusedSqlError, SqlChecker, as_input_error
from ringfence.replay.wording import visible
from ringfence.runtime.audit_columns import TABLES, stored_table
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import RawRecord
from ringfence.runtime.audit_stored import stored

__all__ = ["query", "query_file", "show_rows"]

_LOCKED = """
SET enable_external_access=false; SET TimeZone='UTC'; SET lock_configuration=true;
"""
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
}
_BATCH = 20_000
# A writer has the file for a part of a second at a time.
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 15.0


def query(
    sql: str, records: Iterator[RawRecord], mask: Mask
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and the rows that a SELECT answers.

    Args:
        sql: A SELECT over `records`, `decisions` and `gates`.
        records: The log.
        mask: What is hidden before the SELECT sees it.

    Raises:
        InputError: it is no SELECT, reaches for something else, or fails.
        AuditError: the log cannot be read.
    """
    safe = _checked(sql)
    with duckdb.connect(config=_CONFIG) as database:
        database.execute(TABLES)
        while some := list(islice(records, _BATCH)):
            database.register("coming", stored_table(stored(some, mask)))
            database.execute("INSERT INTO records SELECT * FROM coming")
            database.unregister("coming")
        return _answer(database, safe)


def query_file(sql: str, path: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
    """As `query`, of a file that `ringfence audit write --duckdb` writes; waits while the writer has it.

    Raises:
        InputError: as `query`, or the file cannot be opened.
    """
    safe = _checked(sql)
    until, pause = time.monotonic() + _PATIENCE_SECONDS, threading.Event()
    while True:
        try:
            database = duckdb.connect(str(path), read_only=True, config=_CONFIG)
            break
        except duckdb.Error as error:
            if "could not set lock" not in str(error).lower() or time.monotonic() > until:
                reason = str(error).strip().splitlines()[0]
                raise InputError(
                    f"`{path}` cannot be read: {reason}",
                    "name a file that `ringfence audit write --duckdb` wrote",
                ) from None
            pause.wait(_LOOK_SECONDS)
    with database:
        return _answer(database, safe)


def _checked(sql: str) -> str:
    try:
        with SqlChecker() as checker:
            return checker.select(sql)[0]
    except RefusedSqlError as error:
        raise as_input_error(
            error, "the query", "give a single SELECT over `records`, `decisions` and `gates`"
        ) from None


def _answer(
    database: duckdb.DuckDBPyConnection, safe: str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    try:
        database.execute(_LOCKED)
        answer = database.execute(safe)
        names = [str(each[0]) for each in answer.description or ()]
        return names, [tuple(map(_told, row)) for row in answer.fetchall()]
    except duckdb.Error as error:
        raise InputError(
            f"the query failed: {str(error).strip().splitlines()[0]}",
            "select from `records`, `decisions` or `gates`; `SELECT * FROM decisions LIMIT 1`",
        ) from None


def show_rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print the rows as a table; only a terminal's width cuts it."""
    from rich.markup import escape
    from rich.table import Table

    from ringfence.cli.consoles import output_console

    table = Table(*(escape(visible(name)) for name in names), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(visible(each)) for each in row))
    output_console(whole=True).print(table)


def _told(value: Any) -> Any:
    return finite(value) if isinstance(value, float) else value
