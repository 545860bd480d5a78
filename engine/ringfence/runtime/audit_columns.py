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
#: The table of records, and views that take decisions and their gates out of it, for DuckDB. A measure that is not
#: known is null there, since a database takes NaN for larger than any number.
TABLES = """
CREATE TABLE IF NOT EXISTS records (seq BIGINT PRIMARY KEY, ts TIMESTAMPTZ, kind VARCHAR, body JSON USING COMPRESSION zstd, prev VARCHAR, hash VARCHAR,
  original VARCHAR, masked BOOLEAN);
-- Files that older versions made lack them; of the records there nobody knows whether something was masked.
ALTER TABLE records ADD COLUMN IF NOT EXISTS original VARCHAR;
ALTER TABLE records ADD COLUMN IF NOT EXISTS masked BOOLEAN;
CREATE OR REPLACE VIEW decisions AS
  SELECT seq, ts, body->>'$.id' AS id, o->>'$.account' AS account, o->>'$.strategy' AS strategy,
    o->>'$.venue' AS venue, o->>'$.symbol' AS symbol, o->>'$.side' AS side, o->>'$.type' AS type,
    TRY_CAST(o->>'$.size' AS DOUBLE) AS asked, TRY_CAST(o->>'$.price' AS DOUBLE) AS price,
    body->>'$.decision' AS decision, body->>'$.code' AS code, body->>'$.reason' AS reason,
    TRY_CAST(body->>'$.size' AS DOUBLE) AS size, body->>'$.policy_set' AS policy_set,
    body->>'$.request_id' AS request_id
  FROM (SELECT *, coalesce(body->'$.order', body->'$.inputs.order') AS o FROM records WHERE kind = 'decision');
-- The little-endian float64 that begins at byte `a` of what `h` is the hex of; null where it is none, not a number or
-- infinite. Every step is exact.
CREATE OR REPLACE MACRO bits_at(h, a) AS
  TRY_CAST('0x' || h[2*a+15:2*a+16] || h[2*a+13:2*a+14] || h[2*a+11:2*a+12] || h[2*a+9:2*a+10]
    || h[2*a+7:2*a+8] || h[2*a+5:2*a+6] || h[2*a+3:2*a+4] || h[2*a+1:2*a+2] AS UBIGINT);
CREATE OR REPLACE MACRO float_of(b) AS
  CASE (b >> 52) & 2047 WHEN 2047 THEN NULL
    WHEN 0 THEN (b & 4503599627370495)::DOUBLE * pow(2.0, -1074) * CASE WHEN b >> 63 = 1 THEN -1 ELSE 1 END
    ELSE (1 + (b & 4503599627370495)::DOUBLE / 4503599627370496) * pow(2.0, ((b >> 52) & 2047)::INTEGER - 1023)
      * CASE WHEN b >> 63 = 1 THEN -1 ELSE 1 END END;
CREATE OR REPLACE VIEW gates AS
  WITH described AS (
    SELECT policy_set, gate, CASE WHEN min(rule) = max(rule) THEN min(rule) END AS rule,
      CASE WHEN min(policy) = max(policy) THEN min(policy) END AS policy,
      CASE WHEN min(level) = max(level) THEN min(level) END AS level,
      CASE WHEN min(mode) = max(mode) THEN min(mode) END AS mode,
      CASE WHEN min(unit) = max(unit) THEN min(unit) END AS unit,
      CASE WHEN min(file) = max(file) THEN min(file) END AS file,
      CASE WHEN min(line) = max(line) THEN min(line) END AS line
    FROM (
      SELECT policy_set, g->>'$.gate' AS gate, g->>'$.rule' AS rule, g->>'$.policy' AS policy,
        g->>'$.level' AS level, g->>'$.mode' AS mode, g->>'$.unit' AS unit, g->>'$.file' AS file,
        g->>'$.line' AS line
      FROM (
        SELECT body->>'$.policy_set' AS policy_set, unnest(CAST(body->'$.gates' AS JSON[])) AS g FROM records
        WHERE kind = 'policy-set' AND json_type(body->'$.gates') = 'ARRAY'
      )
    )
    GROUP BY policy_set, gate
  ),
  found AS (
    SELECT seq, ts, policy_set, coalesce(g->>'$.gate', g->>'$[0]') AS gate, g->>'$.rule' AS rule,
      g->>'$.policy' AS policy, g->>'$.level' AS level, g->>'$.mode' AS mode,
      coalesce(g->>'$.outcome', g->>'$[1]') AS outcome, g->>'$.check' AS "check",
      TRY_CAST(coalesce(g->>'$.measure', g->>'$[2]') AS DOUBLE) AS measure,
      TRY_CAST(coalesce(g->>'$.limit', g->>'$[3]') AS DOUBLE) AS "limit",
      g->>'$.unit' AS unit, g->>'$.reason' AS reason, g->>'$.file' AS file, g->>'$.line' AS line
    FROM (
      SELECT seq, ts, body->>'$.policy_set' AS policy_set, unnest(CAST(body->'$.gates' AS JSON[])) AS g FROM records
      WHERE kind = 'decision' AND json_type(body->'$.gates') = 'ARRAY'
    )
    UNION ALL BY NAME
    SELECT seq, ts, policy_set, gate,
      CASE WHEN a IS NOT NULL THEN coalesce(['unknown', 'pass', 'reduce', 'breach', 'exempt', 'unknown'][
        1 + TRY_CAST('0x' || h[32*n+2*a+1:32*n+2*a+2] AS INTEGER)], 'unknown') END AS outcome,
      float_of(bits_at(h, 8*a)) AS measure, float_of(bits_at(h, 8*(n+a))) AS "limit"
    FROM (
      SELECT seq, ts, policy_set, gate, h, length(h) // 34 AS n, CASE WHEN a BETWEEN 0 AND n - 1 THEN a END AS a FROM (
        SELECT seq, ts, body->>'$.policy_set' AS policy_set, TRY(hex(from_base64(body->>'$.gates.found'))) AS h,
          unnest(TRY_CAST(body->'$.gates.names' AS VARCHAR[])) AS gate,
          unnest(TRY_CAST(body->'$.gates.columns' AS INTEGER[])) AS a
        FROM records WHERE kind = 'decision' AND json_type(body->'$.gates') = 'OBJECT'
      )
    )
  )
  SELECT seq, ts, gate, coalesce(found.rule, described.rule) AS rule, coalesce(found.policy, described.policy) AS policy,
    coalesce(found.level, described.level) AS level, coalesce(found.mode, described.mode) AS mode, outcome, "check",
    measure, "limit",
    CASE WHEN outcome = 'pass' THEN abs("limit" - measure)
      WHEN outcome IS NOT NULL THEN -abs("limit" - measure) END AS margin, coalesce(found.unit, described.unit) AS unit, reason,
    coalesce(found.file, described.file) AS file, TRY_CAST(coalesce(found.line, described.line) AS BIGINT) AS line
  FROM found LEFT JOIN described USING (policy_set, gate);
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
