"""A process that is killed while it trades: the next one knows every fill, each once, and every open order."""

import os
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.kraken_server import KrakenServer, running
from gateway.killed_follower import process
from gateway.whole_desk import CREDENTIALS
from ringfence.gateway import reconcile
from ringfence.runtime.credentials import KRAKEN_API_KEY, KRAKEN_SECRET
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import SYSTEM_CLOCK, FixedClock
from runtime.desk import SECOND, mark, opened, policies

pytestmark = pytest.mark.integration

CHILD = Path(__file__).with_name("killed_follower.py")
RUNS = 3


def trade(server: KrakenServer, source: random.Random) -> None:
    """Something happens to an order at the exchange."""
    with server.lock:
        server.now_ns = SYSTEM_CLOCK.now_ns()
        opened_there = [t for t, each in server.orders.items() if each["status"] == "open"]
        for txid in source.sample(opened_there, min(2, len(opened_there))):
            order = server.orders[txid]
            tenths = int((Decimal(order["vol"]) - Decimal(order["vol_exec"])) * 10)
            if source.random() < 0.2:
                server.end(txid, "expired", "out of time")
            else:
                server.fill(txid, str(source.randint(1, tenths) / 10), "1000", "0.25")


def run_and_kill(folder: Path, server: KrakenServer, seed: int) -> None:
    source = random.Random(seed)
    server.now_ns = SYSTEM_CLOCK.now_ns()
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), server.url, str(seed)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    with child, child.stdout as lines:
        for _ in range(source.randint(20, 60)):
            assert lines.readline()
            trade(server, source)
        child.kill()


def test_kills_lose_no_fill_and_double_none(tmp_path: Path) -> None:
    desk = policies(tmp_path / "policies")
    with opened(
        desk,
        clock=FixedClock(SYSTEM_CLOCK.now_ns()),
        settings=GuardSettings(without_audit=True, venues=("kraken",)),
        state=tmp_path / "state",
    ):
        pass
    key, secret = (CREDENTIALS.get(kind).reveal() for kind in (KRAKEN_API_KEY, KRAKEN_SECRET))
    with running(key, secret, SYSTEM_CLOCK.now_ns()) as server:
        for seed in range(RUNS):
            run_and_kill(tmp_path, server, seed)
        # So late that nothing can be on its way any more.
        clock = FixedClock(SYSTEM_CLOCK.now_ns() + 60 * SECOND)
        server.now_ns = clock.now_ns()
        guard, gateway, follower = process(tmp_path, server.url, clock)
        clock.advance(120 * SECOND)
        server.now_ns = clock.now_ns()
        mark(guard, clock.now_ns(), 1_000.0)
        follower.catch_up()

        book = guard.book("account/main")
        still = {each.client_order_id for each in guard.working_orders()}
        assert len(server.trades) > 10 * RUNS
        assert still == {each.client_order_id for each in gateway.open_orders("main")}
        assert book.cash == pytest.approx(float(server.balances["ZUSD"]))
        instruments = desk.linked.desk.instruments
        waits: list[float] = []
        assert reconcile(follower, instruments, currency="USD", wait=waits.append) == ()
        guard.close()
