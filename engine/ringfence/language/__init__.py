"""The language: strict YAML, schemas, units, expressions, rules, policies and policy sets.

What lies where:

- YAML with places: `source`, `document_builder`, `scalars`, `yaml_files`, `yaml_findings`, `syntax_faults`.
- The shape of a document: `schema`, `schema_fast`, `schema_findings`, `broken_parts`, `editor_schema`.
- Expressions: `parser`, `ir`, `units`, `fields`, `slopes`, `differences`.
- Documents: `rules`, `rule_library`, `parameters`, `gates`, `scopes`, `scope_classes`, `instruments`, `invariants`,
  `invariant_library`, `policy_tests`, `plain_cases`.
- Policy sets: `linking`, `set_findings`, `canonical`, `changed_limits`.
- Orders and answers: `orders`, `tickets`, `decision`, `answers`.
- Findings: `codes`, `suggest`, `render`, `render_sarif`.
"""
