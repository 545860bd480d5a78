-- Records of the audit log, decisions taken out of them, and who may do what.
-- The owner is whoever migrates. Users that log in are granted one of the two roles:
--   ringfence_writer  may add records and ask how far a log has come; it reads, changes and removes nothing
--   ringfence_reader  may read

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ringfence_writer') THEN
    CREATE ROLE ringfence_writer NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was first
END $$;
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ringfence_reader') THEN
    CREATE ROLE ringfence_reader NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- `body` is the log's own text (type json keeps it as it is), so that a record's hash can be computed from its row:
-- unless `masked`, of coalesce(original, body::text). `original` is there where `body` had letters replaced that
-- PostgreSQL does not take.
CREATE TABLE ringfence.records (
  chain text NOT NULL,
  seq bigint NOT NULL CHECK (seq > 0),
  ts_ns bigint NOT NULL,
  ts timestamptz NOT NULL
    GENERATED ALWAYS AS (to_timestamp((ts_ns / 1000)::double precision / 1000000)) STORED,
  kind text NOT NULL,
  body json NOT NULL,
  original text,
  masked boolean NOT NULL,
  prev text NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY (chain, seq)
);
-- Records come in the order of their time, so that an index of ranges of blocks is all it takes.
CREATE INDEX records_ts ON ringfence.records USING brin (ts);

-- Text is cut to 256 letters here (an index takes no more than some), and numbers that are none are null.
CREATE TABLE ringfence.decisions (
  chain text NOT NULL,
  seq bigint NOT NULL,
  ts_ns bigint NOT NULL,
  ts timestamptz NOT NULL
    GENERATED ALWAYS AS (to_timestamp((ts_ns / 1000)::double precision / 1000000)) STORED,
  id text,
  account text,
  strategy text,
  venue text,
  symbol text,
  side text,
  type text,
  asked numeric,
  price numeric,
  decision text,
  code text,
  reason text,
  size numeric,
  policy_set text,
  PRIMARY KEY (chain, seq)
);
CREATE INDEX decisions_ts ON ringfence.decisions USING brin (ts);
CREATE INDEX decisions_id ON ringfence.decisions (id);

-- The faster of the two ways to press bodies together, where this server was built with it.
DO $$ BEGIN
  ALTER TABLE ringfence.records ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN NULL;
END $$;

-- What the log says of each policy set, once, before it decides.
CREATE INDEX records_policy_sets ON ringfence.records (chain, seq) WHERE kind = 'policy-set';

-- The little-endian float64 that begins at a byte; null where it is none, not a number or infinite. Every step is exact.
CREATE FUNCTION ringfence.float8_at(content bytea, at integer) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN exponent = 2047 THEN NULL
    WHEN exponent = 0 THEN sign * mantissa * power(2::double precision, -1074)
    ELSE sign * (1 + mantissa / 4503599627370496) * power(2::double precision, exponent - 1023)
  END
  FROM (
    SELECT
      CASE WHEN b7 >= 128 THEN -1::double precision ELSE 1 END AS sign,
      (b7 & 127) * 16 + b6 / 16 AS exponent,
      ((b6 & 15) * 281474976710656 + low)::double precision AS mantissa
    FROM (
      SELECT get_byte(content, at + 7) AS b7, get_byte(content, at + 6) AS b6,
        get_byte(content, at)::bigint + get_byte(content, at + 1) * 256::bigint
        + get_byte(content, at + 2) * 65536::bigint + get_byte(content, at + 3) * 16777216::bigint
        + get_byte(content, at + 4) * 4294967296 + get_byte(content, at + 5) * 1099511627776 AS low
      WHERE at >= 0 AND at + 8 <= octet_length(content)
    ) AS bytes
  ) AS parts
$$;

-- Gates in each of the forms that a decision may have them in (`audit_decision` in the Python package). What is unknown is
-- null; what a short form leaves out comes from the record of the policy set. Two policies may use one name: then
-- only what they agree on is known.
CREATE VIEW ringfence.gates AS
  WITH described AS (
    SELECT chain, policy_set, gate,
      CASE WHEN min(rule) = max(rule) THEN min(rule) END AS rule,
      CASE WHEN min(policy) = max(policy) THEN min(policy) END AS policy,
      CASE WHEN min(level) = max(level) THEN min(level) END AS level,
      CASE WHEN min(mode) = max(mode) THEN min(mode) END AS mode,
      CASE WHEN min(unit) = max(unit) THEN min(unit) END AS unit,
      CASE WHEN min(file) = max(file) THEN min(file) END AS file,
      CASE WHEN min(line) = max(line) THEN min(line) END AS line
    FROM (
      SELECT chain, body ->> 'policy_set' AS policy_set, g ->> 'gate' AS gate, g ->> 'rule' AS rule,
        g ->> 'policy' AS policy, g ->> 'level' AS level, g ->> 'mode' AS mode, g ->> 'unit' AS unit,
        g ->> 'file' AS file, g ->> 'line' AS line
      FROM ringfence.records
      CROSS JOIN LATERAL json_array_elements(
        CASE json_typeof(body -> 'gates') WHEN 'array' THEN body -> 'gates' ELSE '[]' END
      ) AS g
      WHERE kind = 'policy-set'
    ) AS told
    GROUP BY chain, policy_set, gate
  ),
  found AS (
    SELECT chain, seq, ts, body ->> 'policy_set' AS policy_set,
      coalesce(g ->> 'gate', g ->> 0) AS gate, g ->> 'rule' AS rule, g ->> 'policy' AS policy,
      g ->> 'level' AS level, g ->> 'mode' AS mode, coalesce(g ->> 'outcome', g ->> 1) AS outcome,
      g ->> 'check' AS "check",
      CASE json_typeof(coalesce(g -> 'measure', g -> 2)) WHEN 'number'
        THEN coalesce(g ->> 'measure', g ->> 2)::double precision END AS measure,
      CASE json_typeof(coalesce(g -> 'limit', g -> 3)) WHEN 'number'
        THEN coalesce(g ->> 'limit', g ->> 3)::double precision END AS "limit",
      g ->> 'unit' AS unit, g ->> 'reason' AS reason, g ->> 'file' AS file, g ->> 'line' AS line
    FROM ringfence.records
    CROSS JOIN LATERAL json_array_elements(
      CASE json_typeof(body -> 'gates') WHEN 'array' THEN body -> 'gates' ELSE '[]' END
    ) AS g
    WHERE kind = 'decision'
    UNION ALL
    SELECT chain, seq, ts, body ->> 'policy_set', packed.gate, NULL, NULL, NULL, NULL,
      CASE WHEN place.at BETWEEN 0 AND count.gates - 1 THEN
        coalesce(
          (ARRAY['unknown', 'pass', 'reduce', 'breach', 'exempt', 'unknown'])[
            1 + get_byte(content.bytes, 16 * count.gates + place.at)],
          'unknown')
      END,
      NULL,
      ringfence.float8_at(content.bytes, 8 * place.at),
      ringfence.float8_at(content.bytes, 8 * (count.gates + place.at)),
      NULL, NULL, NULL, NULL
    FROM ringfence.records
    CROSS JOIN LATERAL (SELECT decode(body #>> '{gates,found}', 'base64') AS bytes) AS content
    CROSS JOIN LATERAL (SELECT octet_length(content.bytes) / 17 AS gates) AS count
    CROSS JOIN LATERAL ROWS FROM (
      json_array_elements_text(CASE json_typeof(body #> '{gates,names}') WHEN 'array'
        THEN body #> '{gates,names}' ELSE '[]' END),
      json_array_elements_text(CASE json_typeof(body #> '{gates,columns}') WHEN 'array'
        THEN body #> '{gates,columns}' ELSE '[]' END)
    ) AS packed(gate, at_text)
    CROSS JOIN LATERAL (SELECT at_text::integer AS at) AS place
    WHERE kind = 'decision' AND json_typeof(body -> 'gates') = 'object'
  )
  SELECT chain, seq, ts, gate, coalesce(found.rule, described.rule) AS rule,
    coalesce(found.policy, described.policy) AS policy, coalesce(found.level, described.level) AS level,
    coalesce(found.mode, described.mode) AS mode, outcome, "check", measure, "limit",
    "limit" - measure AS margin, coalesce(found.unit, described.unit) AS unit, reason,
    coalesce(found.file, described.file) AS file, coalesce(found.line, described.line)::numeric AS line
  FROM found LEFT JOIN described USING (chain, policy_set, gate);

-- Where a log stands here. Held until the transaction ends, so that two writers of one log take turns.
CREATE FUNCTION ringfence.audit_begin(of_chain text, OUT last_seq bigint, OUT last_hash text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ringfence-audit ' || of_chain, 0));
  SELECT seq, hash INTO last_seq, last_hash
    FROM ringfence.records WHERE chain = of_chain ORDER BY seq DESC LIMIT 1;
END $$;

REVOKE ALL ON FUNCTION ringfence.audit_begin(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA ringfence TO ringfence_writer, ringfence_reader;
GRANT EXECUTE ON FUNCTION ringfence.audit_begin(text) TO ringfence_writer;
GRANT INSERT ON ringfence.records, ringfence.decisions TO ringfence_writer;
GRANT SELECT ON ringfence.records, ringfence.decisions, ringfence.gates TO ringfence_reader;
GRANT SELECT ON ringfence.schema_version TO ringfence_writer, ringfence_reader;
