"""Benchmarks of Ringfence: `python -m benchmarks` (docs/benchmarks.md says what is measured, and how)."""
