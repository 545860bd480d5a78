"""A trading process that says what it was told, one line of JSON each; started to be killed."""

import json
import random
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from ringfence import OrderRequest, PolicySet
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import SYSTEM_CLOCK


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(state: str, folder: str, seed: str) -> None:
    source = random.Random(int(seed))
    guard = CentralRiskGuard.open(
        PolicySet.load(folder), state=Path(state), settings=GuardSettings(without_audit=True)
    )
    working = [(each.order_id, each.size) for each in guard.orphans]
    for number in range(2_000):
        now = SYSTEM_CLOCK.now_ns()
        request = {"size": str(source.randint(1, 30) / 10)}
        client = f"{seed}-{number}"
        found = guard.evaluate_order(
            OrderRequest("main", "BTC/USD", "buy", request["size"], "1000", client_order_id=client),
            MarketData(1_000.0, 1_000.0, 1_000.0, now),
        )
        say(kind="answer", client=client, id=found.id, size=str(found.size), order=request)
        if found.size:
            working.append((found.id, found.size))
        if working and source.random() < 0.6:
            order_id, size = working.pop(source.randrange(len(working)))
            if source.random() < 0.1 and size > Decimal("0.1"):
                say(kind="will fill", id=order_id)
                guard.on_fill(order_id, "0.1", 1_000)
                say(kind="fill", id=order_id)
            guard.on_cancel(order_id)
            say(kind="end", id=order_id)
        if number % 10 == 0:
            state_name = source.choice(("active", "halted"))
            say(kind="will switch", state=state_name)
            guard.set_kill_switch("strategy/trend", state_name, by="trader", reason="drill")
            say(kind="switch", state=state_name)


if __name__ == "__main__":
    main(*sys.argv[1:])
