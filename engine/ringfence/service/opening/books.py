"""Where the books are: in a directory, or in Redis with what else guards share there."""

import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ringfence.errors import InputError
from ringfence.runtime.credentials import REDIS_PASSWORD, Credentials, Secret, read_secret
from ringfence.runtime.guard_settings import GuardSettings, Signs
from ringfence.runtime.ports import SYSTEM_RANDOM, Clock
from ringfence.runtime.shared_log import SharedLog
from ringfence.runtime.used_approvals import FileUsedApprovals, UsedApprovals
from ringfence.service.settings import ServiceSettings

if TYPE_CHECKING:
    from ringfence.adapters.state_redis import RedisMarketCache, RedisStore

__all__ = ["Shared", "guard_name", "guard_settings", "open_shared", "open_used_approvals"]

_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class Shared:
    """What lies in Redis."""

    store: "RedisStore"
    log: SharedLog
    market_cache: "RedisMarketCache | None"


def guard_name(settings: ServiceSettings, worker: int) -> str:
    """The guard's name among those that share books; a worker's number is part of it.

    Names end in a letter that no other name goes on with, since a guard knows its orders by how they begin.
    """
    name = settings.guard.name or _NO_NAME.sub("-", socket.gethostname())[:64] or "guard"
    return name if settings.server.workers == 1 else f"{name}.{worker}"


def open_shared(settings: ServiceSettings, credentials: Credentials, name: str) -> Shared | None:
    """The server that the settings name, asked once; None where state is embedded.

    Raises:
        InputError: it cannot be asked; in production also where it may lose books.
    """
    about = settings.state
    if about.kind != "redis":
        return None
    from ringfence.adapters.state_redis import (
        RedisMarketCache,
        RedisSettings,
        RedisSharedLog,
        RedisStore,
    )

    store = RedisStore(
        RedisSettings(
            url=about.url,
            namespace=about.namespace,
            password=_password(credentials),
            password_now=_password_now(credentials),
            username=about.username,
            cluster=about.cluster,
            more_nodes=about.more_nodes,
            timeout_ms=about.timeout // 1_000_000,
            snapshot_timeout_ms=about.snapshot_timeout // 1_000_000,
            wait_replicas=about.wait_replicas,
            settle_ms=about.settle // 1_000_000,
            ca_file=_text(about.ca_file),
            certificate_file=_text(about.certificate_file),
            key_file=_text(about.key_file),
        )
    )
    if (faults := store.warnings()) and settings.environment == "production":
        raise InputError("; ".join(faults), "set the server up so that it loses no books")
    cache = None
    if settings.market_cache.kind == "redis":
        cache = RedisMarketCache(store, fresh_ms=settings.market_cache.fresh // 1_000_000)
    log = RedisSharedLog(store, origin=f"{name}-{SYSTEM_RANDOM.token(8)}")
    return Shared(store, log, cache)


def open_used_approvals(
    settings: ServiceSettings, shared: Shared | None, data: Path, clock: Clock
) -> tuple[UsedApprovals, Callable[[], None]]:
    """The register of used approvals, and what closes it."""
    if shared is not None:
        from ringfence.adapters.state_redis import RedisUsedApprovals

        # A server that was started anew refuses for so long: what it forgot may have been used.
        longest_ns = settings.guard.approval + 2 * settings.guard.max_skew
        longest_ms = -(-longest_ns // 1_000_000)
        used = RedisUsedApprovals(shared.store, clock=clock, longest_life_ms=longest_ms)
        return used, lambda: None
    kept = FileUsedApprovals(data / "used-approvals", clock=clock)
    return kept, kept.close


def guard_settings(
    settings: ServiceSettings, signer: Signs, name: str, shared: Shared | None
) -> GuardSettings:
    """How the guard works."""
    about = settings.guard
    return GuardSettings(
        signer=signer,
        durability=settings.state.durability,
        approval_ns=about.approval,
        client_order_window_ns=about.client_order_window,
        most_client_orders=about.most_client_orders,
        max_skew_ns=about.max_skew,
        journal_bytes=settings.state.journal,
        venues=tuple(settings.open_venues),
        name=name if shared is not None else "",
        most_tries=about.most_tries,
        policy_lease_ns=settings.reload.lease,
        market_cache=shared.market_cache if shared is not None else None,
        market_refresh_ns=settings.market_cache.refresh,
    )


def _password(credentials: Credentials) -> Secret | None:
    try:
        return credentials.get(REDIS_PASSWORD)
    except InputError:
        # Production was refused without one; a server for development may have none.
        return None


def _password_now(credentials: Credentials) -> Callable[[], Secret] | None:
    """Reads its file again; None where it does not come from the environment."""
    if credentials.environment == "testing" or _password(credentials) is None:
        return None
    return lambda: read_secret(REDIS_PASSWORD.name, os.environ)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
