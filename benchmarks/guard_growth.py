"""Whether a live decision costs the same with few and many accounts, policies and held symbols.

The small guard and the large one are asked in turns in one loop; what is compared are medians.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.generate import account_name
from benchmarks.guard import everything_on, settled
from benchmarks.market import SYMBOLS
from benchmarks.measure import Figure
from benchmarks.policy_files import EQUITY, WIDE, policy_directory, wide_directory
from ringfence import (
    CentralRiskGuard,
    GuardSettings,
    MarketData,
    OrderRequest,
    PolicySet,
    RiskDecision,
)

__all__ = ["Side", "all_on", "compared", "guard_growth", "in_memory"]

ROUNDS = 4_000
WITHIN = 1.2
#: So many accounts of a large set send orders, in turns.
ACTIVE = 100
_SYMBOL = next(iter(SYMBOLS)).name


class Side(NamedTuple):
    """One of two that are compared: its size, its policies, who trades what, and what it holds before."""

    size: int
    policies: Path
    accounts: Sequence[str]
    symbol: str
    held: Sequence[str] = ()


def guard_growth(orders: int, directory: Path) -> list[Figure]:
    """Measure, on one core; the number of orders does not matter."""
    del orders
    place = directory / "guard-growth"
    by_accounts = [Side(n, policy_directory(place, n), _active(n), _SYMBOL) for n in (1, 10_000)]
    by_policies = [
        Side(n, policy_directory(place, 1_000, n), _active(1_000), _SYMBOL) for n in (1, 1_000)
    ]
    account, name = WIDE
    by_held = [
        Side(n, wide_directory(place, n), [account], name.format(0), [*map(name.format, range(n))])
        for n in (10, 1_000)
    ]
    figures = []
    for what, sides in (
        ("accounts", by_accounts), ("policies", by_policies), ("held symbols", by_held),
    ):  # fmt: skip
        for how in (in_memory, all_on):
            figures += compared(what, sides, how, place)
    return figures


def _active(accounts: int) -> list[str]:
    step = max(1, accounts // ACTIVE)
    return [account_name(k) for k in range(0, accounts, step)]


Opens = Callable[[PolicySet, Path, ExitStack], CentralRiskGuard]


def in_memory(policies: PolicySet, place: Path, stack: ExitStack) -> CentralRiskGuard:
    """Opens a guard that forgets everything."""
    del place
    settings = GuardSettings(in_memory=True, without_audit=True)
    guard = CentralRiskGuard.open(policies, settings=settings)
    stack.enter_context(guard)
    return guard


def all_on(policies: PolicySet, place: Path, stack: ExitStack) -> CentralRiskGuard:
    """Opens a guard that keeps and records everything."""
    return stack.enter_context(everything_on(policies, place))


def compared(what: str, sides: Sequence[Side], opens: Opens, place: Path) -> list[Figure]:
    """Ask a small and a large guard in turns; `what` names what there is more of."""
    with ExitStack() as stack:
        guards = [
            opens(PolicySet.load(side.policies), place / f"state-{side.size}", stack)
            for side in sides
        ]
        for each, side in zip(guards, sides, strict=True):
            _prepare(each, side)
        with settled():
            small, large = _times(guards, sides)
    how = "in memory" if opens is in_memory else "everything on"
    figures = [
        Figure("guard growth", f"{how}, {side.size:,} {what}, p50", taken / 1e3, "us")
        for side, taken in zip(sides, (small, large), strict=True)
    ]
    name = f"{how}, {sides[1].size:,} to {sides[0].size:,} {what}"
    return [*figures, Figure("guard growth", name, large / small, "times", at_most=WITHIN)]


def _prepare(guard: CentralRiskGuard, side: Side) -> None:
    for account in side.accounts:
        guard.on_balance(f"account/{account}", "opening", EQUITY)
    now = time.time_ns()
    for symbol in side.held or (side.symbol,):
        guard.on_mark(symbol, MarketData(100.0, 100.0, 100.0, now))
    for symbol in side.held:
        guard.on_direct_fill(side.accounts[0], "", symbol, "buy", "1", 100.0)
    for account in side.accounts:
        _ask(guard, account, side.symbol, "warm")


def _times(guards: Sequence[CentralRiskGuard], sides: Sequence[Side]) -> list[float]:
    found: list[list[int]] = [[] for _ in guards]
    for number in range(ROUNDS):
        for at, (guard, side) in enumerate(zip(guards, sides, strict=True)):
            if number % 500 == 0:
                now = time.time_ns()
                for symbol in side.held or (side.symbol,):
                    guard.on_mark(symbol, MarketData(100.0, 100.0, 100.0, now))
            account = side.accounts[number % len(side.accounts)]
            found[at].append(_ask(guard, account, side.symbol, f"growth-{number}"))
    return [median(taken) for taken in found]


def _ask(guard: CentralRiskGuard, account: str, symbol: str, name: str) -> int:
    asked = OrderRequest(account, symbol, "buy", "1", "100", client_order_id=f"{name}-{account}")
    start = time.perf_counter_ns()
    answer = guard.evaluate_order(asked)
    taken = time.perf_counter_ns() - start
    if answer.decision is not RiskDecision.APPROVE:
        raise RuntimeError(answer.reason)
    guard.on_cancel(answer.id)
    return taken
