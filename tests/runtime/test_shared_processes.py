"""Processes that share books in a real Redis: one history for all of them, through kills and restarts."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.redis_server import RedisServer
from ringfence import OrderRequest, PolicySet
from ringfence.adapters.state_redis import RedisSharedLog, RedisStore
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import SYSTEM_CLOCK
from ringfence.runtime.shared_log import Entry
from runtime.desk import order, policies
from runtime.linearizable import History, assert_told_as_it_was, replayed

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("redis-server", "redis-server"),
]

TRADER = Path(__file__).with_name("shared_trader.py")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    started = RedisServer(
        tmp_path_factory.mktemp("redis"), appendonly="yes", appendfsync="always"
    ).start()
    yield started
    started.stop()


class SharedDesk:
    """Books in Redis, marked and opened, and the traders that use them."""

    def __init__(self, server: RedisServer, folder: Path, namespace: str) -> None:
        self.server, self.folder, self.namespace = server, folder, namespace
        # Prices are told once: they stay fresh for as long as a test may take.
        self.policy_set: PolicySet = policies(folder)
        path = folder / "desk.yaml"
        path.write_text(path.read_text().replace("max_age: 5s", "max_age: 10000s"))
        self.policy_set = PolicySet.load(folder)
        self.told: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        guard = self.guard("desk")
        for account in ("main", "other"):
            guard.on_balance(f"account/{account}", "opening", 100_000)
        now = SYSTEM_CLOCK.now_ns()
        guard.on_mark("BTC/USD", MarketData(1_000.0, 1_000.0, 1_000.0, now))
        guard.on_mark("ETH/USD", MarketData(10.0, 10.0, 10.0, now))
        guard.close()

    def log(self, origin: str) -> RedisSharedLog:
        settings = self.server.settings(namespace=self.namespace, kept_entries=1_000_000)
        return RedisSharedLog(RedisStore(settings), origin)

    def guard(self, name: str) -> CentralRiskGuard:
        return CentralRiskGuard.open(
            self.policy_set,
            state=self.log(f"{name}-{SYSTEM_CLOCK.now_ns()}"),
            settings=GuardSettings(name=name, without_audit=True, poll_seconds=0),
        )

    def entries(self) -> tuple[Entry, ...]:
        """Everything since the books were begun."""
        texts = self.server.ask("LRANGE", f"{{ringfence:{self.namespace}}}:entries", 0, -1)
        parts = [text.split(" ", 3) for text in texts]
        return tuple(
            Entry(None, each[2], int(each[1]), json.loads(each[3]), each[3].encode())  # type: ignore[arg-type]
            for each in parts
        )

    def trade(self, name: str, seed: int, count: int, kill_after: int | None = None) -> None:
        """Run a trader to its end, or kill it once it has said `kill_after` things."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        words = (self.server.port, self.server.password, self.namespace, name, self.folder, seed)
        with subprocess.Popen(
            [sys.executable, str(TRADER), *map(str, words), str(count)],
            stdout=subprocess.PIPE,
            env=environment,
        ) as trader:
            assert trader.stdout is not None
            for number, line in enumerate(trader.stdout):
                if not line.endswith(b"\n"):
                    break
                with self._lock:
                    self.told.append(json.loads(line))
                if number == kill_after:
                    trader.send_signal(signal.SIGKILL)

    def trade_together(self, runs: list[tuple[str, int, int, int | None]]) -> None:
        threads = [threading.Thread(target=self.trade, args=run) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def check(self) -> History:
        """One history explains every answer, and the books are where it ends."""
        history = replayed(self.policy_set, self.entries())
        assert_told_as_it_was(history, self.told)
        guard = self.guard("checker")
        working = {each.order_id: each.size for each in guard.book("firm").open_orders}
        reference = history.ledger.book("firm").open_orders
        assert working == {each.order_id: each.size for each in reference}
        for each in self.told:
            if each["kind"] == "end":
                assert each["id"] not in working
            elif each["kind"] == "fill":
                assert each["id"] in history.filled
            elif each["kind"] == "answer" and Decimal(each["size"]):
                assert each["id"] in working or each["id"] in history.ended
        for each in self.told[:: max(1, len(self.told) // 20)]:
            if each["kind"] == "answer" and each["client"] in history.answers:
                side, size = each["asked"]
                again = _asked(guard, order(size, side=side, client_order_id=each["client"]))
                assert (again.id, str(again.size)) == (each["id"], each["size"])
        guard.close()
        return history


def _asked(guard: CentralRiskGuard, request: OrderRequest) -> GuardDecision:
    """The answer once the store takes orders: after a restart it waits for what guards give back."""
    pause = threading.Event()
    for _ in range(600):
        answer = guard.evaluate_order(request)
        if answer.code != "STATE_UNAVAILABLE":
            return answer
        pause.wait(0.05)
    raise AssertionError("the store takes no orders")


def test_what_processes_were_told_is_one_history(server: RedisServer, tmp_path: Path) -> None:
    desk = SharedDesk(server, tmp_path / "policies", "history")

    desk.trade_together([(name, seed, 60, None) for seed, name in enumerate(("a", "b", "c"))])

    history = desk.check()
    assert [each["kind"] for each in desk.told].count("finished") == 3
    assert len(history.answers) == 180
    sizes = [size for _, size in history.answers.values()]
    assert any(sizes)
    assert not all(sizes)


def test_nothing_is_lost_or_doubled_when_processes_are_killed(
    server: RedisServer, tmp_path: Path
) -> None:
    desk, source = SharedDesk(server, tmp_path / "policies", "kills"), random.Random(20260105)
    seed = 0
    for _ in range(3):
        runs: list[tuple[str, int, int, int | None]] = []
        for name in ("a", "b"):
            seed += 1
            runs.append((name, seed, 500, source.randrange(5, 150)))
        desk.trade_together(runs)
        desk.check()

    assert any(each["kind"] == "ready" and each["orphans"] for each in desk.told)
