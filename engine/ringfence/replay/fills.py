"""Fills find their orders: each gets the place of its order in the sorted stream, each order its count.

Both files are already canonical and sorted (`Preparation.prepare`); the join spills like everything else.
"""

import duckdb

from ringfence.replay.locked import locked_database
from ringfence.replay.prepare import Preparation, Prepared, write_sorted
from ringfence.replay.rejects import Reject
from ringfence.replay.sql_check import text_literal
from ringfence.replay.wording import plural

# `nosec B608`: the SQL is put together from our own words, quoted names, and expressions that
# `sql_check` wrote; nothing else from outside gets in, and the database is locked.
__all__ = ["join_fills"]

_UNKNOWN = "fill of an unknown order"
_EARLY = "fill is earlier than its order"
_LATE = "fill is later than the end of its order"
_OVER = "fill of an order that was already filled"
_ALL = 1.0 - 1e-9


def join_fills(preparation: Preparation, orders: Prepared, fills: Prepared) -> None:
    """Rewrite both: fills get `position` and `last`, orders get `n_fills`.

    `position` is the place of the fill's order among the orders that can be replayed, from 0, in time
    order; `last` is 1 for the last fill of an order without an end of its own, which ends there. Fills whose
    order is unknown (or cannot itself be replayed), that are earlier than their order or later than its end,
    or that come after it was filled, become rejects of `fills`.
    """
    joined = fills.path.with_suffix(".joined.parquet")
    counted = orders.path.with_suffix(".counted.parquet")
    with locked_database(
        preparation.scratch, threads=preparation.threads, memory_mb=preparation.memory_mb
    ) as database:
        left, right = _table(fills.path), _table(orders.path, numbered=True)
        placed = (
            f"SELECT f.*, o.position, o.asked, o.end_ts IS NULL AS endless, "  # nosec B608
            f"CASE WHEN o.position IS NULL THEN {text_literal(_UNKNOWN)} "
            f"WHEN f.ts < o.ts THEN {text_literal(_EARLY)} "
            f"WHEN f.ts > o.end_ts THEN {text_literal(_LATE)} END AS reason FROM {left} f LEFT JOIN "
            f"(SELECT order_id, ts, nullif(end_ts, 0) AS end_ts, size AS asked, file_row_number AS position FROM {right}) o "
            f"USING (order_id)"
        )
        # A little less than all is all: sizes are sums of decimals.
        placed = (
            f"SELECT * EXCLUDE (before, reason), CASE WHEN reason IS NULL AND before >= asked * {_ALL} "  # nosec B608
            f"THEN {text_literal(_OVER)} ELSE reason END AS reason FROM (SELECT *, sum(size) OVER ("
            f"PARTITION BY position, reason IS NULL ORDER BY ts, row "
            f"ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM ({placed}))"
        )
        all_fills = fills.path.with_suffix(".placed.parquet")
        database.execute(
            f"COPY ({placed}) TO {text_literal(str(all_fills))} (FORMAT parquet, COMPRESSION lz4)"
        )
        kept = _table(all_fills)
        _reject(database, kept, fills)
        _note_unfinished(database, kept, fills)
        last = (
            "endless AND row_number() OVER (PARTITION BY position ORDER BY ts DESC, row DESC) = 1"
        )
        fills.rows = write_sorted(
            database,
            f"SELECT ts, position, size, price, fee, CAST({last} AS UTINYINT) AS last, row FROM {kept} "  # nosec B608
            f"WHERE reason IS NULL ORDER BY ts, position, row",
            joined,
        )
        write_sorted(
            database,
            f"SELECT o.* EXCLUDE (file_row_number), CAST(coalesce(c.n, 0) AS INTEGER) AS n_fills "  # nosec B608
            f"FROM {right} o LEFT JOIN (SELECT position, count(*) AS n FROM {kept} WHERE reason IS NULL "
            f"GROUP BY position) c ON o.file_row_number = c.position ORDER BY o.file_row_number",
            counted,
        )
    all_fills.unlink()
    joined.replace(fills.path)
    counted.replace(orders.path)


def _note_unfinished(database: duckdb.DuckDBPyConnection, table: str, fills: Prepared) -> None:
    """Say how many orders end at their last fill, for want of another end."""
    found = database.execute(
        f"SELECT count(*) FROM (SELECT position FROM {table} WHERE reason IS NULL AND endless "  # nosec B608
        f"GROUP BY position HAVING sum(size) < any_value(asked) * {_ALL})"
    ).fetchall()[0][0]
    if found:
        fills.assumptions.append(
            f"taken as ended at their last fill, partly filled, for want of an end: "
            f"{plural(int(found), 'order')}"
        )


def _reject(database: duckdb.DuckDBPyConnection, table: str, fills: Prepared) -> None:
    for reason in (_UNKNOWN, _EARLY, _LATE, _OVER):
        count = database.execute(
            f"SELECT count(*) FROM {table} WHERE reason = ?", [reason]  # nosec B608
        ).fetchone()
        examples = database.execute(
            f"SELECT row, order_id FROM {table} WHERE reason = ? ORDER BY row LIMIT {fills.rejects.limit}",  # nosec B608
            [reason],
        ).fetchall()
        fills.rejects.add(
            reason,
            int(count[0]) if count else 0,
            (Reject(int(row), str(key), reason, str(key)) for row, key in examples),
        )


def _table(path: object, *, numbered: bool = False) -> str:
    """SQL of a Parquet file; `numbered` adds `file_row_number`, the place in the stream."""
    return f"read_parquet({text_literal(str(path))}{', file_row_number=true' if numbered else ''})"
