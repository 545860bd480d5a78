"""One order at a time: the guard, beside a plain Python function of eight ifs over dataclasses.

All are asked in turn in one loop, so that what else the machine does slows all of them alike; what is
compared are ratios.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import Any

from benchmarks.eight_ifs import Book, Order, eight_ifs
from benchmarks.generate import account_name
from benchmarks.market import SYMBOLS
from benchmarks.measure import Figure, pinned
from benchmarks.policy_files import EQUITY, policy_directory
from ringfence import (
    CentralRiskGuard,
    GuardSettings,
    MarketData,
    OrderRequest,
    PolicySet,
    RiskDecision,
)
from ringfence.runtime.approvals import Signer
from ringfence.runtime.asked import Asked, read_order
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.evaluator import Found, Route

__all__ = ["bare_decision", "everything_on", "guard", "settled"]

ROUNDS = 20_000
WARM = 1_000


@contextmanager
def everything_on(policies: PolicySet | Path, place: Path) -> Iterator[CentralRiskGuard]:
    """A guard with state and audit log in files, approvals signed."""
    rmtree(place, ignore_errors=True)
    settings = GuardSettings(signer=Signer(bytes(range(32))))
    with (
        AuditLog.open(place / "audit", durability="process") as log,
        CentralRiskGuard.open(
            policies, audit=log, state=place / "state", settings=settings
        ) as made,
    ):
        yield made
    rmtree(place, ignore_errors=True)


@contextmanager
def settled() -> Iterator[None]:
    """One core; what is there already is left out of the search for garbage, as the how-to advises."""
    gc.collect()
    gc.freeze()
    try:
        with pinned():
            yield
    finally:
        gc.unfreeze()


def guard(orders: int, directory: Path) -> list[Figure]:
    """Measure, on one core; the number of orders does not matter."""
    del orders
    policies = PolicySet.load(policy_directory(directory, 10))
    with everything_on(policies, directory / "guard") as full:
        alone = CentralRiskGuard.open(
            policies, settings=GuardSettings(in_memory=True, without_audit=True)
        )
        with settled():
            return _figures(*_times(full, alone))


def _times(full: CentralRiskGuard, alone: CentralRiskGuard) -> tuple[list[int], ...]:
    account, symbol = account_name(0), next(iter(SYMBOLS)).name
    for each in (full, alone):
        each.on_balance(f"account/{account}", "opening", EQUITY)
    request = OrderRequest(account, symbol, "buy", "1", "100")
    plain, book = Order(1.0, 100.0), Book()
    found: tuple[list[int], ...] = ([], [], [], [], [])
    for number in range(WARM + ROUNDS):
        if number % 500 == 0:
            for each in (full, alone):
                each.on_mark(symbol, MarketData(100.0, 100.0, 100.0, time.time_ns()))
        now = time.time_ns()
        asked, other = (
            OrderRequest(account, symbol, "buy", "1", "100", client_order_id=f"{name}-{number}")
            for name in ("bench", "other")
        )
        asks: tuple[Callable[[], Any], ...] = (
            partial(eight_ifs, plain, book),
            partial(bare_decision, alone, request, now),
            partial(alone.evaluate_order, request),
            partial(full.evaluate_order, asked),
            partial(full.evaluate_order, other, MarketData(100.0, 100.0, 100.0, now)),
        )
        answers: list[Any] = []
        for at, ask in enumerate(asks):
            taken = _timed(ask, answers)
            if number >= WARM:
                found[at].append(taken)
        for answer, each in zip(answers[2:], (alone, full, full), strict=True):
            if answer.decision is not RiskDecision.APPROVE:
                raise RuntimeError(answer.reason)
            each.on_cancel(answer.id)
    return found


def _timed(ask: Callable[[], Any], answers: list[Any]) -> int:
    start = time.perf_counter_ns()
    answer = ask()
    taken = time.perf_counter_ns() - start
    answers.append(answer)
    return taken


def bare_decision(owner: CentralRiskGuard, request: OrderRequest, now: int) -> Found:
    """Only the decision, on books in arrays: the order is read, and every gate asked."""
    evaluator = owner.evaluator
    asked = read_order(request)
    if not isinstance(asked, Asked):
        raise RuntimeError(asked.message)
    route = evaluator.route(asked)
    lots = evaluator.lots(route, asked) if isinstance(route, Route) else route
    if not isinstance(route, Route) or not isinstance(lots, int):
        raise RuntimeError("the order cannot be judged")
    found = evaluator.ask(route, asked, lots, now)
    if not isinstance(found, Found):
        raise RuntimeError(found.message)
    return found


def _figures(*times: list[int]) -> list[Figure]:
    plain = median(times[0])
    figures = [Figure("guard", "eight ifs, p50", plain / 1e3, "us")]
    for name, taken, most in zip(
        ("bare decision", "in memory", "everything on", "everything on, with market data"),
        times[1:],
        (1.0, None, 10.0, None),
        strict=True,
    ):
        ordered = sorted(taken)
        p50, p99, p999 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99, 0.999))
        all_on = most == 10.0
        figures += [
            Figure("guard", f"{name}, p50", p50 / 1e3, "us"),
            Figure("guard", f"{name}, p99", p99 / 1e3, "us"),
            Figure("guard", f"{name}, p99.9", p999 / 1e3, "us", at_most=200.0 if all_on else None),
            Figure("guard", f"{name}, p50 to eight ifs", p50 / plain, "times", at_most=most),
        ]
        if all_on:
            figures.append(Figure("guard", f"{name}, p99 to p50", p99 / p50, "times", at_most=4.0))
    return figures
