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

-- Gates in the long form and in the short one, as `ringfence audit query` has them. What is unknown is null.
CREATE VIEW ringfence.gates AS
  SELECT chain, seq, ts, gate, rule, policy, level, mode, outcome, "check",
    measure, "limit", "limit" - measure AS margin, unit, reason, file, line
  FROM (
    SELECT chain, seq, ts,
      coalesce(g ->> 'gate', g ->> 0) AS gate, g ->> 'rule' AS rule, g ->> 'policy' AS policy,
      g ->> 'level' AS level, g ->> 'mode' AS mode, coalesce(g ->> 'outcome', g ->> 1) AS outcome,
      g ->> 'check' AS "check",
      CASE json_typeof(coalesce(g -> 'measure', g -> 2)) WHEN 'number'
        THEN coalesce(g ->> 'measure', g ->> 2)::double precision END AS measure,
      CASE json_typeof(coalesce(g -> 'limit', g -> 3)) WHEN 'number'
        THEN coalesce(g ->> 'limit', g ->> 3)::double precision END AS "limit",
      g ->> 'unit' AS unit, g ->> 'reason' AS reason, g ->> 'file' AS file,
      CASE json_typeof(g -> 'line') WHEN 'number' THEN (g ->> 'line')::numeric END AS line
    FROM ringfence.records
    CROSS JOIN LATERAL json_array_elements(
      CASE json_typeof(body -> 'gates') WHEN 'array' THEN body -> 'gates' ELSE '[]' END
    ) AS g
    WHERE kind = 'decision'
  ) AS taken_apart;

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
