"""A SELECT over the audit log, in a database in memory that can reach nothing else."""

from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from ringfence.cli.audit_export import SCHEMA, batches
from ringfence.cli.output import finite
from ringfence.errors import InputError
from ringfence.replay.sql_check import RefusedSqlError, SqlChecker, as_input_error
from ringfence.replay.wording import visible
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import Record

__all__ = ["query", "show_rows"]

# A measure that is not known is null: a database takes NaN for larger than any number.
_TABLES = """
CREATE TABLE records (seq BIGINT, ts TIMESTAMPTZ, kind VARCHAR, body JSON, prev VARCHAR, hash VARCHAR);
CREATE VIEW decisions AS
  SELECT seq, ts, body->>'$.id' AS id, o->>'$.account' AS account, o->>'$.strategy' AS strategy,
    o->>'$.venue' AS venue, o->>'$.symbol' AS symbol, o->>'$.side' AS side, o->>'$.type' AS type,
    TRY_CAST(o->>'$.size' AS DOUBLE) AS asked, TRY_CAST(o->>'$.price' AS DOUBLE) AS price,
    body->>'$.decision' AS decision, body->>'$.code' AS code, body->>'$.reason' AS reason,
    TRY_CAST(body->>'$.size' AS DOUBLE) AS size, body->>'$.policy_set' AS policy_set
  FROM (SELECT *, coalesce(body->'$.order', body->'$.inputs.order') AS o FROM records WHERE kind = 'decision');
CREATE VIEW gates AS
  SELECT seq, ts, coalesce(g->>'$.gate', g->>'$[0]') AS gate, g->>'$.rule' AS rule, g->>'$.policy' AS policy,
    g->>'$.level' AS level, g->>'$.mode' AS mode, coalesce(g->>'$.outcome', g->>'$[1]') AS outcome,
    g->>'$.check' AS "check",
    TRY_CAST(nullif(coalesce(g->>'$.measure', g->>'$[2]'), 'NaN') AS DOUBLE) AS measure,
    TRY_CAST(nullif(coalesce(g->>'$.limit', g->>'$[3]'), 'NaN') AS DOUBLE) AS "limit",
    "limit" - measure AS margin, g->>'$.unit' AS unit, g->>'$.reason' AS reason, g->>'$.file' AS file,
    TRY_CAST(g->>'$.line' AS BIGINT) AS line
  FROM (
    SELECT seq, ts, unnest(CAST(body->'$.gates' AS JSON[])) AS g FROM records
    WHERE kind = 'decision' AND json_type(body->'$.gates') = 'ARRAY'
  );
"""
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
        database.execute(_TABLES)
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
