"""What several guards share, in Redis."""

from ringfence.adapters.state_redis.log import RedisSharedLog
from ringfence.adapters.state_redis.settings import REDIS_PASSWORD, RedisSettings

__all__ = ["REDIS_PASSWORD", "RedisSettings", "RedisSharedLog"]
