"""A trading process of one group of a firm, which says what it was told; started to be killed."""

import random
import sys
from pathlib import Path

from ringfence import OrderRequest, PolicySet
from ringfence.adapters.state_redis import RedisFirmSlices, RedisSettings
from ringfence.runtime.asked import MarketData
from ringfence.runtime.credentials import Secret
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import SYSTEM_CLOCK


def main(url: str, password: str, folder: str, group: str, account: str, seed: str) -> None:
    source = random.Random(int(seed))
    settings = RedisSettings(
        url=url, password=Secret(password), namespace="traded", timeout_ms=5_000
    )
    slices = RedisFirmSlices(settings)
    guard = CentralRiskGuard.open(
        PolicySet.load(Path(folder)),
        state=slices.log(group, f"{group}-{seed}"),
        settings=GuardSettings(
            name=group, without_audit=True, poll_seconds=0.01, slices=slices, group=group
        ),
    )
    working = [each.order_id for each in guard.working_orders()]
    # The parent reads until it kills.
    while True:
        size = str(source.randint(1, 80) / 10)
        now = SYSTEM_CLOCK.now_ns()
        found = guard.evaluate_order(
            OrderRequest(account, "BTC/USD", "buy", size, "1000"),
            MarketData(1_000.0, 1_000.0, 1_000.0, now),
        )
        if found.size:
            sys.stdout.write(f"{found.id} {found.size}\n")
            working.append(found.id)
        else:
            sys.stdout.write(f"{found.code} 0\n")
        while working and source.random() < 0.6:
            ended = working.pop(source.randrange(len(working)))
            sys.stdout.write(f"{ended} end\n")
            sys.stdout.flush()
            guard.on_cancel(ended)
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
