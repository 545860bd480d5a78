"""A SELECT over the audit log, in a database in memory that can reach nothing else."""

from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from ringfence.cli.output import finite
from ringfence.errors import InputError
from ringfence.replay.sql_check import RefusedSqlError, SqlChecker, as_input_error
from ringfence.replay.wording import visible
from ringfence.runtime.audit_columns import SCHEMA, TABLES, batches
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import Record

__all__ = ["query", "show_rows"]

_LOCKED = """
SET enable_external_access=false; SET TimeZone='UTC'; SET lock_configuration=true;
"""
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
}


def query(
    sql: str, records: Iterable[Record], mask: Mask
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and the rows that a SELECT answers.

    Args:
        sql: A SELECT over `records` (seq, ts, kind, body, prev, hash), `decisions` and `gates`.
        records: The log.
        mask: What is hidden before the SELECT sees it.

    Raises:
        InputError: it is no SELECT, reaches for something else, or fails.
        AuditError: the log cannot be read.
    """
    try:
        with SqlChecker() as checker:
            safe, _ = checker.select(sql)
    except RefusedSqlError as error:
        raise as_input_error(error, "the query") from None
    with duckdb.connect(config=_CONFIG) as database:
        database.execute(TABLES)
        for batch in batches(records, mask):
            database.register("coming", pa.Table.from_batches([batch], SCHEMA))
            database.execute("INSERT INTO records SELECT * FROM coming")
            database.unregister("coming")
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
    """Print the rows as a table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*(escape(visible(name)) for name in names), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(visible(each)) for each in row))
    Console().print(table)


def _told(value: Any) -> Any:
    return finite(value) if isinstance(value, float) else value
