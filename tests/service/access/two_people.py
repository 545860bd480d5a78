"""A guard with a halted firm, and four eyes that watch over it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from ringfence.reload.outcome import Outcome
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import tail
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.policy_store import PolicyStore
from ringfence.runtime.ports import FixedClock
from ringfence.service.access.four_eyes import ACTIONS, FourEyes
from ringfence.service.access.passwords import Passwords
from ringfence.service.access.records import Records
from ringfence.service.access.rights import Principal, Role
from ringfence.service.access.users import Users
from runtime.desk import NOON, opened, policies

ANN = Principal("ann", Role.RISK_OFFICER)
BOB = Principal("bob", Role.RISK_OFFICER)
MINUTE = 60_000_000_000
# What slows guessing down would slow the tests down, too.
QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


class RecordingReloader:
    """Takes rollbacks, and tells what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    def rollback(self, policy_set: str, *, by: str, reason: str) -> Outcome:
        self.asked.append((policy_set, by, reason))
        return Outcome("rolled-back", policy_set, "", NOON, 0, by, reason, {})


@dataclass
class Watched:
    """What a test looks at; `reopened` is as after a restart."""

    folder: Path
    clock: FixedClock
    guard: CentralRiskGuard
    reloader: RecordingReloader
    log: AuditLog
    users: Users

    def four_eyes(self, actions: tuple[str, ...] = ACTIONS) -> FourEyes:
        return FourEyes(
            self.guard,
            self.reloader,  # type: ignore[arg-type]
            Records(self.log, self.clock),
            self.clock,
            actions=frozenset(actions),
            valid_ns=15 * MINUTE,
            folder=self.folder / "access",
            store=self.folder / "store",
            hands=self.users.hands,
        )

    def recorded(self) -> list[tuple[str, dict[str, Any]]]:
        self.log.wait(self.log.last)
        return [(each.kind, each.body) for each in tail(self.folder / "audit", 1_000)]


def watched(folder: Path) -> Watched:
    """A guard of which the firm is halted."""
    clock = FixedClock(NOON)
    policy_set = policies(folder / "policies")
    (folder / "store").mkdir()
    PolicyStore(folder / "store").put(policy_set, {})
    guard = opened(policy_set, clock=clock)
    guard.set_kill_switch("firm", "halted", by="ann", reason="drill")
    log = AuditLog.open(folder / "audit", durability="process", clock=clock)
    users = Users(folder / "access", QUICK, clock)
    return Watched(folder, clock, guard, RecordingReloader(), log, users)
