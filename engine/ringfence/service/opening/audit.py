"""The audit log, and the database it is copied to."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_sink import AuditSink
from ringfence.runtime.audit_writer import AuditWriter
from ringfence.runtime.ports import Clock
from ringfence.service.settings import AuditSettings

if TYPE_CHECKING:
    from ringfence.adapters.audit_postgres import Server

__all__ = ["READER", "may_read", "open_log", "open_writer", "postgres_server"]

READER = "ringfence_reader"
"""The role that reads the audit in PostgreSQL."""


def open_log(about: AuditSettings, data: Path, clock: Clock) -> AuditLog:
    """The log in the data directory.

    Raises:
        AuditError: it cannot be written or read.
    """
    return AuditLog.open(
        data / "audit",
        durability=about.durability,
        clock=clock,
        segment_bytes=about.segment,
        limit_bytes=about.limit,
        keep_bytes=about.keep,
    )


def open_writer(about: AuditSettings, data: Path, clock: Clock) -> AuditWriter | None:
    """What copies the log to the sink, not yet started; None without a sink.

    Raises:
        InputError: the database's address is missing or cannot be read.
    """
    if about.sink == "none":
        return None
    mask = Mask(about.mask_keys, about.mask_values)
    return AuditWriter(data / "audit", [_sink(about, data)], mask=mask, clock=clock)


def postgres_server() -> "Server":
    """The server that the secret `RINGFENCE_POSTGRES_URL` names.

    Raises:
        InputError: it is not given, or is no address.
    """
    from ringfence.adapters.audit_postgres import Server

    return Server.from_environment(os.environ)


def may_read(server: "Server") -> bool:
    """Whether the service's user of the database may read what it writes; raises AuditSinkError."""
    sql = "SELECT has_table_privilege(to_regclass('ringfence.records'), 'SELECT')"
    with server.connect() as connection, server.failures_told():
        row = connection.execute(sql).fetchone()
    # Without a table there is another fault, which the writer tells.
    return row is None or row[0] is not False


def _sink(about: AuditSettings, data: Path) -> AuditSink:
    if about.sink == "duckdb":
        from ringfence.adapters.audit_duckdb import DuckdbSink

        return DuckdbSink(data / "audit.duckdb")
    from ringfence.adapters.audit_postgres import PostgresSink

    return PostgresSink(postgres_server())
