"""The policy set as a running thing: books, the guard, the audit log, approvals, and what all of it needs of others.

What lies where:

- Books: `ledger`, `ledger_state`, `known_orders`, `told_values`, `book_arrays`, `book_view`, `latest_rows`, `trading_day`,
  `reconciliation`; `kill_switches` and `breach_ticks` halt them.
- The guard: `guard` and `guard_*`; `asked` (what it is asked), `order_columns`, `evaluator` (the kernel on its books),
  `usual_*` (the usual order in one call), `decision_record` and `recent_evidence` (what it records).
- Where books are kept: `books_keeper`, `state_directory` (one process), `shared_*` (several, over one log).
- Groups of guards, and a firm's limits over them: `firm_slices`, `sliced_limits`, `slice_use`, `group_visit`.
- The audit log: `audit_*`; `told_books` for books that are too large to be told anew each time.
- A decision derived again from its record: `derive`, `derived_*`, `evidence_read`, `recompute_record`.
- Policy sets: `policy_*`; `revisions`, `repository`, `git_reading`, `commits` for those of a Git repository.
- Limits as they stand: `limits_now`, `limit_*`; `standing_gates` (what halts books without an order).
- Orders out: `approvals`, `used_approvals`, `exchanges`, `market_cache`.
- Metrics: `metrics`, `metric_table`, `slice_metrics`.
- Files and secrets: `backups`, `credentials`, `secret_files`, `output_files`, `temporary`.
- The process: `ports` (the seam to clock, randomness and files), `forks`, `garbage`.
"""
