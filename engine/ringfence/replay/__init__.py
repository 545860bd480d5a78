"""The dry run: orders, fills, marks and balances through a policy set, and what is told of it.

What lies where:

- The run: `dry_run`, `stages`, `pipeline`, `compiled`; `request_file`, `remade` and `limit_use` look at one again.
- Where rows come from: `sources`, `locate`, `locked`, `opening`, `section_sql`, `source_columns`, `columns`, `prepare`, `rejects`.
- Mappings, and SQL from outside: `mapping`, `mapping_document`, `sql_check`, `sql_allowed`.
- Streams for the engine: `streams`, `batches`, `decode`, `codes`, `fills`, `parquet_files`.
- The engine: `engine`, `engine_*`, `trading_days`, `changed_books`.
- What was decided: `decided`, `tally`, `buckets`, `changes`, `jit_tally`; on disk `results`, `parquet_pages`, `page_chunks`,
  `compact_bytes`, `jit_pages`, `jit_text`.
- The reports: `summary`, `moments`, `wording`, `terminal`, `markdown`, `report`, `report_figures`, `charts`, `inline_svg`.
- Beside it: `correlations` (estimated from marks), `audit_words` (records of the audit log in words).
"""
