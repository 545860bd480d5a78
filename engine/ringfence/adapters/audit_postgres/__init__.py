"""The audit log in PostgreSQL, 15 or newer: a sink that may only insert, migrations, and questions."""

from ringfence.adapters.audit_postgres.dump import dump, restore_dump
from ringfence.adapters.audit_postgres.migrations_run import Migration, migrate
from ringfence.adapters.audit_postgres.question import ask
from ringfence.adapters.audit_postgres.server import URL_VARIABLE, Server
from ringfence.adapters.audit_postgres.sink import PostgresSink

__all__ = [
    "URL_VARIABLE",
    "Migration",
    "PostgresSink",
    "Server",
    "ask",
    "dump",
    "migrate",
    "restore_dump",
]
