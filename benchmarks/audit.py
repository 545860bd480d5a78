"""The audit log and the databases that it is written to, with the records that a real guard writes.

A guard decides some thousand orders; its records, each with an id of its own, are then appended over and over.
PostgreSQL runs as it does in production in what matters here: with `fsync`, and a user that may only insert.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from benchmarks.generate import account_name
from benchmarks.guard import everything_on
from benchmarks.market import SYMBOLS
from benchmarks.measure import Figure, median_of, seconds_of
from benchmarks.policy_files import EQUITY, policy_directory
from ringfence import MarketData, OrderRequest
from ringfence.adapters.audit_duckdb import DuckdbSink
from ringfence.adapters.audit_postgres import PostgresSink, Server, migrate
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.audit_sink import AuditSink
from ringfence.runtime.audit_writer import AuditWriter
from tests.adapters.postgres_server import PostgresServer, is_installed, running

__all__ = ["audit"]

DECISIONS = 2_000
RECORDS = 100_000
RUNS = 3
WRITTEN = 20_000.0


def audit(orders: int, directory: Path) -> list[Figure]:
    """Measure; the number of orders does not matter."""
    del orders
    bodies = _bodies(directory)
    size = sum(map(len, bodies)) / len(bodies)
    appended = median_of(RUNS, lambda: _append(bodies, directory / "audit-appended"))
    log = directory / "audit-written"
    _append(bodies, log)
    figures = [
        Figure("audit", "size of a decision's body", size, "bytes"),
        Figure("audit", "append and wait", RECORDS / appended, "records/s"),
    ]
    taken = median_of(RUNS, lambda: _write(log, _duckdb(directory / "audit.duckdb")))
    figures.append(Figure("audit", "to DuckDB", RECORDS / taken, "records/s", at_least=WRITTEN))
    if not is_installed():
        print("PostgreSQL is not installed here, and not measured", file=sys.stderr)
        return figures
    with _postgres() as server:
        taken = median_of(RUNS, lambda: _write(log, _emptied(server)))
    figures.append(Figure("audit", "to PostgreSQL", RECORDS / taken, "records/s", at_least=WRITTEN))
    return figures


def _bodies(directory: Path) -> list[bytes]:
    """The bodies of decisions that a guard records, as they lie in its log."""
    account, symbol = account_name(0), next(iter(SYMBOLS)).name
    place = directory / "audit-of-guard"
    with everything_on(policy_directory(directory, 10), place) as guard:
        guard.on_balance(f"account/{account}", "opening", EQUITY)
        for number in range(DECISIONS):
            if number % 500 == 0:
                guard.on_mark(symbol, MarketData(100.0, 100.0, 100.0, time.time_ns()))
            client = f"bench-{number}"
            asked = OrderRequest(account, symbol, "buy", "1", "100", client_order_id=client)
            guard.on_cancel(guard.evaluate_order(asked).id)
        records = AuditReader(place / "audit").poll_raw()
        return [each.body for each in records if each.kind == "decision"]


def _append(bodies: list[bytes], directory: Path) -> float:
    """Seconds for `RECORDS` records, each waited for, as a guard does."""
    rmtree(directory, ignore_errors=True)
    # Each with an id of its own, as indexes will see them.
    fresh = [
        bodies[at % len(bodies)].replace(b'"id":"', b'"id":"%x-' % at, 1) for at in range(RECORDS)
    ]
    with AuditLog.open(directory, durability="process") as log:

        def fill() -> None:
            for body in fresh:
                log.wait(log.append("decision", body))

        return seconds_of(fill)


def _write(log: Path, sink: AuditSink) -> float:
    """Seconds until a sink that is empty has all of a log."""
    writer = AuditWriter(log, [sink])
    seconds = seconds_of(writer.catch_up)
    if writer.status()[0].sequence != RECORDS:
        raise RuntimeError(f"{sink.name} has {writer.status()[0].sequence} of {RECORDS} records")
    return seconds


def _duckdb(path: Path) -> DuckdbSink:
    path.unlink(missing_ok=True)
    return DuckdbSink(path)


@contextmanager
def _postgres() -> Iterator[PostgresServer]:
    with running(fsync=True) as server:
        migrate(Server(server.url()))
        server.execute("CREATE ROLE bench LOGIN PASSWORD 'bench' IN ROLE ringfence_writer")
        yield server


def _emptied(server: PostgresServer) -> PostgresSink:
    server.execute("TRUNCATE ringfence.records, ringfence.decisions")
    return PostgresSink(Server(server.url(user="bench", password="bench")))
