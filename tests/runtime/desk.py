"""A small desk for tests of the guard: one account, eight gates, books opened, prices marked."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ringfence.errors import AuditError
from ringfence.language.orders import OrderRequest
from ringfence.runtime.asked import MarketData
from ringfence.runtime.audit_codec import decode, encode
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import FixedClock

NOON = 1_767_614_400_000_000_000
SECOND = 1_000_000_000
IN_MEMORY = GuardSettings(in_memory=True, without_audit=True)

INSTRUMENTS = """
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: desk-instruments, version: 1.0.0, description: what is traded}
spec:
  accounts: [main, other]
  strategies: [trend]
  venues: [paper]
  instruments:
    BTC/USD: {lot_step: "0.1", min_size: "0.1", tick_size: "0.01", multiplier: 1, base: BTC, quote: USD}
    ETH/USD: {lot_step: "1", min_size: "1", tick_size: "0.01", multiplier: 1, base: ETH, quote: USD}
"""
GATES = """
    - {rule: kill-switch@1}
    - {rule: data-quality@1, limits: {max_age: 5s, min_completeness: 95%, max_skew: 1s}}
    - {rule: daily-loss@1, limits: {max_loss_ratio: 3%}, on_breach: DAILY}
    - {rule: drawdown@1, limits: {max_drawdown: 20%}}
    - {rule: position-count@1, limits: {max_positions: 10}}
    - {rule: total-exposure@1, limits: {max: 50_000 USD}}
    - {rule: position-size@1, limits: {max: 10_000 USD}}
    - {rule: correlated-exposure@1, limits: {threshold: 0.7, max: 50_000 USD}}
"""
POLICY = """
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk-main, version: 2.3.0, owner: risk@example.com, description: the desk}
spec:
  level: account
  currency: USD
  gates:
"""


def policies(folder: Path, *, daily: str = "reject", more: str = "") -> PolicySet:
    """The desk's policy set; `more` gates follow the eight."""
    folder.mkdir(exist_ok=True)
    (folder / "instruments.yaml").write_text(INSTRUMENTS)
    (folder / "desk.yaml").write_text(POLICY + GATES.replace("DAILY", daily).strip("\n") + more)
    return PolicySet.load(folder)


def opened(
    policy_set: PolicySet,
    *,
    clock: FixedClock | None = None,
    settings: GuardSettings = IN_MEMORY,
    **parts: Any,
) -> CentralRiskGuard:
    """A guard with money in its books, and prices."""
    clock = clock or FixedClock(NOON)
    guard = CentralRiskGuard.open(policy_set, clock=clock, settings=settings, **parts)
    for account in ("main", "other"):
        guard.on_balance(f"account/{account}", "opening", 100_000)
    mark(guard, clock.now_ns(), 1_000.0)
    guard.on_mark("ETH/USD", MarketData(10.0, 10.0, 10.0, clock.now_ns()))
    return guard


def mark(guard: CentralRiskGuard, ts: int, price: float) -> None:
    guard.on_mark("BTC/USD", MarketData(price, price, price, ts))


def order(size: Any = "1", **fields: Any) -> OrderRequest:
    """A buy of BTC at 1,000."""
    given = {"account": "main", "symbol": "BTC/USD", "side": "buy", "price": "1000", **fields}
    return OrderRequest(size=size, **given)


class Records:
    """An audit log in memory; `fail_append` and `fail_wait` break it."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, Mapping[str, Any]]] = []
        self.waited = 0
        self.fail_append = self.fail_wait = False
        self._lock = threading.Lock()

    def append(self, kind: str, body: Mapping[str, Any] | bytes) -> int:
        with self._lock:
            if self.fail_append:
                raise AuditError("full")
            # As a reader of the log gets it.
            self.bodies.append((kind, decode(body if isinstance(body, bytes) else encode(body))))
            return len(self.bodies)

    def wait(self, sequence: int) -> None:
        if self.fail_wait:
            raise AuditError("broken")
        self.waited = max(self.waited, sequence)

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        return [body for found, body in self.bodies if found == kind]


class Signer:
    """Signs with nothing: the fields as they are."""

    def sign(self, **fields: Any) -> dict[str, Any]:
        return fields
