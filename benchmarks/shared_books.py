"""One order at a time with books that guards share in Redis, beside a round trip to the same server.

The server runs as in production in what matters here: with `always` a write is on its disk before it answers.
"""

import os
import time
from functools import partial
from pathlib import Path
from shutil import rmtree
from statistics import median

from benchmarks.generate import account_name
from benchmarks.market import SYMBOLS
from benchmarks.measure import Figure
from benchmarks.policy_files import EQUITY, policy_directory
from ringfence import CentralRiskGuard, GuardSettings, MarketData, OrderRequest
from ringfence.adapters.state_redis import RedisSharedLog, RedisStore
from ringfence.runtime.shared_log import Head
from tests.adapters.redis_server import RedisServer

__all__ = ["shared_books"]

ROUNDS = 3_000
WARM = 300


def shared_books(orders: int, directory: Path) -> list[Figure]:
    """Measure; the number of orders does not matter."""
    del orders
    policies = policy_directory(directory, 10)
    found: list[Figure] = []
    for durability in ("always", "everysec"):
        rmtree(directory / "redis", ignore_errors=True)
        server = RedisServer(directory / "redis", appendonly="yes", appendfsync=durability).start()
        try:
            found += _figures(server, policies, durability)
        finally:
            server.stop()
    return found


def _figures(server: RedisServer, policies: Path, durability: str) -> list[Figure]:
    store = RedisStore(server.settings(namespace="bench"))
    log = RedisSharedLog(store, f"bench-{os.getpid()}")
    account, symbol = account_name(0), next(iter(SYMBOLS)).name
    settings = GuardSettings(name="bench", without_audit=True)
    with CentralRiskGuard.open(policies, state=log, settings=settings) as guard:
        guard.on_balance(f"account/{account}", "opening", EQUITY)
        guard.on_mark(symbol, MarketData(100.0, 100.0, 100.0, time.time_ns()))
        beside = RedisStore(server.settings(namespace="beside"))
        probe = RedisSharedLog(beside, f"probe-{os.getpid()}")
        known = probe.found({}).head
        times: tuple[list[int], ...] = ([], [])
        for number in range(WARM + ROUNDS):
            if number % 300 == 0:
                guard.on_mark(symbol, MarketData(100.0, 100.0, 100.0, time.time_ns()))
            client = f"bench-{number}"
            order = OrderRequest(account, symbol, "buy", "1", "100", client_order_id=client)
            started = time.perf_counter_ns()
            answer = guard.evaluate_order(order)
            decided = time.perf_counter_ns()
            if not answer.size:
                raise RuntimeError(answer.reason)
            taken, known = _append(probe, known, number + 1)
            guard.on_cancel(answer.id)
            if number >= WARM:
                times[0].append(decided - started)
                times[1].append(taken)
    trip, decision = (median(each) for each in reversed(times))
    p99 = sorted(times[0])[len(times[0]) * 99 // 100]
    name = partial(Figure, f"shared books, {durability}")
    return [
        name("an append alone, p50", trip / 1e3, "us"),
        name("decision, p50", decision / 1e3, "us"),
        name("decision, p99", p99 / 1e3, "us"),
        name("decision to an append, p50", decision / trip, "times"),
    ]


def _append(log: RedisSharedLog, known: Head, number: int) -> tuple[int, Head]:
    """The time that one event takes to the server and back, and where the log stands then."""
    started = time.perf_counter_ns()
    found = log.append(known, number, ["time", time.time_ns()], only_there=False)
    return time.perf_counter_ns() - started, found.entries[-1].head
