"""Records of the audit log as columns: what exports, queries and databases hold."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import pyarrow as pa

from ringfence.runtime.audit_codec import plain_text
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import Record
from ringfence.runtime.audit_stored import Stored

__all__ = ["SCHEMA", "STORED_SCHEMA", "TABLES", "batches", "stored_table"]

#: The columns of an exported record; `body` is JSON.
SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("ts", pa.timestamp("ns", tz="UTC")),
        ("kind", pa.string()),
        ("body", pa.string()),
        ("prev", pa.string()),
        ("hash", pa.string()),
    ]
)
#: The columns of a record in a database, as `TABLES` has them.
STORED_SCHEMA = pa.schema([*SCHEMA, ("original", pa.string()), ("masked", pa.bool_())])
_BATCH = 10_000
#: The table of records, and views that take decisions and their gates out of it, for DuckDB. A measure that is not known is null there, since
#: a database takes NaN for larger than any number.
TABLES = """
CREATE TABLE IF NOT EXISTS records (seq BIGINT PRIMARY KEY, ts TIMESTAMPTZ, kind VARCHAR, body JSON, prev VARCHAR, hash VARCHAR, original VARCHAR, masked BOOLEAN);
CREATE OR REPLACE VIEW decisions AS
  SELECT seq, ts, body->>'$.id' AS id, o->>'$.account' AS account, o->>'$.strategy' AS strategy,
    o->>'$.venue' AS venue, o->>'$.symbol' AS symbol, o->>'$.side' AS side, o->>'$.type' AS type,
    TRY_CAST(o->>'$.size' AS DOUBLE) AS asked, TRY_CAST(o->>'$.price' AS DOUBLE) AS price,
    body->>'$.decision' AS decision, body->>'$.code' AS code, body->>'$.reason' AS reason,
    TRY_CAST(body->>'$.size' AS DOUBLE) AS size, body->>'$.policy_set' AS policy_set
  FROM (SELECT *, coalesce(body->'$.order', body->'$.inputs.order') AS o FROM records WHERE kind = 'decision');
CREATE OR REPLACE VIEW gates AS
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


def batches(records: Iterable[Record], mask: Mask) -> Iterator[pa.RecordBatch]:
    """The records as columns, some thousands at a time, secrets hidden."""
    coming = iter(records)
    while rows := list(islice(coming, _BATCH)):
        yield pa.record_batch(
            [
                [each.sequence for each in rows],
                [each.ts_ns for each in rows],
                [each.kind for each in rows],
                [plain_text(mask.hide(each.body)) for each in rows],
                [each.prev for each in rows],
                [each.hash for each in rows],
            ],
            schema=SCHEMA,
        )


def stored_table(rows: Sequence[Stored]) -> pa.Table:
    """The rows as columns of `STORED_SCHEMA`."""
    sequence, ts_ns, kind, body, original, masked, prev, digest, _ = (
        zip(*rows, strict=True) if rows else [()] * len(Stored._fields)
    )
    columns = (sequence, ts_ns, kind, body, prev, digest, original, masked)
    return pa.table(
        [pa.array(each, field.type) for each, field in zip(columns, STORED_SCHEMA, strict=True)],
        schema=STORED_SCHEMA,
    )
