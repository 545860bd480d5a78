"""Which approvals were used, across machines: a register in Redis.

Like the register in a file it forgets what has expired, up to a horizon, and refuses all that ends before
that; the horizon follows the server's clock and never goes back. It also knows when it may have lost
something: a server that was restarted, or a replica that took over, has another name (`run_id`). From then on it
refuses every approval that may have been given before.
"""

from ringfence.adapters.state_redis.scripts import SERVER, Script
from ringfence.adapters.state_redis.store import RedisStore
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock
from ringfence.runtime.shared_log import StateUnavailableError

__all__ = ["RedisUsedApprovals"]

_NS_PER_MS = 1_000_000
_FIRST, _TOO_LONG, _UNSURE = 1, -1, -2

# Keys: the register (a hash), the approvals that were used (a sorted set, by when they end).
# ARGV: the approval, when it ends, how long approvals live at most; times in ms.
_CLAIM = Script(
    SERVER,
    """
local register, used = KEYS[1], KEYS[2]
local ends, life, now, server = tonumber(ARGV[2]), tonumber(ARGV[3]), now_ms(), server_name()
local at = redis.call('HMGET', register, 'horizon', 'unsure', 'server', 'held')
local horizon = math.max(tonumber(at[1]) or 0, now)
local unsure = tonumber(at[2]) or 0
local held = redis.call('ZCARD', used)
if at[3] ~= server or tonumber(at[4]) ~= held then unsure = math.max(unsure, now + life) end

held = held - redis.call('ZREMRANGEBYSCORE', used, '-inf', horizon)
local answer = 0
if ends > now + life then
  answer = -1
elseif ends > horizon and not redis.call('ZSCORE', used, ARGV[1]) then
  answer = ends > unsure and 1 or -2
end
if answer == 1 then
  redis.call('ZADD', used, ends, ARGV[1])
  held = held + 1
end
redis.call('HSET', register, 'horizon', horizon, 'unsure', unsure, 'server', server, 'held', held)
return answer
""",
)


class RedisUsedApprovals:
    """`UsedApprovals` in Redis. Safe to use from several threads and processes.

    A new register refuses approvals for `longest_life_ms`, and so does one whose server was restarted or
    replaced: what it does not hold may have been used before.

    Args:
        store: Where the server is; gateways that name the same `namespace` share the register.
        clock: This machine's clock; an approval that has ended by it is refused besides.
        longest_life_ms: How long approvals live at most, with what the machines' clocks may differ by.
    """

    def __init__(
        self, store: RedisStore, *, clock: Clock = SYSTEM_CLOCK, longest_life_ms: int = 60_000
    ) -> None:
        self._store = store
        self._clock = clock
        self._longest_life_ms = longest_life_ms
        self._keys = (store.settings.key("approvals"), store.settings.key("approvals-used"))

    def claim(self, approval_id: str, expires_ns: int) -> bool:
        """As `UsedApprovals.claim`; also an OSError where the approval lives longer than any may, or the
        register is so new that it cannot tell."""
        if expires_ns <= self._clock.now_ns():
            return False
        name = approval_id.encode("utf-8", "surrogatepass")
        values = (name, expires_ns // _NS_PER_MS, self._longest_life_ms)
        try:
            answer = self._store.quick.run("claim", _CLAIM, self._keys, values)
        except StateUnavailableError as error:
            raise OSError(str(error)) from error
        if answer == _TOO_LONG:
            raise OSError(
                f"the approval ends more than {self._longest_life_ms} ms from now by the server's clock; "
                "set a higher `longest_life_ms`, or the clocks"
            )
        if answer == _UNSURE:
            raise OSError(
                "the register of used approvals was begun, restarted or moved a moment ago; "
                "ask for a new decision"
            )
        return bool(answer == _FIRST)
