"""How many decisions a second one process records, alone and in batches, and how long a guard with very many open orders takes to open."""

import time
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, rmtree
from statistics import median
from typing import Any

from benchmarks.generate import account_name
from benchmarks.guard import everything_on, settled
from benchmarks.market import SYMBOLS
from benchmarks.measure import Figure, pinned, seconds_of
from benchmarks.policy_files import EQUITY, policy_directory
from ringfence import (
    CentralRiskGuard,
    GuardSettings,
    MarketData,
    OrderRequest,
    PolicySet,
    RiskDecision,
)
from ringfence.runtime.guard_decision import GuardDecision

__all__ = ["guard_log", "guard_restart"]

BATCH = 500
BATCHES = 40
RESERVATIONS = 100_000
ACCOUNTS = 10
_SYMBOL = next(iter(SYMBOLS)).name
_PRICE = 3.0
_Ask = Callable[[list[tuple[OrderRequest, Any]]], list[GuardDecision]]


def guard_log(orders: int, directory: Path) -> list[Figure]:
    """Decisions a second into the log, on one core: the median of rounds; the number does not matter."""
    del orders
    policies = PolicySet.load(policy_directory(directory, ACCOUNTS))
    with everything_on(policies, directory / "guard-log") as guard:
        _fund(guard)
        alone, together = _one_by_one(guard), guard.evaluate_orders
        with settled():
            # In turns, so that whatever else the machine does slows both alike.
            rates = [
                (_rate(guard, 2 * number, alone), _rate(guard, 2 * number + 1, together))
                for number in range(BATCHES)
            ]
    one, many = (median(each) for each in zip(*rates, strict=True))
    return [
        Figure("guard log", "decisions recorded, one by one", one, "a second"),
        Figure("guard log", "decisions recorded, in batches", many, "a second", at_least=50_000.0),
    ]


def guard_restart(orders: int, directory: Path) -> list[Figure]:
    """Opening a guard with 100,000 open orders: after a `kill -9`, and after it was closed."""
    del orders
    policies = PolicySet.load(policy_directory(directory, ACCOUNTS))
    place = directory / "guard-restart"
    rmtree(place, ignore_errors=True)
    settings = GuardSettings(without_audit=True)
    state = place / "state"
    with CentralRiskGuard.open(policies, state=state, settings=settings) as guard:
        _fund(guard)
        for number in range(0, RESERVATIONS, BATCH):
            _mark(guard)
            for order in _orders(number):
                _approved(guard.evaluate_order(order))
        # What a process leaves behind that ends here.
        copytree(state, place / "killed")
    copytree(state, place / "closed")
    figures = []
    with pinned():
        for how in ("killed", "closed"):
            seconds = seconds_of(lambda how=how: _reopen(policies, place / how, settings))  # type: ignore[misc]
            name = f"{RESERVATIONS:,} open orders, {how}"
            figures.append(Figure("guard restart", name, seconds, "s", at_most=3.0))
    rmtree(place)
    return figures


def _reopen(policies: PolicySet, state: Path, settings: GuardSettings) -> None:
    guard = CentralRiskGuard.open(policies, state=state, settings=settings)
    if len(guard.orphans) != RESERVATIONS:
        raise RuntimeError(f"{len(guard.orphans)} open orders")


def _fund(guard: CentralRiskGuard) -> None:
    for k in range(ACCOUNTS):
        guard.on_balance(f"account/{account_name(k)}", "opening", EQUITY)


def _mark(guard: CentralRiskGuard) -> None:
    guard.on_mark(_SYMBOL, MarketData(_PRICE, _PRICE, _PRICE, time.time_ns()))


def _orders(first: int) -> list[OrderRequest]:
    return [
        OrderRequest(
            account_name(k % ACCOUNTS), _SYMBOL, "buy", "2", str(_PRICE), client_order_id=f"b-{k}"
        )
        for k in range(first, first + BATCH)
    ]


def _approved(answer: GuardDecision) -> None:
    if answer.decision is not RiskDecision.APPROVE:
        raise RuntimeError(answer.reason)


def _one_by_one(guard: CentralRiskGuard) -> _Ask:
    evaluate = guard.evaluate_order
    return lambda orders: [evaluate(*each) for each in orders]


def _rate(guard: CentralRiskGuard, number: int, ask: _Ask) -> float:
    _mark(guard)
    orders = [(order, None) for order in _orders(number * BATCH)]
    start = time.perf_counter_ns()
    answers = ask(orders)
    taken = time.perf_counter_ns() - start
    for answer in answers:
        _approved(answer)
        guard.on_cancel(answer.id)
    return BATCH / taken * 1e9
