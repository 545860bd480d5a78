"""`ringfence audit write`, `migrate`, `lag`, `release`: the log into databases, and how far they have come."""

import argparse
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.output import print_json
from ringfence.errors import AuditError, InputError
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from ringfence.adapters.audit_postgres import Server
    from ringfence.runtime.audit_sink import AuditSink
    from ringfence.runtime.audit_writer import AuditWriter, SinkStatus

__all__ = ["add_sinks", "postgres_argument", "server_of"]

# How often `write` looks whether there is news, and how often it says that records went well.
_LOOK_SECONDS = 0.25
_SAY_SECONDS = 10.0


def add_sinks(parts: Any, part: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands' arguments; `part` adds a command with the options that all have."""
    each = part(
        parts,
        "write",
        run_write,
        "write records into databases, each once, until stopped",
        masked=True,
    )
    each.add_argument(
        "--duckdb", type=Path, metavar="FILE", help="a DuckDB file; made where missing"
    )
    postgres_argument(each)
    each.add_argument("--once", action="store_true", help="write what is there, and end")
    each.add_argument(
        "--skip-gap",
        action="store_true",
        help="go on behind records that are gone from the log, rather than refuse",
    )
    each.add_argument(
        "--metrics", type=int, metavar="PORT", help="serve Prometheus metrics on this loopback port"
    )
    each = parts.add_parser(
        "migrate", help="make or renew the audit tables of a PostgreSQL database"
    )
    postgres_argument(each, required=True)
    each.set_defaults(run=run_migrate)
    part(parts, "lag", run_lag, "how far each sink's writer has come", json=True)
    each = part(
        parts, "release", run_release, "give a sink up: the log need not keep records for it"
    )
    each.add_argument("sink", metavar="SINK", help="its name, as `audit lag` shows it")


def postgres_argument(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add `--postgres`."""
    parser.add_argument(
        "--postgres",
        nargs="?",
        const="",
        required=required,
        metavar="URL",
        help="a PostgreSQL database: RINGFENCE_POSTGRES_URL, or the file that RINGFENCE_POSTGRES_URL_FILE "
        "names, unless an address without a password is given here",
    )


def server_of(given: argparse.Namespace) -> "Server":
    """The server that `--postgres` names.

    Raises:
        InputError: there is none, or the command line holds a password.
    """
    from ringfence.adapters.audit_postgres import URL_VARIABLE, Server

    if not given.postgres:
        return Server.from_environment(os.environ)
    server = Server(given.postgres)
    if server.has_password:
        raise InputError(
            "a password on the command line is seen by every user of this machine",
            f"set `{URL_VARIABLE}` or `{URL_VARIABLE}_FILE`, or leave the password to PGPASSFILE",
        )
    return server


def run_write(given: argparse.Namespace) -> int:
    """Write until stopped by SIGTERM or SIGINT; with `--once` what is there."""
    from ringfence.runtime.audit_mask import Mask
    from ringfence.runtime.audit_writer import AuditWriter, WriterSettings

    writer = AuditWriter(
        given.log,
        _sinks(given),
        mask=Mask(given.mask_key or (), given.mask_value or ()),
        settings=WriterSettings(skip_gap=given.skip_gap),
    )
    # A batch makes tens of thousands of tuples, and no cycles: looking for those costs a tenth of it all.
    before = gc.get_threshold()
    gc.set_threshold(100_000)
    try:
        return _write_once(writer) if given.once else _write_until_stopped(writer, given.metrics)
    finally:
        gc.set_threshold(*before)


def run_migrate(given: argparse.Namespace) -> int:
    """Bring a PostgreSQL database up to date."""
    from ringfence.adapters.audit_postgres import migrate

    applied = migrate(server_of(given))
    for each in applied:
        print(f"applied {each.name}")
    if not applied:
        print("nothing to do: the database is up to date")
    return 0


def run_lag(given: argparse.Namespace, clock: Clock = SYSTEM_CLOCK) -> int:
    """Print how far each sink had come when its writer last noted it."""
    from ringfence.runtime.audit_head import chain_of, newest, no_log_in
    from ringfence.runtime.audit_hold import holds

    head, header = newest(given.log), chain_of(given.log)
    last = head.sequence if head is not None else 0
    noted = holds(given.log, header.chain if header is not None else "")
    # A writer may wait for a log that is yet to begin.
    if header is None and not noted:
        raise no_log_in(given.log)
    found = []
    for each in noted:
        since = _first_after(given.log, each.sequence)
        found.append(
            {
                "sink": each.sink,
                "sequence": each.sequence,
                "lag_records": max(0, last - each.sequence),
                "lag_seconds": 0.0 if since is None else max(0, clock.now_ns() - since) / 1e9,
                "noted_ns": each.ts_ns,
                "error": each.error,
            }
        )
    if given.json:
        print_json({"last": last, "sinks": found})
        return 0
    print(f"the log ends with record {last}")
    for about in found:
        error = f"; {about['error']}" if about["error"] else ""
        print(
            f"{about['sink']}: at record {about['sequence']}, {about['lag_records']:,} behind{error}"
        )
    return 0


def _first_after(log: Path, sequence: int) -> int | None:
    """Time of the first record behind another one; None where there is none, or it is gone."""
    from ringfence.runtime.audit_reader import AuditReader

    try:
        record = next(AuditReader(log, after=sequence).poll_raw(), None)
    except AuditError:
        return None
    return record.ts_ns if record is not None else None


def run_release(given: argparse.Namespace) -> int:
    """Remove the hold of a sink."""
    from ringfence.runtime.audit_head import check_there
    from ringfence.runtime.audit_hold import holds, release

    # A hold without a log can be given up, too.
    if all(each.sink != given.sink for each in holds(given.log)):
        check_there(given.log)
    noted = release(given.log, given.sink)
    print(f"{noted.sink}: released at record {noted.sequence}; the log may drop what follows")
    return 0


def _write_once(writer: "AuditWriter") -> int:
    writer.catch_up()
    for each in writer.status():
        print(f"{each.sink}: {each.records:,} written, up to record {each.sequence}")
    return 0


def _write_until_stopped(writer: "AuditWriter", port: int | None) -> int:
    stopping = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopping.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        # The writer makes directories, so what can be wrong with the port is told before.
        with _served(port, writer), writer:
            _say_until(stopping, writer)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for each in writer.status():
        print(f"{each.sink}: stopped at record {each.sequence}, {each.lag_records:,} behind")
    return 0


def _sinks(given: argparse.Namespace) -> "list[AuditSink]":
    from ringfence.runtime.audit_sink import AuditSink

    sinks: list[AuditSink] = []
    if given.duckdb is not None:
        from ringfence.adapters.audit_duckdb import DuckdbSink

        sinks.append(DuckdbSink(given.duckdb))
    if given.postgres is not None:
        from ringfence.adapters.audit_postgres import PostgresSink

        sinks.append(PostgresSink(server_of(given)))
    if not sinks:
        raise InputError("nothing to write to", "give --duckdb FILE, --postgres, or both")
    return sinks


def _say_until(stopping: threading.Event, writer: "AuditWriter") -> None:
    """Tell what fails, who has caught up, and from time to time how far each sink is."""
    said: dict[str, tuple[str, bool]] = {}
    moments: dict[str, tuple[int, float]] = {}
    while not stopping.wait(_LOOK_SECONDS):
        for each in writer.status():
            now = time.monotonic()
            news = (each.error, each.lag_records == 0)
            sequence, moment = moments.get(each.sink, (-1, now))
            due = sequence != each.sequence and now - moment > _SAY_SECONDS
            if said.get(each.sink) != news or due:
                said[each.sink], moments[each.sink] = news, (each.sequence, now)
                _say(each)


def _say(status: "SinkStatus") -> None:
    told = f"{status.sink}: up to record {status.sequence}, {status.lag_records:,} behind"
    if status.error:
        print(f"ringfence: {told}: {status.error}", file=sys.stderr, flush=True)
    else:
        print(told, flush=True)


@contextmanager
def _served(port: int | None, writer: "AuditWriter") -> Iterator[None]:
    """Serve the writer's metrics meanwhile; nothing where there is no port."""
    if port is None:
        yield
        return
    from prometheus_client import CollectorRegistry, start_http_server

    from ringfence.adapters.metrics_prometheus import register

    registry = CollectorRegistry()
    register(registry, writer)
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except (OSError, OverflowError) as error:
        raise InputError(f"port {port} cannot be served: {error}", "name a free port") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
