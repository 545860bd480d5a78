"""Guards that share books in memory, for tests of what they do together."""

from ringfence import PolicySet
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from runtime.desk import NOON, Records
from runtime.memory_log import MemoryLog, Store


class Desk:
    """Guards `a`, `b`, ... on one store, and one clock."""

    def __init__(self, policy_set: PolicySet, **settings: object) -> None:
        self.store, self.clock = Store(), FixedClock(NOON)
        self._policy_set, self._settings = policy_set, settings
        self.logs: dict[str, MemoryLog] = {}

    def guard(self, name: str, run: int = 0, audit: Records | None = None) -> CentralRiskGuard:
        log = self.logs[name] = MemoryLog(self.store, f"{name}-{run}")
        settings = GuardSettings(
            name=name, without_audit=audit is None, poll_seconds=0, **self._settings
        )
        return CentralRiskGuard.open(
            self._policy_set, state=log, clock=self.clock, settings=settings, audit=audit
        )

    def funded(self, *names: str) -> list[CentralRiskGuard]:
        guards = [self.guard(name) for name in names]
        for account in ("main", "other"):
            guards[0].on_balance(f"account/{account}", "opening", 100_000)
        self.mark(guards[0])
        guards[0].on_mark("ETH/USD", MarketData(10.0, 10.0, 10.0, self.clock.now_ns()))
        return guards

    def mark(self, guard: CentralRiskGuard, price: float = 1_000.0) -> None:
        guard.on_mark("BTC/USD", MarketData(price, price, price, self.clock.now_ns()))
