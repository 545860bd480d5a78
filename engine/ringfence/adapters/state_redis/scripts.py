"""What the server does in one step: scripts in Lua that read and write one set of books.

Keys: the log (a hash: `count`, `digest`, the `base` before the first entry that is kept, `base_digest`, the
`snapshot`'s count, `origin NAME` with that guard's last number, the `server` that it was last on, and until when it
`settles`), the entries (a list), the snapshot (text).

A script with a first line `#!lua` is refused as a whole, before its first command, where the server is out of
memory or a replica (Redis 7.0); `no-writes` ones run even then.
"""

import hashlib

__all__ = ["AFTER", "APPEND", "FOUND", "KEEP_SNAPSHOT", "SERVER", "START", "Script"]


class Script:
    """A script and its name, which is the SHA-1 of its text.

    `replicated`: what it writes must reach the replicas that the settings ask for before it counts.
    """

    __slots__ = ("digest", "replicated", "text")

    def __init__(self, *parts: str, writes: bool = True, replicated: bool = True) -> None:
        first = "#!lua" if writes else "#!lua flags=no-writes"
        self.text = "\n".join((first, *(part.strip() for part in parts), ""))
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self.replicated = writes and replicated


# Where the log stands. `whole` is false where a part of it is gone: never begun, emptied, or evicted.
def _log(more: str = "") -> str:
    return f"""
local log, entries, snapshot = KEYS[1], KEYS[2], KEYS[3]
local at = redis.call('HMGET', log, 'count', 'digest', 'base', 'base_digest', 'snapshot'{more})
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


_LOG = _log()

# A server that was restarted, or a replica that took over, is another: it may lack what was written last.
SERVER = """
local function server_name()
  local told = redis.call('INFO', 'server')
  local first = string.find(told, 'run_id:', 1, true)
  return first and string.sub(told, first + 7, first + 46) or ''
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
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

# ARGV besides: origin, number, event, '1' to append only at the known place, and for how long (ms) no such event is
# taken once the server is another. 1 where the event is in the log, and the entries after the known place; where it alone
# came after that, 2 and its digest; -2 where it is not taken yet.
APPEND = Script(
    _log(", 'server', 'settles', 'origin ' .. ARGV[3]"),
    _KNOWN,
    SERVER,
    """
local origin, number, event = ARGV[3], ARGV[4], ARGV[5]

local function settles()
  local server = server_name()
  if at[6] == server and at[7] == '0' then return false end
  local now, last = now_ms(), tonumber(at[7]) or 0
  if at[6] ~= server then last = now + ARGV[7] end
  if last <= now then last = 0 end
  redis.call('HSET', log, 'server', server, 'settles', last)
  return last > 0
end

local accepted = 1
if tonumber(number) > (tonumber(at[8]) or 0) then
  if ARGV[6] == '1' and known ~= count then
    accepted = 0
  elseif ARGV[6] == '1' and settles() then
    return {-2}
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

# ARGV: the digest to begin with, the snapshot, for how long a log that was lost takes no orders, and pairs of an
# origin and its last number; there are none where nothing was lost.
FOUND = Script(
    _LOG,
    SERVER,
    """
if whole then return redis.call('GET', snapshot) end
local server, settles = server_name(), 0
if #ARGV > 3 and tonumber(ARGV[3]) > 0 then settles = now_ms() + ARGV[3] end
redis.call('DEL', log, entries, snapshot)
redis.call('SET', snapshot, ARGV[2])
redis.call('HSET', log, 'count', 0, 'digest', ARGV[1], 'base', 0, 'base_digest', ARGV[1],
  'snapshot', 0, 'server', server, 'settles', settles)
for each = 4, #ARGV, 2 do
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
