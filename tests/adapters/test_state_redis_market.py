"""Market data that processes share: fresh or not there, and never older than what was there."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.redis_server import RedisServer, wait_until
from ringfence.adapters.state_redis import RedisMarketCache, RedisStore
from ringfence.errors import InputError
from ringfence.runtime.asked import MarketData
from ringfence.runtime.market_cache import MarketCache
from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.runtime.shared_log import StateUnavailableError

pytestmark = [pytest.mark.integration, pytest.mark.needs("redis-server", "redis-server")]


Opened = Callable[..., RedisMarketCache]


@pytest.fixture
def opened(redis_server: RedisServer) -> Iterator[Opened]:
    store = RedisStore(redis_server.settings(namespace=SYSTEM_RANDOM.token()))

    def make(**options: Any) -> RedisMarketCache:
        return RedisMarketCache(store, **({"fresh_ms": 3_600_000} | options))

    yield make
    store.close()


def results(cache: RedisMarketCache) -> dict[str, Any]:
    (metric,) = cache.metrics()
    assert metric.name == "ringfence_market_cache"
    return {sample.labels["result"]: sample.value for sample in metric.samples}


def test_what_one_process_puts_another_gets(opened: Opened) -> None:
    one: MarketCache = opened()
    two = opened()
    data = MarketData(bid=0.1, ask=0.3, last=0.2, timestamp=5, bid_depth=1e-9, volume=1e300)

    one.put("BTC-USD", data)

    assert two.get("BTC-USD") == data
    assert two.get("ETH-USD") is None
    assert results(two) == {"hit": 1, "miss": 1, "expired": 0}


def test_older_data_never_takes_the_place_of_newer(opened: Opened) -> None:
    cache, late = opened(), 1_700_000_000_000_000_002
    cache.put("S", MarketData(last=2.0, timestamp=late))

    cache.put("S", MarketData(last=1.0, timestamp=late - 1))
    assert cache.get("S") == MarketData(last=2.0, timestamp=late)
    cache.put("S", MarketData(last=3.0, timestamp=late))
    assert cache.get("S") == MarketData(last=3.0, timestamp=late)
    cache.put("S", MarketData(last=4.0, timestamp=2**63 - 1))
    assert cache.get("S") == MarketData(last=4.0, timestamp=2**63 - 1)


def test_data_that_is_too_old_is_none(opened: Opened, redis_server: RedisServer) -> None:
    cache = opened(fresh_ms=1)
    cache.put("S", MarketData(last=1.0, timestamp=1))

    wait_until(lambda: cache.get("S") is None, "the end of the data")
    assert results(cache)["expired"] >= 1
    # The server forgets it later, by itself.
    assert 0 < redis_server.ask("PTTL", cache._key("S")) <= 60_001
    # Data of the same time makes it fresh again: the feed says that it is still so.
    long = opened()
    long.put("S", MarketData(last=1.0, timestamp=1))
    assert long.get("S") is not None


def test_many_symbols_go_at_once(opened: Opened) -> None:
    cache = opened()
    data = {
        f"S{number}": MarketData(last=float(number), timestamp=number) for number in range(2_500)
    }

    cache.put_many(data)

    assert cache.get_many([*data, "T"]) == data
    assert results(cache) == {"hit": 2_500, "miss": 1, "expired": 0}
    assert cache.get_many([]) == {}


def test_what_is_no_market_data_is_refused_before_anything_is_put(
    opened: Opened,
) -> None:
    cache = opened()
    wrong: list[Any] = [None, "1.0", MarketData(timestamp=-1), MarketData(last=object())]  # type: ignore[arg-type]

    for each in wrong:
        with pytest.raises(InputError, match="no market data"):
            cache.put_many({"S": MarketData(last=1.0), "T": each})
    assert cache.get("S") is None
    with pytest.raises(InputError, match="`fresh_ms` is below 1"):
        opened(fresh_ms=0)


def test_numbers_come_back_bit_for_bit(opened: Opened) -> None:
    cache = opened()
    timestamps = iter(range(1_000_000))

    @settings(max_examples=100)
    @given(bid=numbers, last=numbers)
    def holds(bid: Any, last: Any) -> None:
        cache.put("S", MarketData(bid=bid, last=last, timestamp=next(timestamps)))
        found = cache.get("S")
        assert found is not None
        assert (found.bid, found.last) == (_number(bid), _number(last))

    holds()


numbers = st.none() | st.floats(allow_nan=False) | st.decimals(-1000, 1000, places=3)


def _number(given: Any) -> Any:
    return float(given) if isinstance(given, Decimal) else given


def test_a_cache_that_cannot_be_asked_says_so(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.settings(password=None))

    with pytest.raises(StateUnavailableError):
        RedisMarketCache(store).get("S")
    store.close()
