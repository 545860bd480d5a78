"""The desk: everything that the service holds open, opened in order and closed in the reverse order."""

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ringfence.gateway import Follower, Gateway, SwitchCancels, signer_of
from ringfence.language.orders import Market
from ringfence.reload import Reloader, first_policy_set
from ringfence.reload.snapshot import PolicySource
from ringfence.runtime.approvals import Signer
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_writer import AuditWriter
from ringfence.runtime.credentials import Credentials
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.limits_now import LiveLimits
from ringfence.runtime.market_cache import MarketCache
from ringfence.runtime.metrics import Source
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock
from ringfence.service.access.opened import Access, open_access
from ringfence.service.access.tokens import Tokens
from ringfence.service.api_metrics import ApiMetrics
from ringfence.service.health_checks import Checks
from ringfence.service.opening.audit import open_log, open_writer
from ringfence.service.opening.books import (
    Shared,
    guard_name,
    guard_settings,
    open_shared,
    open_used_approvals,
)
from ringfence.service.opening.money import open_balances
from ringfence.service.opening.parts import opening
from ringfence.service.opening.policies import policy_source, reload_settings
from ringfence.service.opening.safety import check_safety
from ringfence.service.opening.venues import Trade, Venues, open_venue
from ringfence.service.reconciling import Reconciling
from ringfence.service.settings import ServiceSettings

__all__ = ["Desk", "Phase", "open_desk"]

Phase = Literal["starting", "serving", "stopping"]


def _nothing() -> None:
    """Nobody serves it."""


@dataclass(slots=True)
class Desk:
    """What is open. All parts may be used from any thread.

    Attributes:
        data: This process's own directory.
        worker: Its number among those of the service, from 0.
        writer: Copies the audit log to the sink; None where there is none.
        limits: How much of every limit is used.
        shared: What lies in Redis; None where state is embedded.
        gateways: By venue.
        followers: One for each account of each venue.
        reconciling: Compares books and exchanges; it has nothing to do where all venues are on paper.
        tell_paper: Takes market data of paper venues, by venue; they are told what the guard is told anyway.
        without_money: Accounts that had no money at the start.
        phase: Requests are taken while it is `serving`.
        checks: How each part is; `/health` tells it.
        stopping: Is set once the service stops: answers that have no end, as streams of events, end then.
        stop: Stops the service.
        signer: Signs approvals, for the guard and the gateways alike.
    """

    settings: ServiceSettings
    credentials: Credentials
    clock: Clock
    data: Path
    worker: int
    access: Access
    log: AuditLog
    guard: CentralRiskGuard
    reloader: Reloader
    writer: AuditWriter | None
    limits: LiveLimits
    shared: Shared | None
    venues: Venues
    reconciling: Reconciling
    without_money: tuple[str, ...] = ()
    phase: Phase = "starting"
    api_metrics: ApiMetrics = field(default_factory=ApiMetrics)
    checks: Checks = field(default_factory=Checks)
    stopping: threading.Event = field(default_factory=threading.Event)
    stop: Callable[[], object] = field(default=_nothing)
    closing: ExitStack = field(default_factory=ExitStack)
    signer: Signer = field(kw_only=True)

    @property
    def gateways(self) -> dict[str, Gateway]:
        """By venue."""
        return self.venues.gateways

    @property
    def cancels(self) -> list[SwitchCancels]:
        """One for each venue."""
        return self.venues.cancels

    @property
    def followers(self) -> list[Follower]:
        """One for each account of each venue."""
        return self.venues.followers

    @property
    def tell_paper(self) -> dict[str, Callable[[str, Market], None]]:
        """By venue of paper."""
        return self.venues.tell_paper

    @property
    def market_cache(self) -> MarketCache | None:
        """Market data that guards share; None where they do not."""
        return None if self.shared is None else self.shared.market_cache

    @property
    def decides_at_once(self) -> bool:
        """Whether no decision waits for a disk or a server."""
        durable = self.settings.audit.durability, self.settings.state.durability
        return durable == ("process", "process") and self.shared is None

    @property
    def tokens(self) -> Tokens:
        """Makes and reads tokens."""
        return self.access.tokens

    def metric_sources(self) -> Iterable[Source]:
        """Everything that counts."""
        yield self.guard
        yield self.log
        yield self.limits
        yield self.reloader
        yield self.api_metrics
        if self.writer is not None:
            yield self.writer
        if self.shared is not None:
            yield self.shared.store
            if self.shared.market_cache is not None:
                yield self.shared.market_cache
        yield from self.cancels
        yield from self.gateways.values()
        yield from self.followers
        yield self.checks

    def close(self) -> None:
        """Close all, last opened first: nothing asks a guard that is closed, nothing appends to a closed log."""
        self.phase = "stopping"
        self.closing.close()


def open_desk(
    settings: ServiceSettings,
    credentials: Credentials,
    clock: Clock = SYSTEM_CLOCK,
    *,
    worker: int = 0,
) -> Desk:
    """Open everything that the settings name.

    Args:
        settings: The settings.
        credentials: The secrets that they need.
        clock: Tells the time.
        worker: The number of this process among the service's workers.

    Raises:
        InputError: a part cannot be opened; says which, why, and how to mend it. What was opened before is
            closed again.
        PolicyError: the policies have faults.
    """
    check_safety(settings)
    data = settings.data_of(worker)
    name = guard_name(settings, worker)
    with ExitStack() as opened:
        with opening("the data directory", "name another with `data`"):
            # Files of libraries, as DuckDB's, are left open to all that may reach them.
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opening("the policies"):
            source = policy_source(settings.policies)
            how = reload_settings(settings.reload)
            first = first_policy_set(source, store=data / "policies", settings=how, clock=clock)
        with opening("the audit log"):
            log = open_log(settings.audit, data, clock)
            opened.callback(log.close)
        with opening("the audit database"):
            writer = open_writer(settings.audit, data, clock)
            if writer is not None:
                opened.enter_context(writer)
        with opening("Redis"):
            shared = open_shared(settings, credentials, name)
            if shared is not None:
                opened.callback(shared.store.close)
        with opening("the guard"):
            signer = signer_of(credentials)
            guard = CentralRiskGuard.open(
                first,
                audit=log,
                state=data / "state" if shared is None else shared.log,
                clock=clock,
                settings=guard_settings(settings, signer, name, shared),
            )
            opened.callback(guard.close)
        with opening("the register of used approvals"):
            used, close = open_used_approvals(settings, shared, data, clock)
            opened.callback(close)
        venues = Venues()
        trade = Trade(guard, log, credentials, signer, clock, used, data)
        for venue, about in settings.open_venues.items():
            open_venue(venue, about, trade, venues, opened)
        with opening("the first money"):
            without_money = open_balances(settings, guard, venues.gateways)
        reconciling = Reconciling(guard, venues, settings.open_venues, clock)
        opened.enter_context(reconciling)
        with opening("the reloader"):
            reloader = _reloader(settings, worker, (guard, source), data / "policies", log, clock)
            opened.enter_context(reloader)
        limits = opened.enter_context(LiveLimits(guard, most_series=settings.metrics.most_limits))
        with opening("users and keys"):
            access = open_access(
                settings,
                credentials,
                log,
                guard,
                reloader,
                clock,
                store=data / "policies",
                environ=os.environ,
            )
            opened.callback(access.keep_up)
        return Desk(
            settings,
            credentials,
            clock,
            data,
            worker,
            access,
            log,
            guard,
            reloader,
            writer,
            limits,
            shared,
            venues,
            reconciling,
            without_money,
            closing=opened.pop_all(),
            signer=signer,
        )


def _reloader(
    settings: ServiceSettings,
    worker: int,
    followed: tuple[CentralRiskGuard, PolicySource],
    store: Path,
    log: AuditLog,
    clock: Clock,
) -> Reloader:
    how = reload_settings(settings.reload)
    if settings.server.workers == 1:
        return Reloader(*followed, store=store, audit=log, settings=how, clock=clock)
    from ringfence.service.workers.every_reloader import EveryReloader

    numbers = (number for number in range(settings.server.workers) if number != worker)
    others = {number: settings.data_of(number) / "policies" for number in numbers}
    return EveryReloader(
        *followed, store=store, audit=log, settings=how, clock=clock, others=others
    )
