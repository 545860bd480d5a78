"""Limits out of history, and as a patch to the policy files."""
