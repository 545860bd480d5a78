"""Market data that several processes share, in Redis. How old it is, the server's own clock says."""

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ringfence.adapters.state_redis.scripts import SERVER, Script
from ringfence.adapters.state_redis.store import RedisStore
from ringfence.errors import InputError
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import MarketData, read_market
from ringfence.runtime.metric_table import metric
from ringfence.runtime.metrics import Metric, Sample

__all__ = ["RedisMarketCache"]

_RESULTS = ("hit", "miss", "expired")
# How long data is kept after it is too old, so that a symbol whose feed stands still shows as `expired`.
_KEPT_MS = 60_000

# A value is `TIMESTAMP UNTIL NUMBERS`: when it was true (ns, 19 digits, so that text sorts as numbers do), and when it is
# too old (ms). ARGV: how long data is fresh, how long it is kept after that, and for each key its time and numbers.
_PUT = Script(
    SERVER,
    """
local fresh = now_ms() + ARGV[1]
for place, key in ipairs(KEYS) do
  local at, numbers = ARGV[2 * place + 1], ARGV[2 * place + 2]
  local there = redis.call('GETRANGE', key, 0, 18)
  if there == '' or there <= at then
    local value = at .. ' ' .. string.format('%.0f', fresh) .. ' ' .. numbers
    redis.call('SET', key, value, 'PX', ARGV[1] + ARGV[2])
  end
end
return 1
""",
    replicated=False,
)

_GET = Script(
    SERVER,
    """
local now = now_ms()
local answer = redis.call('MGET', unpack(KEYS))
for place, value in ipairs(answer) do
  if value and tonumber(string.match(value, '^%d+ (%d+) ')) <= now then answer[place] = '' end
end
return answer
""",
    writes=False,
)
# What Lua's `unpack` takes at once is bounded, and so is how long a script may hold the server up.
_BATCH = 1_000


class RedisMarketCache:
    """`MarketCache` in Redis.

    Args:
        store: Where the server is; processes that name the same `namespace` share the data.
        fresh_ms: How long data counts after it was put there, by the server's clock.

    Raises:
        InputError: `fresh_ms` is below 1.
    """

    def __init__(self, store: RedisStore, *, fresh_ms: int = 5_000) -> None:
        if fresh_ms < 1:
            raise InputError("`fresh_ms` is below 1", "set 1 or more")
        self._store = store
        self._fresh_ms = fresh_ms
        self._lock = threading.Lock()
        self._results: Counter[str] = Counter()

    def get(self, symbol: str) -> MarketData | None:
        """As `MarketCache.get`."""
        return self.get_many((symbol,)).get(symbol)

    def put(self, symbol: str, data: MarketData) -> None:
        """As `MarketCache.put`."""
        self.put_many({symbol: data})

    def get_many(self, symbols: Iterable[str]) -> dict[str, MarketData]:
        """As `MarketCache.get_many`."""
        found = {}
        for names in _batches(list(symbols)):
            results: Counter[str] = Counter()
            keys = tuple(self._key(name) for name in names)
            answer = self._store.quick.run("market_get", _GET, keys)
            for name, value in zip(names, answer, strict=True):
                results["miss" if value is None else "hit" if value else "expired"] += 1
                if value:
                    found[name] = _read(value)
            with self._lock:
                self._results += results
        return found

    def put_many(self, data: Mapping[str, MarketData]) -> None:
        """As `MarketCache.put_many`; nothing is kept where one of them is no market data."""
        written = {symbol: _written(symbol, each) for symbol, each in data.items()}
        for names in _batches(list(written)):
            keys = tuple(self._key(name) for name in names)
            values: list[Any] = [self._fresh_ms, _KEPT_MS]
            for name in names:
                values += written[name]
            self._store.quick.run("market_put", _PUT, keys, values)

    def metrics(self) -> Iterable[Metric]:
        """As `runtime.metrics.Source.metrics`; requests and errors are the store's."""
        with self._lock:
            results = dict(self._results)
        return (
            metric(
                "ringfence_market_cache",
                (Sample({"result": name}, results.get(name, 0)) for name in _RESULTS),
            ),
        )

    def _key(self, symbol: str) -> str:
        return self._store.settings.key(f"market:{symbol}")


def _batches(names: list[str]) -> Iterable[list[str]]:
    return (names[first : first + _BATCH] for first in range(0, len(names), _BATCH))


def _written(symbol: str, data: MarketData) -> tuple[str, str]:
    read = read_market(data)
    if read is None or isinstance(read, Refusal):
        raise InputError(
            f"what is given for {symbol!a} is no market data",
            "give a `MarketData` with a time and prices above zero",
        )
    timestamp, numbers = read
    # NaN is written as null.
    return f"{timestamp:019d}", json.dumps([None if x != x else x for x in numbers])


def _read(value: bytes) -> MarketData:
    timestamp, _, numbers = value.split(b" ", 2)
    bid, ask, last, bid_depth, ask_depth, volume = json.loads(numbers)
    return MarketData(bid, ask, last, int(timestamp), bid_depth, ask_depth, volume)
