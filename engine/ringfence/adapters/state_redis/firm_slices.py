"""Slices of the firm's headroom in Redis: one key in a slot of its own, each operation one script."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ringfence.adapters.state_redis.log import RedisSharedLog
from ringfence.adapters.state_redis.scripts import Script
from ringfence.adapters.state_redis.settings import RedisSettings
from ringfence.adapters.state_redis.store import RedisStore
from ringfence.errors import InputError, StateError
from ringfence.language.orders import COUNTABLE
from ringfence.runtime.firm_slices import PARTS, FirmState, FirmSwitch, GroupState, Slice
from ringfence.runtime.metrics import Metric
from ringfence.runtime.shared_log import SharedLog

__all__ = ["RedisFirmSlices"]

_GROUP = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_WANTED_MS = 2_000
# What founding answers where it cannot be.
_LEFT_OUT, _NOT_FREE = -1, -2

# The key: a hash of `capital`, `unit` and `share`; `groups`, parted by blanks, and their `books`; `wanted`, until when; `switch` fields;
# of each group `slice NAME` (four numbers), `lease NAME` (until when), `over NAME`, and `heard NAME` since the `server`
# has its name. Times in ms.
_FIRM = """
local key = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local groups = redis.call('HGET', key, 'groups')
local server = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
local known_server = redis.call('HGET', key, 'server')

local function answer()
  local all = redis.call('HGETALL', key)
  table.insert(all, 1, now)
  return all
end

local function numbers(text)
  local found = {}
  for each in string.gmatch(text or '', '%d+') do found[#found + 1] = tonumber(each) end
  return found
end

-- ARGV: the group, and the four numbers that it holds; of each the larger is kept.
local function join()
  local field = 'slice ' .. ARGV[1]
  local known = numbers(redis.call('HGET', key, field))
  for each = 1, 4 do
    known[each] = math.max(known[each] or 0, tonumber(ARGV[each + 1]))
  end
  -- A server that was restarted, or replaced by a replica, may have lost what it gave out: all are heard anew.
  if known_server ~= server then
    for each in string.gmatch(groups, '%S+') do redis.call('HDEL', key, 'heard ' .. each) end
    redis.call('HSET', key, 'server', server)
  end
  redis.call('HSET', key, field, string.format('%d %d %d %d', unpack(known)), 'heard ' .. ARGV[1], 1)
  return known
end

-- Nothing where it is not known what a group holds.
local function free_parts()
  local at = redis.call('HMGET', key, 'capital', 'share')
  local free = {tonumber(at[1]), tonumber(at[2])}
  for each in string.gmatch(groups, '%S+') do
    if redis.call('HEXISTS', key, 'heard ' .. each) == 0 then return nil end
    local of = numbers(redis.call('HGET', key, 'slice ' .. each))
    free[1] = free[1] - of[1] + of[3]
    free[2] = free[2] - of[2] + of[4]
  end
  return free
end

local function set_switch(version, state, by, reason)
  redis.call('HSET', key, 'switch version', version, 'switch state', state, 'switch by', by,
    'switch reason', reason)
end

local function has_group()
  return groups and string.find(' ' .. groups .. ' ', ' ' .. ARGV[1] .. ' ', 1, true)
end
"""
_STATE = Script(_FIRM, "return answer()", writes=False)
# ARGV: millionths of the firm's capital, all parts of share, the groups, their books. -1 where a group is left out,
# -2 where groups hold what is to leave.
_FOUND = Script(
    _FIRM,
    """
for each in string.gmatch(groups or '', '%S+') do
  if not string.find(' ' .. ARGV[3] .. ' ', ' ' .. each .. ' ', 1, true) then return {-1} end
end
local unit = tonumber(redis.call('HGET', key, 'unit')) or math.floor(ARGV[1] / ARGV[2])
local before = tonumber(redis.call('HGET', key, 'capital')) or 0
local capital = math.floor(ARGV[1] / unit)
if capital < before then
  local free = free_parts()
  if not free or free[1] < before - capital then return {-2} end
end
redis.call('HSET', key, 'unit', string.format('%d', unit), 'capital', string.format('%d', capital),
  'share', ARGV[2], 'groups', ARGV[3], 'books', ARGV[4])
return answer()
""",
)
# ARGV besides: for how long the group lives, 0 to leave it; whether it is over, empty to leave it; the switch that
# it knows.
_RENEW = Script(
    _FIRM,
    """
if not has_group() then return answer() end
join()
if ARGV[6] ~= '0' then redis.call('HSET', key, 'lease ' .. ARGV[1], now + tonumber(ARGV[6])) end
if ARGV[7] ~= '' then redis.call('HSET', key, 'over ' .. ARGV[1], ARGV[7]) end
if tonumber(ARGV[8]) > tonumber(redis.call('HGET', key, 'switch version') or 0) then
  set_switch(ARGV[8], ARGV[9], ARGV[10], ARGV[11])
end
return answer()
""",
)
# ARGV besides: parts of capital and of share that are asked for; for how long others are asked.
_TAKE = Script(
    _FIRM,
    """
if not has_group() then return answer() end
local told = tonumber(ARGV[2]) + tonumber(ARGV[3])
local held = join()
-- An earlier answer was lost, and what it gave out is not in the group's log yet.
if held[1] + held[2] > told then return answer() end
local free = free_parts()
if not free then return answer() end
for each = 1, 2 do
  local asked = tonumber(ARGV[each + 5])
  local given = math.max(0, math.min(asked, free[each]))
  held[each] = held[each] + given
  if given < asked then redis.call('HSET', key, 'wanted', now + tonumber(ARGV[8])) end
end
redis.call('HSET', key, 'slice ' .. ARGV[1], string.format('%d %d %d %d', unpack(held)))
return answer()
""",
)
# ARGV: state, by, reason.
_SWITCH = Script(
    _FIRM,
    """
if not groups then return answer() end
set_switch((redis.call('HGET', key, 'switch version') or 0) + 1, ARGV[1], ARGV[2], ARGV[3])
return answer()
""",
)


class RedisFirmSlices:
    """`FirmSlices` in Redis. Safe to use from several threads and processes.

    The firm's key lies in one slot, the books of each group in another: groups do not wait for one another.

    Args:
        settings: Where the server or the cluster is; `namespace` names the firm, and begins the names of its
            groups' books.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        firm = replace(settings, namespace=f"{settings.namespace}:firm")
        self._store = RedisStore(firm)
        self._keys = (firm.key("slices"),)

    def found(self, capital: Decimal | int | str, groups: Mapping[str, Iterable[str]]) -> FirmState:
        """As `FirmSlices.found`."""
        books = {name: sorted(set(groups[name])) for name in sorted(groups)}
        _check_groups(books)
        values = (_millionths(capital), PARTS, " ".join(books), json.dumps(books))
        answer = self._store.quick.run("found", _FOUND, self._keys, values)
        if answer[0] == _LEFT_OUT:
            raise InputError("the firm has a group that is not named", "name all of its groups")
        if answer[0] == _NOT_FREE:
            raise InputError(
                "groups hold capital that is to leave the firm", "try again once they hold less"
            )
        return _read(answer)

    def state(self) -> FirmState:
        """As `FirmSlices.state`."""
        return self._run("firm", _STATE, ())

    def renew(
        self,
        group: str,
        held: Slice,
        *,
        lease_ms: int,
        is_over: bool | None = None,
        switch: FirmSwitch | None = None,
    ) -> FirmState:
        """As `FirmSlices.renew`."""
        over = "" if is_over is None else str(int(is_over))
        known = astuple(switch) if switch is not None else (0, "", "", "")
        return self._of(group, self._run("renew", _RENEW, (group, *held, lease_ms, over, *known)))

    def take(self, group: str, held: Slice, capital: int, share: int) -> FirmState:
        """As `FirmSlices.take`."""
        values = (group, *held, capital, share, _WANTED_MS)
        return self._of(group, self._run("take", _TAKE, values))

    def set_switch(self, state: str, by: str, reason: str) -> FirmState:
        """As `FirmSlices.set_switch`."""
        return self._run("switch", _SWITCH, (state, by, reason))

    def log(self, group: str, origin: str) -> SharedLog:
        """As `FirmSlices.log`."""
        namespace = f"{self._settings.namespace}:group:{group}"
        settings = replace(self._settings, namespace=namespace)
        return RedisSharedLog(RedisStore(settings, self._store.counts), origin)

    def metrics(self) -> Iterable[Metric]:
        """As `runtime.metrics.Source.metrics`, of the firm's key and of the logs that came from here."""
        return self._store.metrics()

    def close(self) -> None:
        """Close the connections; another request opens one."""
        self._store.close()

    def _of(self, group: str, state: FirmState) -> FirmState:
        if group not in state.groups:
            raise InputError(
                f"the firm has no group `{group}`", "name it when the slices are founded"
            )
        return state

    def _run(self, operation: str, script: Script, values: Iterable[Any]) -> FirmState:
        return _read(self._store.quick.run(operation, script, self._keys, values))


def _check_groups(groups: Mapping[str, Sequence[str]]) -> None:
    owner: dict[str, str] = {}
    for name, books in groups.items():
        if not _GROUP.fullmatch(name):
            raise InputError(
                f"`{name}` cannot be the name of a group",
                "use up to 60 letters, digits, `_`, `.` and `-`",
            )
        for book in books:
            if not book.startswith(("account/", "strategy/")):
                raise InputError(
                    f"`{book}` is no book of a group", "write `account/NAME` or `strategy/NAME`"
                )
            if book in owner:
                raise InputError(
                    f"`{book}` is in the groups `{owner[book]}` and `{name}`",
                    "let it trade in one of them: its own limits hold once in each",
                )
            owner[book] = name


def _millionths(capital: Decimal | int | str) -> int:
    millionths = Decimal(capital).scaleb(6)
    if not PARTS <= millionths <= COUNTABLE:
        raise InputError(
            f"`{capital}` is no capital that can be split", "give an amount of money above one"
        )
    return int(millionths)


def _read(answer: list[Any]) -> FirmState:
    now, *pairs = answer
    fields = {
        name.decode(): value.decode() for name, value in zip(pairs[::2], pairs[1::2], strict=True)
    }
    if "groups" not in fields:
        raise StateError(
            "the firm's slices were not founded",
            fix="found them with the firm's capital and every group: `slices.found(...)`",
        )
    switch = None
    if "switch version" in fields:
        told = (fields[f"switch {name}"] for name in ("state", "by", "reason"))
        switch = FirmSwitch(int(fields["switch version"]), *told)
    groups = {}
    for name, books in _books_of(fields["books"]).items():
        held = fields.get(f"slice {name}") if f"heard {name}" in fields else None
        groups[name] = GroupState(
            books,
            None if held is None else Slice(*map(int, held.split())),
            is_live=int(fields.get(f"lease {name}", 0)) > now,
            is_over=fields.get(f"over {name}") == "1",
        )
    return FirmState(
        capital=int(fields["capital"]),
        unit=int(fields["unit"]),
        is_wanted=int(fields.get("wanted", 0)) > now,
        switch=switch,
        groups=groups,
    )


# The same text comes several times a second.
@lru_cache(maxsize=16)
def _books_of(text: str) -> dict[str, frozenset[str]]:
    return {name: frozenset(books) for name, books in json.loads(text).items()}
