"""What several guards and gateways share, in Redis: the log of their books, used approvals, market data."""

from ringfence.adapters.state_redis.firm_slices import RedisFirmSlices
from ringfence.adapters.state_redis.log import RedisSharedLog
from ringfence.adapters.state_redis.market_cache import RedisMarketCache
from ringfence.adapters.state_redis.settings import REDIS_PASSWORD, RedisSettings
from ringfence.adapters.state_redis.store import RedisStore
from ringfence.adapters.state_redis.used_approvals import RedisUsedApprovals

__all__ = [
    "REDIS_PASSWORD",
    "RedisFirmSlices",
    "RedisMarketCache",
    "RedisSettings",
    "RedisSharedLog",
    "RedisStore",
    "RedisUsedApprovals",
]
