"""Whether an order costs the same in small and large runs: the kernel alone, on one core.

Small and large are replayed in turns, so that what else the machine does meets all of them alike.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.generate import Workload
from benchmarks.measure import Figure, pinned
from benchmarks.replays import Replay, opened

__all__ = ["by_accounts", "by_orders", "by_policies"]

#: Orders that are decided for one time: small workloads are replayed afresh until there are as many.
LEAST = 2_000_000
RUNS = 5
WITHIN = 1.2


def by_orders(orders: int, directory: Path) -> list[Figure]:
    """From a hundredth of the orders to all of them."""
    counts = (orders // 100, orders // 10, orders)
    sizes = {f"{count:,} orders": (Workload(count), 1) for count in counts}
    return _figures("by orders", sizes, directory)


def by_accounts(orders: int, directory: Path) -> list[Figure]:
    """From 10 to 10,000 accounts, the orders being the same number."""
    sizes = {
        f"{accounts:,} accounts": (Workload(orders // 2, accounts), 1)
        for accounts in (10, 100, 1000, 10_000)
    }
    return _figures("by accounts", sizes, directory)


def by_policies(orders: int, directory: Path) -> list[Figure]:
    """With 10 and with 1,000 policies in the set, over 1,000 accounts."""
    sizes = {
        f"{policies:,} policies": (Workload(orders // 10), policies) for policies in (10, 1000)
    }
    return _figures("by policies", sizes, directory)


def _figures(
    benchmark: str, sizes: Mapping[str, tuple[Workload, int]], directory: Path
) -> list[Figure]:
    """Nanoseconds for an order of each workload under so many policies, and how far they lie apart."""
    with ExitStack() as stack:
        replays = {
            name: stack.enter_context(opened(workload, directory, policies=policies))
            for name, (workload, policies) in sizes.items()
        }
        with pinned():
            for replay in replays.values():
                replay.seconds()
            rounds = [list(map(_cost, replays.values())) for _ in range(RUNS)]
    costs = list(map(median, zip(*rounds, strict=True)))
    spread = max(costs) / min(costs)
    return [
        *(
            Figure(benchmark, f"per order, {name}", cost, "ns")
            for name, cost in zip(replays, costs, strict=True)
        ),
        Figure(benchmark, "dearest / cheapest", spread, "times", at_most=WITHIN),
    ]


def _cost(replay: Replay) -> float:
    times = min(20, max(1, LEAST // replay.orders))
    return sum(replay.seconds() for _ in range(times)) / times / replay.orders * 1e9
