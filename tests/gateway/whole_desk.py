"""A desk with everything real but the exchange's own servers: guard, audit log, gateway, adapter, follower."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.kraken_server import KrakenServer, running
from ringfence.adapters.exchange_kraken import KrakenClient, KrakenExchange
from ringfence.gateway import FileCursor, Follower, FollowSettings, Gateway, signer_of
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.credentials import (
    API_SECRET_KEY,
    KRAKEN_API_KEY,
    KRAKEN_SECRET,
    load_credentials,
)
from ringfence.runtime.exchanges import OrderAck
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock, SeededRandom
from ringfence.runtime.used_approvals import FileUsedApprovals
from runtime.desk import NOON, SECOND, mark, opened, order, policies

KINDS = (API_SECRET_KEY, KRAKEN_API_KEY, KRAKEN_SECRET)
CREDENTIALS = load_credentials(KINDS, {"RINGFENCE_ENVIRONMENT": "testing"}, random=SeededRandom(2))


class WholeDesk:
    """One process of a desk; `again` ends it, without a word to anyone, and starts the next."""

    def __init__(
        self, folder: Path, server: KrakenServer, clock: FixedClock, **changed: Any
    ) -> None:
        self.folder, self.server, self.clock = folder, server, clock
        self.changed = changed
        self.policies = policies(folder / "policies", daily=changed.get("daily", "reject"))
        self.log = AuditLog.open(folder / "audit", durability="process", clock=clock)
        self.used = FileUsedApprovals(folder / "used", clock=clock)
        is_new = not (folder / "state").exists()
        settings = GuardSettings(signer=signer_of(CREDENTIALS), venues=("kraken",))
        parts: dict[str, Any] = {"audit": self.log, "state": folder / "state", "settings": settings}
        self.guard = (
            opened(self.policies, clock=clock, **parts)
            if is_new
            else CentralRiskGuard.open(self.policies, clock=clock, **parts)
        )
        self.waits: list[float] = []
        self.gateway = self._gateway(changed.get("stream_url"))
        self.follower = Follower(
            self.guard,
            self.gateway,
            "main",
            FileCursor(folder / "cursor"),
            self.log,
            settings=changed.get("follow", FollowSettings()),
            clock=clock,
        )

    def _gateway(self, stream_url: str | None) -> Gateway:
        key, secret = (CREDENTIALS.get(kind) for kind in (KRAKEN_API_KEY, KRAKEN_SECRET))
        client = KrakenClient(
            key, secret, url=self.server.url, timeout_s=1, pace_s=0, wait=self.waits.append
        )
        exchange = KrakenExchange(client, "main", stream_url=stream_url, clock=self.clock)
        return Gateway(exchange, signer_of(CREDENTIALS), self.used, self.log, clock=self.clock)

    def decide(self, size: Any, name: str, **fields: Any) -> GuardDecision:
        return self.guard.evaluate_order(
            order(size, venue="kraken", client_order_id=name, **fields)
        )

    def send(self, size: Any, name: str, **fields: Any) -> tuple[str, OrderAck]:
        """An order, decided and sent; gives its id and the exchange's answer."""
        answer = self.decide(size, name, **fields)
        assert answer.decision == "APPROVE", answer.reason
        asked = order(size, venue="kraken", client_order_id=name, **fields)
        return answer.id, self.gateway.submit(answer.approval, asked)

    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds * SECOND)
        self.server.now_ns += seconds * SECOND
        mark(self.guard, self.clock.now_ns(), 1_000.0)

    def held(self) -> Decimal:
        book = self.guard.book("account/main")
        return book.positions["BTC/USD"].size if "BTC/USD" in book.positions else Decimal(0)

    def working(self) -> list[str]:
        return [each.client_order_id for each in self.guard.working_orders()]

    def records(self, kind: str) -> list[dict[str, Any]]:
        self.log.wait(self.log.append("end", {}))
        found = AuditReader(self.folder / "audit").poll()
        return [dict(each.body) for each in found if each.kind == kind]

    def stop(self) -> None:
        self.follower.stop()
        self.guard.close()
        self.log.close()
        self.used.close()

    def again(self) -> "WholeDesk":
        self.stop()
        return WholeDesk(self.folder, self.server, self.clock, **self.changed)


@contextmanager
def whole_desk(folder: Path, **changed: Any) -> Iterator[WholeDesk]:
    """A desk at a server of its own."""
    key, secret = (CREDENTIALS.get(kind).reveal() for kind in (KRAKEN_API_KEY, KRAKEN_SECRET))
    with running(key, secret, NOON) as server:
        made = WholeDesk(folder, server, FixedClock(NOON), **changed)
        try:
            yield made
        finally:
            made.stop()


class Events:
    """Waits for something that a guard's events bring about."""

    def __init__(self, guard: CentralRiskGuard) -> None:
        self._changed = threading.Condition()
        guard.listen(self._heard)

    def _heard(self, event: list[Any]) -> None:
        del event
        with self._changed:
            self._changed.notify_all()

    def wait(self, holds: Callable[[], Any]) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, 60)
