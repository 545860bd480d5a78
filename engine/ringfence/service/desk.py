"""The desk: everything that the service holds open, opened in order and closed in the reverse order."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from ringfence.gateway import (
    FileCursor,
    Follower,
    Gateway,
    SwitchCancels,
    connect_kraken,
    connect_paper,
    signer_of,
)
from ringfence.language.orders import Market
from ringfence.reload import DirectorySource, Reloader, first_policy_set
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_writer import AuditWriter
from ringfence.runtime.credentials import Credentials
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.metrics import Source
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock
from ringfence.runtime.used_approvals import FileUsedApprovals
from ringfence.service.access.opened import Access, open_access
from ringfence.service.access.tokens import Tokens
from ringfence.service.settings import ServiceSettings, VenueSettings

__all__ = ["Desk", "open_desk"]


@dataclass(slots=True)
class Desk:
    """What is open. All parts may be used from any thread.

    Attributes:
        writer: Copies the audit log to the sink; None where there is none.
        gateways: By venue.
        tell_paper: Takes market data of paper venues, by venue.
    """

    settings: ServiceSettings
    credentials: Credentials
    clock: Clock
    access: Access
    log: AuditLog
    guard: CentralRiskGuard
    reloader: Reloader
    writer: AuditWriter | None
    cancels: list[SwitchCancels] = field(default_factory=list)
    gateways: dict[str, Gateway] = field(default_factory=dict)
    followers: list[Follower] = field(default_factory=list)
    tell_paper: dict[str, Callable[[str, Market], None]] = field(default_factory=dict)
    closing: ExitStack = field(default_factory=ExitStack)

    @property
    def tokens(self) -> Tokens:
        """Makes and reads tokens."""
        return self.access.tokens

    def metric_sources(self) -> Iterable[Source]:
        """Everything that counts."""
        yield self.guard
        yield self.reloader
        if self.writer is not None:
            yield self.writer
        yield from self.cancels
        yield from self.gateways.values()
        yield from self.followers

    def close(self) -> None:
        """Close all, last opened first: nothing asks a guard that is closed, nothing appends to a closed log."""
        self.closing.close()


def open_desk(
    settings: ServiceSettings, credentials: Credentials, clock: Clock = SYSTEM_CLOCK
) -> Desk:
    """Open everything that the settings name.

    Raises:
        RingfenceError: a part cannot be opened; what was opened before is closed again.
    """
    with ExitStack() as opened:
        data = settings.data
        source = DirectorySource(settings.policies)
        first = first_policy_set(source, store=data / "policies", clock=clock)
        log = AuditLog.open(data / "audit", durability=settings.audit.durability, clock=clock)
        opened.callback(log.close)
        writer = _writer(settings, clock)
        if writer is not None:
            opened.enter_context(writer)
        guard = CentralRiskGuard.open(
            first,
            audit=log,
            state=data / "state",
            clock=clock,
            settings=GuardSettings(signer=signer_of(credentials), venues=tuple(settings.venues)),
        )
        opened.callback(guard.close)
        reloader = Reloader(guard, source, store=data / "policies", audit=log, clock=clock)
        opened.enter_context(reloader)
        access = open_access(settings, credentials, log, guard, reloader, clock, os.environ)
        opened.callback(access.keep_up)
        desk = Desk(settings, credentials, clock, access, log, guard, reloader, writer)
        _open_venues(desk, first, opened)
        desk.closing = opened.pop_all()
        return desk


def _writer(settings: ServiceSettings, clock: Clock) -> AuditWriter | None:
    log = settings.data / "audit"
    if settings.audit.sink == "none":
        return None
    if settings.audit.sink == "duckdb":
        from ringfence.adapters.audit_duckdb import DuckdbSink

        return AuditWriter(log, [DuckdbSink(settings.data / "audit.duckdb")], clock=clock)
    from ringfence.adapters.audit_postgres import PostgresSink, Server

    return AuditWriter(log, [PostgresSink(Server.from_environment(os.environ))], clock=clock)


def _open_venues(desk: Desk, policies: PolicySet, opened: ExitStack) -> None:
    instruments = policies.linked.desk.instruments
    used = FileUsedApprovals(desk.settings.data / "used-approvals", clock=desk.clock)
    opened.callback(used.close)
    for venue, about in desk.settings.venues.items():
        accounts = frozenset(about.accounts or policies.linked.desk.accounts)
        gateway = _gateway(desk, venue, about, accounts, instruments, used)
        desk.gateways[venue] = gateway
        cancels = SwitchCancels(desk.guard, gateway, desk.log)
        desk.guard.listen(cancels.heard)
        desk.cancels.append(cancels)
        opened.enter_context(cancels)
        for account in sorted(accounts):
            cursor = FileCursor(desk.settings.data / "cursors" / f"{venue}-{account}")
            follower = Follower(desk.guard, gateway, account, cursor, desk.log)
            desk.followers.append(follower)
            follower.start()
            opened.callback(follower.stop)


def _gateway(
    desk: Desk,
    venue: str,
    about: VenueSettings,
    accounts: frozenset[str],
    instruments: Mapping[str, object],
    used: FileUsedApprovals,
) -> Gateway:
    if about.kind == "kraken":
        (account,) = accounts
        return connect_kraken(desk.credentials, account, used, desk.log, clock=desk.clock)
    gateway, tell = connect_paper(
        desk.credentials,
        used,
        desk.log,
        instruments=instruments,  # type: ignore[arg-type]
        accounts=accounts,
        venue=venue,
        clock=desk.clock,
    )
    desk.tell_paper[venue] = tell
    return gateway
