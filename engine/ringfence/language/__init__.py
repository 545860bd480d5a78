"""The language: strict YAML, schemas, units, expressions, rules, policies and policy sets."""
