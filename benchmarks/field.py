"""The field: Ringfence beside other engines that decide about one order, all asked in turn in one loop."""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.eight_ifs import Book, Order, eight_ifs
from benchmarks.field_engines import ENGINES, Decides
from benchmarks.field_platform import PLATFORM, platform_asks
from benchmarks.generate import account_name
from benchmarks.guard import bare_decision, everything_on, settled
from benchmarks.market import SYMBOLS
from benchmarks.measure import Figure
from benchmarks.policy_files import EQUITY, policy_directory
from ringfence import (
    CentralRiskGuard,
    GuardSettings,
    MarketData,
    OrderRequest,
    PolicySet,
    RiskDecision,
)

__all__ = ["field"]

ROUNDS = 2_000
WARM = 200
_BARE, _FULL = "Ringfence, bare decision", "Ringfence, everything on"
# Makes what asks about the next order, outside of what is timed; each says whether the order passes.
Prepare = Callable[[int], Callable[[], bool]]


def field(orders: int, directory: Path) -> list[Figure]:
    """Measure, on one core; the number of orders does not matter. Engines that are not installed are left out."""
    del orders
    others = _others()
    if not others:
        print(
            "field: no other engine is installed: pip install -r benchmarks/field-requirements.txt",
            file=sys.stderr,
        )
        return []
    policies = PolicySet.load(policy_directory(directory, 10))
    with everything_on(policies, directory / "guard") as full:
        alone = CentralRiskGuard.open(
            policies, settings=GuardSettings(in_memory=True, without_audit=True)
        )
        for each in (full, alone):
            each.on_balance(f"account/{account_name(0)}", "opening", EQUITY)
        asked: dict[str, Prepare] = {
            "eight ifs": _like_ifs(lambda order, book: not eight_ifs(order, book)),
            _BARE: partial(_bare, alone),
            _FULL: partial(_full, full),
            **others,
        }
        with settled():
            return _figures(_times(asked, (full, alone)), list(others))


def _others() -> dict[str, Prepare]:
    found: dict[str, Prepare] = {}
    for name, make in ENGINES.items():
        try:
            found[name] = _like_ifs(make())
        except ImportError:
            print(f"field: {name} is not installed", file=sys.stderr)
    try:
        prepare = platform_asks()
    except ImportError:
        print(f"field: {PLATFORM} is not installed", file=sys.stderr)
    else:
        found[PLATFORM] = lambda _: prepare("0.100000")
    return found


def _like_ifs(decides: Decides) -> Prepare:
    book = Book()
    return lambda _: partial(decides, Order(1.0, 100.0), book)


def _request(number: int) -> OrderRequest:
    symbol = next(iter(SYMBOLS)).name
    name = f"field-{number}"
    return OrderRequest(account_name(0), symbol, "buy", "1", "100", client_order_id=name)


def _bare(alone: CentralRiskGuard, number: int) -> Callable[[], bool]:
    request, now = _request(number), time.time_ns()
    return lambda: bare_decision(alone, request, now).decision == 0


def _full(guard: CentralRiskGuard, number: int) -> Callable[[], bool]:
    request = _request(number)
    if number:
        # What the last one reserved.
        guard.on_cancel(guard.order_of(f"field-{number - 1}"))
    return lambda: guard.evaluate_order(request).decision is RiskDecision.APPROVE


def _times(asked: dict[str, Prepare], guards: tuple[CentralRiskGuard, ...]) -> dict[str, list[int]]:
    symbol = next(iter(SYMBOLS)).name
    times: dict[str, list[int]] = {name: [] for name in asked}
    for number in range(WARM + ROUNDS):
        if number % 100 == 0:
            for each in guards:
                each.on_mark(symbol, MarketData(100.0, 100.0, 100.0, time.time_ns()))
        for name, prepare in asked.items():
            ask = prepare(number)
            start = time.perf_counter_ns()
            passes = ask()
            taken = time.perf_counter_ns() - start
            if not passes:
                raise RuntimeError(f"{name} refuses the order")
            if number >= WARM:
                times[name].append(taken)
    return times


def _figures(times: dict[str, list[int]], others: list[str]) -> list[Figure]:
    p50 = {name: median(each) / 1e3 for name, each in times.items()}
    quickest = min(others, key=p50.__getitem__)
    figures = [Figure("field", f"{name}, p50", value, "us") for name, value in p50.items()]
    return figures + [
        Figure(
            "field", f"{name} / the quickest other", p50[name] / p50[quickest], "times", at_most=1.0
        )
        for name in (_BARE, _FULL)
    ]
