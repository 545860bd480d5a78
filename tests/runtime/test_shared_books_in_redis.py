"""Guards that share books in a Redis server that goes away and comes back, with all, or with nothing."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.redis_server import RedisServer, wait_until
from ringfence import PolicySet
from ringfence.adapters.state_redis import RedisSharedLog
from ringfence.errors import StateError
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_RANDOM
from runtime.desk import order, policies

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("redis-server", "redis-server"),
]
KEEPS_ALL = {"appendonly": "yes", "appendfsync": "always"}
Opened = Callable[[str], CentralRiskGuard]


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    started = RedisServer(tmp_path / "redis", **request.param).start()
    yield started
    started.stop()


@pytest.fixture
def desk(tmp_path: Path) -> PolicySet:
    policies(tmp_path / "policies")
    path = tmp_path / "policies" / "desk.yaml"
    # Prices are told once: they stay fresh for as long as a test may take.
    path.write_text(path.read_text().replace("max_age: 5s", "max_age: 10000s"))
    return PolicySet.load(tmp_path / "policies")


@pytest.fixture
def opened(server: RedisServer, desk: PolicySet) -> Iterator[Opened]:
    guards: list[CentralRiskGuard] = []

    def make(name: str) -> CentralRiskGuard:
        log = RedisSharedLog(server.settings(settle_ms=1_000), f"{name}-{SYSTEM_RANDOM.token()}")
        settings = GuardSettings(name=name, without_audit=True, poll_seconds=0.05)
        guards.append(CentralRiskGuard.open(desk, state=log, settings=settings))
        return guards[-1]

    yield make
    for guard in guards:
        with suppress(StateError):
            guard.close()


def fed(guard: CentralRiskGuard) -> CentralRiskGuard:
    guard.on_balance("account/main", "opening", 100_000)
    now = SYSTEM_CLOCK.now_ns()
    for symbol, price in (("BTC/USD", 1_000.0), ("ETH/USD", 10.0)):
        guard.on_mark(symbol, MarketData(price, price, price, now))
    return guard


def working(guard: CentralRiskGuard) -> set[str]:
    return {each.order_id for each in guard.book("firm").open_orders}


@pytest.mark.parametrize("server", [KEEPS_ALL, {}], indirect=True, ids=["all", "nothing"])
def test_what_was_promised_is_in_the_books_before_another_order_is_taken(
    server: RedisServer, opened: Opened
) -> None:
    one, two = fed(opened("one")), opened("two")
    promised = {each.evaluate_order(order("1")).id for each in (one, two)}
    wait_until(lambda: working(one) == working(two) == promised, "both to know of both")
    server.kill()
    assert two.evaluate_order(order("1")).code == "STATE_UNAVAILABLE"
    server.start()

    answers: list[Any] = []

    def approved() -> bool:
        answers.append(two.evaluate_order(order("1", client_order_id=f"try-{len(answers)}")))
        return bool(answers[-1].decision == "APPROVE")

    wait_until(approved, "an order that is taken")
    assert {each.code for each in answers[:-1]} == {"STATE_UNAVAILABLE"}
    # Both were given back meanwhile, the other guard's by whoever was first.
    wait_until(
        lambda: working(one) == working(two) == promised | {answers[-1].id}, "the same books"
    )
