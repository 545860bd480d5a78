"""Generates the reference pages; `python -m docs.generate` from the root of a checkout."""
