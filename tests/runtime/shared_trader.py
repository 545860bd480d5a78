"""A trading process whose guard shares books in Redis; it says what it was told, one line of JSON each.

`python shared_trader.py PORT PASSWORD NAMESPACE NAME FOLDER SEED COUNT`; started to be watched, or killed.
"""

import json
import random
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from ringfence import CentralRiskGuard, GuardSettings, OrderRequest, PolicySet
from ringfence.adapters.state_redis import RedisSettings, RedisSharedLog, RedisStore
from ringfence.errors import StateError
from ringfence.runtime.credentials import Secret


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def opened(port: str, password: str, namespace: str, name: str, folder: str) -> CentralRiskGuard:
    """A guard of this process; `name` is also its origin, made unlike that of any earlier run."""
    settings = RedisSettings(
        url=f"redis://127.0.0.1:{port}/0",
        password=Secret(password),
        namespace=namespace,
        timeout_ms=5_000,
        kept_entries=1_000_000,
    )
    return CentralRiskGuard.open(
        PolicySet.load(Path(folder)),
        state=RedisSharedLog(RedisStore(settings), f"{name}-{time.time_ns()}"),
        settings=GuardSettings(name=name, without_audit=True, most_tries=1_000),
    )


def main(
    port: str, password: str, namespace: str, name: str, folder: str, seed: str, count: str
) -> None:
    source = random.Random(int(seed))
    try:
        guard = opened(port, password, namespace, name, folder)
    except StateError:
        say(kind="no store")
        return
    working = [(each.order_id, each.size) for each in guard.orphans]
    say(kind="ready", orphans=len(working))
    for number in range(int(count)):
        client, size = f"{name}-{seed}-{number}", str(source.randint(1, 30) / 10)
        side = source.choice(("buy", "sell"))
        begun = time.monotonic_ns()
        found = guard.evaluate_order(
            OrderRequest("main", "BTC/USD", side, size, "1000", client_order_id=client)
        )
        say(
            kind="answer",
            client=client,
            id=found.id,
            size=str(found.size),
            code=found.code,
            asked=[side, size],
            begun=begun,
            done=time.monotonic_ns(),
        )
        if found.size:
            working.append((found.id, found.size))
        if working and source.random() < 0.6:
            finish(guard, *working.pop(source.randrange(len(working))), source)
    say(kind="finished")
    try:
        guard.close()
    except StateError:
        # The store is gone at the end; what was told as `booked later` is not booked.
        say(kind="never booked")


def finish(guard: CentralRiskGuard, order_id: str, size: Decimal, source: random.Random) -> None:
    """Fill a little of it now and then, and end it."""
    try:
        if source.random() < 0.2 and size > Decimal("0.1"):
            say(kind="will fill", id=order_id)
            guard.on_fill(order_id, "0.1", 1_000)
            say(kind="fill", id=order_id)
        guard.on_cancel(order_id)
        say(kind="end", id=order_id)
    except StateError:
        # The store does not answer; the guard books it once it does.
        say(kind="booked later", id=order_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
