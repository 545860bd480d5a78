"""Backups of a guard's directory: taken while it runs, checked, and restored into an empty one."""
