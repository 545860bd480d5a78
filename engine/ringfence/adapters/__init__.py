"""What fulfils the needs of `runtime` with somebody else's programs."""
