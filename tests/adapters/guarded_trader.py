"""A trading process: a guard, its audit log, and the writer into DuckDB; decides until its input ends."""

import sys
from pathlib import Path

from ringfence.adapters.audit_duckdb import DuckdbSink
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_writer import AuditWriter
from ringfence.runtime.guard_settings import GuardSettings
from runtime.desk import opened, order, policies


def main(folder: Path) -> None:
    sink = DuckdbSink(folder / "a.duckdb")
    settings = GuardSettings(in_memory=True)
    with (
        AuditLog.open(folder / "log", durability="process") as log,
        AuditWriter(folder / "log", [sink]),
        opened(policies(folder / "policies"), audit=log, settings=settings) as guard,
    ):
        for line in sys.stdin:
            decision = guard.evaluate_order(order(line.strip(), client_order_id=line.strip()))
            sys.stdout.write(f"{decision.id}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
