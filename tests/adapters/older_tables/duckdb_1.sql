CREATE TABLE IF NOT EXISTS records (seq BIGINT PRIMARY KEY, ts TIMESTAMPTZ, kind VARCHAR, body JSON, prev VARCHAR, hash VARCHAR);
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
