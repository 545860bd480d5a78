"""Several processes that answer on one port, over books that they share in Redis."""
