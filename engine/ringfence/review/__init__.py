"""What stands between a changed policy and its use: mistakes, tests, proofs, plans, approvals and the gate of a change.

What lies where:

- Mistakes and taste: `mistakes`, `lint`, `lint_*`, `layout`, `layout_*` (`ringfence fmt`).
- Tests: `test_runner`, `testing`; cases at the edges of gates: `boundaries`, `edges`, `case_text`, `moved_cases`, `plainer`, `sayable`.
- Proofs: `proofs`, `proof_*`, `obligations`, `counterexamples`, `cells`.
- What differs between two sets, and in which direction: `matching`, `limit_changes`, `beside_changes`, `directions`,
  `cell_directions`, `directed_changes`, `halt_changes`, `set_effects`, `limit_words`, `witness_words`.
- What checks less than before: `lost_checks`, `lost_cases`.
- Plans and approvals: `plan`, `plan_*`, `approval_rules`, `given_approvals`.
- The gate: `gate`, `gate_*`, `merge_base`.
- Looking at limits: `effective_limits`, `explaining`, `suggesting`.
- Beginning: `scaffold` (`ringfence init`), `new_documents`.
"""
