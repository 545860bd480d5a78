"""A process that trades at a local Kraken and follows its orders, and says each thing it did; to be killed."""

import random
import sys
from pathlib import Path

from gateway.whole_desk import CREDENTIALS
from ringfence import GuardSettings, OrderRequest, PolicySet
from ringfence.adapters.exchange_kraken import KrakenClient, KrakenExchange
from ringfence.gateway import FileCursor, Follower, FollowSettings, Gateway, signer_of
from ringfence.runtime.asked import MarketData
from ringfence.runtime.credentials import KRAKEN_API_KEY, KRAKEN_SECRET
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock
from ringfence.runtime.used_approvals import FileUsedApprovals


def process(folder: Path, url: str, clock: Clock) -> tuple[CentralRiskGuard, Gateway, Follower]:
    """Guard, gateway and follower of one account, as the last process left them."""
    signer = signer_of(CREDENTIALS)
    settings = GuardSettings(without_audit=True, signer=signer, venues=("kraken",))
    guard = CentralRiskGuard.open(
        PolicySet.load(folder / "policies"), state=folder / "state", settings=settings, clock=clock
    )
    key, secret = (CREDENTIALS.get(kind) for kind in (KRAKEN_API_KEY, KRAKEN_SECRET))
    client = KrakenClient(key, secret, url=url, pace_s=0, wait=lambda _: None)
    used = FileUsedApprovals(folder / "used", clock=clock)
    gateway = Gateway(KrakenExchange(client, "main", clock=clock), signer, used, clock=clock)
    often = FollowSettings(poll_s=0.01)
    cursor = FileCursor(folder / "cursor")
    return guard, gateway, Follower(guard, gateway, "main", cursor, settings=often, clock=clock)


def main(folder: str, url: str, seed: str) -> None:
    source = random.Random(int(seed))
    guard, gateway, follower = process(Path(folder), url, SYSTEM_CLOCK)
    follower.start()
    names: list[str] = []
    for number in range(10_000):
        name = f"a rather long name, {seed}-{number}"
        asked = OrderRequest(
            "main",
            "BTC/USD",
            source.choice(("buy", "sell")),
            str(source.randint(1, 20) / 10),
            "1000",
            venue="kraken",
            client_order_id=name,
        )
        now_ns = SYSTEM_CLOCK.now_ns()
        answer = guard.evaluate_order(asked, MarketData(1_000.0, 1_000.0, 1_000.0, now_ns))
        if answer.size:
            asked.size = answer.size
            gateway.submit(answer.approval, asked)
            names.append(name)
        if names and source.random() < 0.5:
            gateway.cancel("main", names.pop(source.randrange(len(names))))
        print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
