"""Kills and faults under load, for minutes (`make soak`): processes die, the store dies, and one history is left."""

import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from adapters.redis_server import RedisServer
from runtime.test_shared_processes import SharedDesk
from soak.figures import told

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("redis-server", "redis-server"),
]

SECONDS = float(os.environ.get("RINGFENCE_SOAK_SECONDS", "600"))
KILLS = int(os.environ.get("RINGFENCE_SOAK_KILLS", "200"))


def kept(folder: Path) -> RedisServer:
    return RedisServer(folder, appendonly="yes", appendfsync="always").start()


def test_many_kills_under_load(tmp_path: Path) -> None:
    server, source = kept(tmp_path / "redis"), random.Random()
    desk = SharedDesk(server, tmp_path / "policies", "soak")
    kills = seed = 0
    while kills < KILLS:
        # Three at a time; each is replaced as soon as it was killed.
        share = min(30, KILLS - kills)
        runs: list[list[tuple[str, int, int, int | None]]] = [[], [], []]
        for number in range(share):
            seed += 1
            runs[number % 3].append((f"t{number % 3}", seed, 2_000, source.randrange(2, 200)))
        threads = [
            threading.Thread(target=lambda mine=mine: [desk.trade(*run) for run in mine])
            for mine in runs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kills += share
        desk.check()
    server.stop()

    kinds = Counter(each["kind"] for each in desk.told)
    answers = sum(each["kind"] == "answer" for each in desk.told)
    told("kills", kills=kills, answers=answers, lost=0, doubled=0, **kinds)


def test_a_store_that_dies_under_load(tmp_path: Path) -> None:
    server, source = kept(tmp_path / "redis"), random.Random()
    desk = SharedDesk(server, tmp_path / "policies", "faults")
    ends, faults, seed = time.monotonic() + 0.35 * SECONDS, Counter[str](), 0
    pause = threading.Event()
    while time.monotonic() < ends:
        seed += 1
        runs = [(name, seed, 1_500, None) for name in ("a", "b", "c")]
        trading = threading.Thread(target=desk.trade_together, args=(runs,))
        trading.start()
        while trading.is_alive():
            # Faults come at random; that nothing is lost must not depend on when.
            pause.wait(source.uniform(0.5, 2.0))
            fault = source.choice(("kill", "restart", "pause", "cut"))
            faults[fault] += 1
            if fault == "kill":
                server.stop(signal.SIGKILL)
                server.start()
            elif fault == "restart":
                server.stop()
                server.start()
            elif fault == "pause":
                with server.paused():
                    pause.wait(source.uniform(0.05, 0.5))
            else:
                server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        trading.join()
        desk.check()
    server.stop()

    codes = Counter(each["code"] for each in desk.told if each["kind"] == "answer")
    told("store faults", faults=dict(faults), answers=dict(codes), lost=0, doubled=0)
    assert codes[""] > 0
