"""What of a server's settings may lose books."""

from typing import Any

from ringfence.adapters.state_redis.servers import Servers
from ringfence.adapters.state_redis.settings import RedisSettings

__all__ = ["setup_warnings"]

_OLDEST = 7


def setup_warnings(servers: Servers, settings: RedisSettings) -> tuple[str, ...]:
    """Look at the server's settings, as far as it shows them.

    Raises:
        StateUnavailableError: it cannot be asked, or does not let this user do it.
    """
    text: bytes = servers.command("settings", ("INFO",))
    lines = (line.partition(":") for line in text.decode().splitlines())
    told = {name: value for name, _, value in lines}
    # Few users may see the configuration.
    (config,) = servers.ask("settings", ("CONFIG", "GET", "appendfsync"))
    return tuple(_faults(told, config, settings))


def _faults(told: dict[str, str], config: Any, settings: RedisSettings) -> list[str]:
    found = []
    version, replicas = told.get("redis_version", ""), int(told.get("connected_slaves", 0))
    if int(version.partition(".")[0] or 0) < _OLDEST:
        found.append(f"Redis {version} is too old; use {_OLDEST}.0 or newer")
    policy = told.get("maxmemory_policy", "noeviction")
    if policy.startswith("allkeys"):
        found.append(
            f"the server may drop the shared books when it is full (`maxmemory-policy {policy}`); "
            "set `maxmemory-policy noeviction`"
        )
    elif policy.startswith("volatile"):
        found.append(
            f"the server may forget which approvals were used when it is full (`maxmemory-policy {policy}`); "
            "set `maxmemory-policy noeviction`"
        )
    if told.get("aof_enabled") == "0":
        found.append(
            "a restart of the server loses what was appended since its last dump (`appendonly no`); "
            "set `appendonly yes`"
        )
    elif isinstance(config, list) and config[1:] == [b"no"]:
        found.append(
            "a loss of power loses what the system has not written to the disk yet (`appendfsync no`); "
            "set `appendfsync everysec` or `always`"
        )
    if replicas < settings.wait_replicas:
        found.append(
            f"the server has {replicas} of the {settings.wait_replicas} replicas that `wait_replicas` asks for, "
            "so no event will be taken; start them"
        )
    elif replicas and not settings.wait_replicas:
        found.append(
            "a failover to a replica may lose the last events; set `wait_replicas` to 1 or more"
        )
    return found
