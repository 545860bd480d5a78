"""Foreign rows to canonical, sorted Parquet in a scratch directory: the general way into a dry run.

Three steps, all inside a locked database that spills: the source is read once and typed, each row with the
reason why it cannot be replayed, if any (`staged`); the rejects are counted; the rest is sorted by time and
place in the source. Memory does not grow with the source.
"""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ringfence.replay.columns import KINDS, LEFT_OUT, UNITS
from ringfence.replay.locate import Source
from ringfence.replay.locked import locked_database
from ringfence.replay.mapping import Mapping
from ringfence.replay.moments import whole_times
from ringfence.replay.rejects import Reject, Rejects
from ringfence.replay.section_sql import run, union_sql
from ringfence.replay.sql_check import quoted, text_literal
from ringfence.replay.wording import plural

# `nosec B608`: the SQL is put together from our own words, quoted names, and expressions that
# `sql_check` wrote; nothing else from outside gets in, and the database is locked.
__all__ = ["Preparation", "Prepared", "write_sorted"]

_GROUP_ROWS = 1 << 18
# Of what there is once: by which column, among which rows, and what a further one is called.
_ONCE = {
    "orders": ("order_id", "true", "duplicate order id"),
    "balances": ("book", "kind = 0", "the book is open already"),
}


@dataclass(slots=True)
class Prepared:
    """Canonical rows of one source in time order.

    Attributes:
        path: A Parquet file in the scratch directory.
        rows: Its rows.
        rejects: What could not be replayed.
        assumptions: What had to be taken for granted, in sentences.
        left_out: Rows that the mapping's `where` left out.
    """

    path: Path
    rows: int
    rejects: Rejects
    assumptions: list[str] = field(default_factory=list)
    left_out: int = 0


@dataclass(slots=True)
class Preparation:
    """Prepares sources into one scratch directory.

    Attributes:
        scratch: An existing directory of ours.
        threads: Threads of the database.
        memory_mb: Its memory before it spills, in MiB.
        reject_limit: Examples kept for each reason.
    """

    scratch: Path
    threads: int = 1
    memory_mb: int = 512
    reject_limit: int = 100

    def prepare(self, kind: str, source: Source, mapping: Mapping | None) -> Prepared:
        """Return the rows of `source` as canonical `kind`, sorted, without what cannot be replayed.

        Raises:
            InputError: the source cannot be read, or lacks columns.
            PolicyError: an expression of the mapping does not fit the source.
        """
        staged = self.scratch / f"{kind}.staged.parquet"
        result = Prepared(self.scratch / f"{kind}.parquet", 0, Rejects(self.reject_limit))
        grouped = mapping is not None and any(s.group_by for s in mapping.sections[kind])
        with locked_database(
            self.scratch,
            source.files,
            source.directories,
            # The sum of a group depends on its order, which only one thread keeps.
            threads=1 if grouped else self.threads,
            memory_mb=self.memory_mb,
        ) as database:
            result.assumptions += mapping.assumptions if mapping is not None else ()
            _stage(database, kind, source, mapping, staged, result)
            _count_rejects(database, staged, kind != "marks", result)
            newest_first = mapping is not None and mapping.reads.newest_first
            order = "ts, row DESC, part" if newest_first else "ts, row, part"
            if kind in _ONCE:
                _reject_repeated(database, kind, staged, order, result)
            _sort(database, kind, staged, order, result)
        staged.unlink()
        return result

    def extent(self, kind: str, source: Source, mapping: Mapping | None) -> tuple[int, int, int]:
        """Return rows, earliest and latest usable time of a source; nothing is sorted or copied."""
        with locked_database(
            self.scratch,
            source.files,
            source.directories,
            threads=self.threads,
            memory_mb=self.memory_mb,
        ) as database:
            union = union_sql(database, kind, source, mapping, [])
            query = f"SELECT count(*), min(ts), max(ts) FROM ({union})"  # nosec B608
            found = run(database, query, source)[0]
        rows, first, last = (int(str(value or 0)) for value in found)
        return rows, first, last


def _stage(
    database: duckdb.DuckDBPyConnection,
    kind: str,
    source: Source,
    mapping: Mapping | None,
    staged: Path,
    result: Prepared,
) -> None:
    union = union_sql(database, kind, source, mapping, result.assumptions)
    run(
        database,
        f"COPY ({union}) TO {text_literal(str(staged))} (FORMAT parquet, COMPRESSION lz4)",
        source,
    )


def _count_rejects(
    database: duckdb.DuckDBPyConnection, staged: Path, with_ids: bool, result: Prepared
) -> None:
    table = f"read_parquet({text_literal(str(staged))})"
    has_id = with_ids and "order_id" in {
        str(row[0])
        for row in database.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()  # nosec B608
    }
    counts = database.execute(
        f"SELECT reason, count(*) FROM {table} WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason"  # nosec B608
    ).fetchall()
    for reason, count in counts:
        if reason == LEFT_OUT:
            result.left_out += int(count)
            continue
        examples = database.execute(
            f"SELECT row, {'order_id' if has_id else 'NULL'}, detail FROM {table} WHERE reason = ? "  # nosec B608
            f"ORDER BY row, part LIMIT {result.rejects.limit}",
            [reason],
        ).fetchall()
        result.rejects.add(
            str(reason),
            int(count),
            (Reject(int(r), str(i or ""), str(reason), str(d or "")) for r, i, d in examples),
        )
    if result.left_out:
        result.assumptions.append(
            f"{plural(result.left_out, 'row')} left out by the mapping's `where`"
        )
    units = database.execute(
        f"SELECT unit, min(ts) FROM {table} WHERE unit > 0 AND reason IS NULL GROUP BY unit ORDER BY unit"  # nosec B608
    ).fetchall()
    if units:
        names = " and ".join(UNITS[int(unit[0])] for unit in units)
        first = min(int(unit[1]) for unit in units)
        result.assumptions.append(whole_times(names, first))


def _reject_repeated(
    database: duckdb.DuckDBPyConnection, kind: str, staged: Path, order: str, result: Prepared
) -> None:
    """Keep the first of what there can be once: a table `repeated` of (row, part) names the others."""
    key, which, reason = _ONCE[kind]
    table = f"read_parquet({text_literal(str(staged))})"
    good = f"reason IS NULL AND {which}"
    database.execute(
        f"CREATE TEMP TABLE repeated AS WITH often AS (SELECT {key} FROM {table} WHERE {good} "  # nosec B608
        f"GROUP BY {key} HAVING count(*) > 1), ranked AS (SELECT row, part, {key}, row_number() OVER "
        f"(PARTITION BY {key} ORDER BY {order}) AS place FROM {table} SEMI JOIN often "
        f"USING ({key}) WHERE {good}) SELECT row, part, {key} FROM ranked WHERE place > 1"
    )
    counted = database.execute("SELECT count(*) FROM repeated").fetchone()
    examples = database.execute(
        f"SELECT row, {key} FROM repeated ORDER BY row, part LIMIT {result.rejects.limit}"  # nosec B608
    ).fetchall()
    result.rejects.add(
        reason,
        int(counted[0]) if counted else 0,
        (Reject(int(row), str(key), reason, str(key)) for row, key in examples),
    )


def _sort(
    database: duckdb.DuckDBPyConnection, kind: str, staged: Path, order: str, result: Prepared
) -> None:
    names = [column.name for column in KINDS[kind]] + ["row"]
    # An unpivoted row is several marks of one row: the symbol keeps their order fixed.
    order += ", symbol" if kind == "marks" else ""
    repeated = kind in _ONCE and _ONCE[kind][2] in result.rejects.counts
    once = " ANTI JOIN repeated USING (row, part)" if repeated else ""
    items = ", ".join(quoted(name) for name in names)
    query = (
        f"SELECT {items} FROM read_parquet({text_literal(str(staged))}){once} "  # nosec B608
        f"WHERE reason IS NULL ORDER BY {order}"
    )
    result.rows = write_sorted(database, query, result.path)


def write_sorted(database: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write the rows of a sorted `query` to a Parquet file, in their order; return their number.

    Not by `COPY`: when DuckDB 2.0 spills, that puts some row groups of a sorted query out of order.
    """
    rows = 0
    reader = database.sql(query).to_arrow_reader(_GROUP_ROWS)
    words = [f.name for f in reader.schema if pa.types.is_string(f.type) and f.name != "order_id"]
    with pq.ParquetWriter(
        path, reader.schema, compression="lz4", use_dictionary=words, write_statistics=["order_id"]
    ) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows
