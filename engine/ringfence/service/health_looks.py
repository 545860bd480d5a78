"""What is looked at for health: the databases, the policies, the log, the exchanges."""

from datetime import UTC, datetime

from ringfence.errors import InputError
from ringfence.service.desk import Desk
from ringfence.service.health_checks import Checks
from ringfence.service.opening.audit import READER, may_read, postgres_server

__all__ = ["look_at"]


def look_at(desk: Desk, checks: Checks) -> None:
    """Add the checks of an open desk."""
    checks.add("audit", lambda: _audit(desk), needed=True)
    checks.add("policies", lambda: _policies(desk))
    checks.add("db", lambda: _database(desk))
    checks.add("cache", lambda: _cache(desk), needed=True)
    for name in desk.gateways:
        checks.add(f"venue-{name}", lambda venue=name: _venue(desk, venue))  # type: ignore[misc]


def lease_fault(desk: Desk) -> str:
    """What is wrong with the policies' lease; empty where nothing is."""
    left = desk.guard.policy_lease_ns
    if left is None or left > 0:
        return ""
    return "the lease of the policies is over: only orders that reduce risk pass"


def _audit(desk: Desk) -> str:
    desk.log.check()
    return f"{desk.log.last:,} records, {desk.log.size_bytes:,} bytes"


def _policies(desk: Desk) -> str:
    about = desk.reloader.health()
    if fault := lease_fault(desk):
        raise InputError(fault)
    if not about.ok:
        raise InputError(about.message or "the policies are not followed any more")
    pinned = ", held by a person" if about.pinned else ""
    checked = (
        f"found current at {_time(about.checked_ns)}" if about.checked_ns else "not looked at yet"
    )
    return f"set {about.policy_set[:12]}{pinned}, {checked}"


def _database(desk: Desk) -> str:
    if desk.writer is None:
        return "no sink is set: records stay in the log"
    lacks = ""
    if desk.settings.audit.sink == "postgres" and not may_read(postgres_server()):
        # Orders do not need it: it is said, and fails nothing.
        lacks = f"; older decisions cannot be read here: grant the service's user the role {READER}"
    behind = 0
    for each in desk.writer.status():
        if each.error:
            raise InputError(each.error)
        behind += each.lag_records
    return f"{desk.settings.audit.sink}, {behind:,} records behind the log{lacks}"


def _cache(desk: Desk) -> str:
    if desk.shared is None:
        return "not used: the books are in this process"
    desk.shared.store.quick.command("ping", ("PING",))
    return "redis answers"


def _venue(desk: Desk, venue: str) -> str:
    for each in desk.followers:
        if each.gateway.venue == venue and each.failing:
            raise InputError(f"account {each.account} cannot be followed: {each.failing}")
    for found in desk.reconciling.found:
        if found.venue != venue:
            continue
        if found.error:
            raise InputError(f"account {found.account} cannot be compared: {found.error}")
        if found.differences:
            raise InputError(
                f"account {found.account} differs from the exchange in {len(found.differences)} points"
            )
    return "orders and fills are followed"


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="seconds")
