"""Whether an order costs the same in small and large runs: the kernel alone, on one core."""

from pathlib import Path

from benchmarks.generate import Workload
from benchmarks.measure import Figure, median_of, pinned
from benchmarks.replays import opened

__all__ = ["by_accounts", "by_orders", "by_policies"]

#: Orders that are decided for one time: small workloads are replayed afresh until there are as many.
LEAST = 2_000_000
RUNS = 3
WITHIN = 1.2


def by_orders(orders: int, directory: Path) -> list[Figure]:
    """From a hundredth of the orders to all of them."""
    counts = (orders // 100, orders // 10, orders)
    costs = {f"{count:,} orders": _cost(Workload(count), directory) for count in counts}
    return _figures("by orders", costs)


def by_accounts(orders: int, directory: Path) -> list[Figure]:
    """From 10 to 10,000 accounts, the orders being the same number."""
    costs = {
        f"{accounts:,} accounts": _cost(Workload(orders // 2, accounts), directory)
        for accounts in (10, 100, 1000, 10_000)
    }
    return _figures("by accounts", costs)


def by_policies(orders: int, directory: Path) -> list[Figure]:
    """With 10 and with 1,000 policies in the set, over 1,000 accounts."""
    costs = {
        f"{policies:,} policies": _cost(Workload(orders // 10), directory, policies)
        for policies in (10, 1000)
    }
    return _figures("by policies", costs)


def _cost(workload: Workload, directory: Path, policies: int = 1) -> float:
    """Nanoseconds for an order."""
    with opened(workload, directory, policies=policies) as replay, pinned():
        times = min(20, max(1, LEAST // replay.orders))

        def once() -> float:
            return sum(replay.seconds() for _ in range(times)) / times / replay.orders * 1e9

        replay.seconds()
        return median_of(RUNS, once)


def _figures(benchmark: str, costs: dict[str, float]) -> list[Figure]:
    found = [Figure(benchmark, f"per order, {name}", cost, "ns") for name, cost in costs.items()]
    spread = max(costs.values()) / min(costs.values())
    return [*found, Figure(benchmark, "dearest / cheapest", spread, "times", at_most=WITHIN)]
