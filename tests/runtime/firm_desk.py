"""A firm of groups, each with guards and books of its own, on slices of the firm's limits."""

from pathlib import Path
from typing import Any

from ringfence import PolicySet
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from runtime.desk import NOON, Records, policies
from runtime.memory_slices import MemorySlices

CAPITAL = 655_360
GROUPS = {"one": ["account/main"], "two": ["account/other"]}
FIRM = """
apiVersion: ringfence/v1
kind: Policy
metadata: {name: firm, version: 1.0.0, owner: risk@example.com, description: the firm}
spec:
  level: firm
  currency: USD
  gates:
"""
FIRM_GATES = """
    - {rule: kill-switch@1}
    - {rule: total-exposure@1, limits: {max: 16_000 USD, max_of_equity: 90%}}
    - {rule: daily-loss@1, limits: {max_loss: 20_000 USD, max_loss_ratio: 5%}}
    - {rule: drawdown@1, limits: {max_drawdown: 10%}}
"""


def firm_policies(folder: Path, gates: str = FIRM_GATES, *, more: str = "") -> PolicySet:
    """The desk's policies, and the firm's `gates`."""
    policies(folder)
    desk = folder / "desk.yaml"
    # What is of the firm alone is looked at: the accounts' own limits are wide.
    text = desk.read_text().replace("max: 50_000 USD", "max: 900_000 USD")
    desk.write_text(
        text.replace("max: 10_000 USD", "max: 900_000 USD").replace("ratio: 3%", "ratio: 90%")
        + more
    )
    (folder / "firm.yaml").write_text(FIRM + gates.strip("\n"))
    return PolicySet.load(folder)


class Firm:
    """Guards of two groups: the account `main` trades in `one`, `other` in `two`."""

    def __init__(self, policy_set: PolicySet) -> None:
        self.clock = FixedClock(NOON)
        self.slices = MemorySlices(self.clock)
        self.policy_set = policy_set
        self.slices.found(CAPITAL, GROUPS)

    def guard(
        self, group: str, name: str = "a", audit: Records | None = None, **settings: Any
    ) -> CentralRiskGuard:
        guard = CentralRiskGuard.open(
            self.policy_set,
            state=self.slices.log(group, name),
            clock=self.clock,
            audit=audit,
            settings=GuardSettings(
                name=name,
                without_audit=audit is None,
                poll_seconds=0,
                slices=self.slices,
                group=group,
                **settings,
            ),
        )
        (book,) = GROUPS[group]
        if not guard.book(book).cash > 0:
            guard.on_balance(book, "opening", 100_000_000)
        self.mark(guard)
        return guard

    def mark(self, guard: CentralRiskGuard, price: float = 1_000.0) -> None:
        now = self.clock.now_ns()
        guard.on_mark("BTC/USD", MarketData(price, price, price, now))
        guard.on_mark("ETH/USD", MarketData(10.0, 10.0, 10.0, now))
