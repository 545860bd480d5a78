"""What the server does in one step: scripts in Lua that read and write one set of books.

Keys: the log (a hash: `count`, `digest`, the `base` before the first entry that is kept, `base_digest`, the
`snapshot`'s count, and `origin NAME` with that guard's last number), the entries (a list), the snapshot (text).

A script with a first line `#!lua` is refused as a whole, before its first command, where the server is out of
memory or a replica (Redis 7.0); `no-writes` ones run even then.
"""

import hashlib

__all__ = ["AFTER", "APPEND", "FOUND", "KEEP_SNAPSHOT", "START", "Script"]


class Script:
    """A script and its name, which is the SHA-1 of its text."""

    __slots__ = ("digest", "text", "writes")

    def __init__(self, *parts: str, writes: bool = True) -> None:
        first = "#!lua" if writes else "#!lua flags=no-writes"
        self.text = "\n".join((first, *(part.strip() for part in parts), ""))
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self.writes = writes


# Where the log stands. `whole` is false where a part of it is gone: never begun, emptied, or evicted.
_LOG = """
local log, entries, snapshot = KEYS[1], KEYS[2], KEYS[3]
local at = redis.call('HMGET', log, 'count', 'digest', 'base', 'base_digest', 'snapshot')
local count, digest, base = tonumber(at[1]), at[2], tonumber(at[3])
local whole = count and redis.call('LLEN', entries) == count - base
  and redis.call('EXISTS', snapshot) == 1

local function digest_at(place)
  if place == count then return digest end
  if place == base then return at[4] end
  if place < base or place > count then return nil end
  return string.sub(redis.call('LINDEX', entries, place - base - 1), 1, 40)
end
"""

# ARGV: the count and digest that are known.
_KNOWN = """
local known = tonumber(ARGV[1])
if not whole or digest_at(known) ~= ARGV[2] then return {-1} end
"""

# -1 where the log does not go on from there; otherwise 0 and the entries after it.
AFTER = Script(
    _LOG,
    _KNOWN,
    """
local answer = redis.call('LRANGE', entries, known - base, -1)
table.insert(answer, 1, 0)
return answer
""",
    writes=False,
)

# ARGV besides: origin, number, event, '1' to append only at the known place. 1 where the event is in the log, and
# the entries after the known place; where it alone came after that, 2 and its digest.
APPEND = Script(
    _LOG,
    _KNOWN,
    """
local origin, number, event = ARGV[3], ARGV[4], ARGV[5]
local last = tonumber(redis.call('HGET', log, 'origin ' .. origin) or 0)
local accepted = 1
if tonumber(number) > last then
  if ARGV[6] == '1' and known ~= count then
    accepted = 0
  else
    local body = ' ' .. number .. ' ' .. origin .. ' ' .. event
    digest = redis.sha1hex(digest .. body)
    redis.call('RPUSH', entries, digest .. body)
    redis.call('HSET', log, 'count', count + 1, 'digest', digest, 'origin ' .. origin, number)
    if known == count then return {2, digest} end
  end
end
local answer = redis.call('LRANGE', entries, known - base, -1)
table.insert(answer, 1, accepted)
return answer
""",
)

START = Script(_LOG, "return whole and redis.call('GET', snapshot)", writes=False)

# ARGV: the digest to begin with, the snapshot, and pairs of an origin and its last number.
FOUND = Script(
    _LOG,
    """
if whole then return redis.call('GET', snapshot) end
redis.call('DEL', log, entries, snapshot)
redis.call('SET', snapshot, ARGV[2])
redis.call('HSET', log, 'count', 0, 'digest', ARGV[1], 'base', 0, 'base_digest', ARGV[1],
  'snapshot', 0)
for each = 3, #ARGV, 2 do
  redis.call('HSET', log, 'origin ' .. ARGV[each], ARGV[each + 1])
end
return false
""",
)

# ARGV besides: the snapshot, and how many entries before it are kept. 0 where there is a newer one.
KEEP_SNAPSHOT = Script(
    _LOG,
    """
if whole and tonumber(ARGV[1]) <= tonumber(at[5]) then return {0} end
""",
    _KNOWN,
    """
redis.call('SET', snapshot, ARGV[3])
redis.call('HSET', log, 'snapshot', known)
local first = known - tonumber(ARGV[4])
if first > base then
  redis.call('HSET', log, 'base', first, 'base_digest', digest_at(first))
  redis.call('LTRIM', entries, first - base, -1)
end
return {1}
""",
)
