"""A deployment with Compose: checked, built, started, tried, and taken back where it fails."""
