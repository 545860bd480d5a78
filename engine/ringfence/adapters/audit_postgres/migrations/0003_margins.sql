-- A margin is what is left, also of a limit that is the least that may be: negative beyond it.
CREATE OR REPLACE VIEW ringfence.gates AS
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
    CASE WHEN outcome = 'pass' THEN abs("limit" - measure)
      WHEN outcome IS NOT NULL THEN -abs("limit" - measure) END AS margin,
    coalesce(found.unit, described.unit) AS unit, reason,
    coalesce(found.file, described.file) AS file, coalesce(found.line, described.line)::numeric AS line
  FROM found LEFT JOIN described USING (chain, policy_set, gate);
