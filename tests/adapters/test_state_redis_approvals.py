"""Each approval is used once, across machines; also where the server forgot."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.redis_server import RedisServer
from ringfence.adapters.state_redis import RedisStore, RedisUsedApprovals
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_RANDOM, FixedClock

pytestmark = [pytest.mark.security, pytest.mark.needs("redis-server", "redis-server")]

SECOND = 10**9


Register = Callable[..., RedisUsedApprovals]


@pytest.fixture
def register(redis_server: RedisServer) -> Iterator[Register]:
    store = RedisStore(redis_server.settings(namespace=SYSTEM_RANDOM.token()))

    def make(**options: Any) -> RedisUsedApprovals:
        return RedisUsedApprovals(store, **options)

    yield make
    store.close()


def aged(register: Register) -> int:
    """Make the register old enough to tell, and give the time: it takes approvals to live for 1 ms."""
    used = register(longest_life_ms=1)
    with pytest.raises(OSError, match="more than 1 ms"):
        used.claim("first", SYSTEM_CLOCK.now_ns() + 3_600 * SECOND)
    return SYSTEM_CLOCK.now_ns()


def test_a_claim_is_granted_once_to_all(register: Register) -> None:
    ends = aged(register) + 30 * SECOND
    one, two = register(), register()

    assert [one.claim("a", ends), two.claim("a", ends), two.claim("b", ends)] == [True, False, True]
    assert two.claim("a", ends + SECOND) is False
    assert one.claim("\ud800", ends) is True
    assert two.claim("\ud800", ends) is False


def test_of_many_threads_one_is_granted(register: Register) -> None:
    ends, used = aged(register) + 30 * SECOND, register()
    granted: list[bool] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        granted.append(used.claim("a", ends))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(granted) == [False] * 7 + [True]


def test_what_has_ended_by_either_clock_is_refused_and_forgotten(
    register: Register, redis_server: RedisServer
) -> None:
    now = aged(register)
    late, early = FixedClock(now + 3_600 * SECOND), FixedClock(now - 3_600 * SECOND)

    assert register(clock=late).claim("a", now + 30 * SECOND) is False
    assert register(clock=early).claim("b", now - SECOND) is False
    assert register(clock=early).claim("c", now + SECOND // 5) is True
    used = register()._keys[1]
    redis_server.ask("ZADD", used, 5, "ended")
    redis_server.ask("HINCRBY", register()._keys[0], "held", 1)
    assert register().claim("d", now + 30 * SECOND) is True
    assert "ended" not in redis_server.ask("ZRANGE", used, 0, -1)


def test_the_horizon_never_goes_back(register: Register, redis_server: RedisServer) -> None:
    now = aged(register)
    ahead = now // 10**6 + 20_000
    # The server's clock was ahead, and was set back.
    redis_server.ask("HSET", register()._keys[0], "horizon", ahead)

    assert register().claim("a", now + 10 * SECOND) is False
    assert register().claim("b", now + 30 * SECOND) is True


def test_an_approval_that_lives_too_long_is_refused(register: Register) -> None:
    now = aged(register)

    with pytest.raises(OSError, match="longest_life_ms"):
        register(longest_life_ms=10_000).claim("a", now + 60 * SECOND)


@pytest.mark.parametrize("loss", ["begun", "emptied", "evicted", "another server"])
def test_a_register_that_may_have_lost_claims_refuses_what_it_cannot_tell(
    register: Register, redis_server: RedisServer, loss: str
) -> None:
    used = register(longest_life_ms=60_000)
    ends = SYSTEM_CLOCK.now_ns() + 30 * SECOND
    if loss != "begun":
        aged(register)
        assert used.claim("a", ends)
    if loss == "emptied":
        redis_server.ask("DEL", *used._keys)
    if loss == "evicted":
        redis_server.ask("DEL", used._keys[1])
    if loss == "another server":
        redis_server.ask("HSET", used._keys[0], "server", "0" * 40)

    with pytest.raises(OSError, match="a moment ago"):
        used.claim("b", ends)
    if loss == "another server":
        # What it has counts.
        assert used.claim("a", ends) is False
    else:
        with pytest.raises(OSError, match="a moment ago"):
            used.claim("a", ends)


def test_a_restart_of_the_server_is_noticed(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", appendonly="yes", appendfsync="always").start()
    store = RedisStore(server.settings())
    try:
        used = RedisUsedApprovals(store)
        with pytest.raises(OSError, match="a moment ago"):
            used.claim("a", SYSTEM_CLOCK.now_ns() + 30 * SECOND)
        server.ask("HSET", used._keys[0], "unsure", 0)
        assert used.claim("a", SYSTEM_CLOCK.now_ns() + 30 * SECOND)
        server.kill()
        server.start()

        # It has all claims; another server might not have.
        with pytest.raises(OSError, match="a moment ago"):
            used.claim("b", SYSTEM_CLOCK.now_ns() + 30 * SECOND)
        server.kill()
        with pytest.raises(OSError, match="cannot be reached"):
            used.claim("b", SYSTEM_CLOCK.now_ns() + 30 * SECOND)
    finally:
        store.close()
        server.stop()
