"""The straight way through a replay gives the general way's answers, and goes most of the way; data generated."""

import ctypes
from functools import partial

import numpy as np
import pytest

from replay.engine_runs import GATES, linked_set, policy, run
from replay.histories import compare, history, plain
from ringfence.backends.numba_kernel.limits import Limits

pytestmark = pytest.mark.integration

KERNEL = "ringfence.backends.numba_kernel.kernel"
FIRM = """
    - rule: kill-switch@1
    - {rule: total-exposure@1, limits: {max: 45_000 USD, working: gross}}
    - {rule: daily-loss@1, limits: {max_loss_ratio: 6%}}
    - {rule: drawdown@1, limits: {max_drawdown: 12%}}
"""
TIMED = """
    - rule: order-notional@1
      limits: {max: 4_000 USD}
      overrides:
        - {limits: {max: 700 USD}, from: 2026-03-08T00:00:00Z, ticket: T-2}
    - {rule: price-collar@1, limits: {max_deviation: 4%, reference: mid}}
    - {rule: order-notional@1, name: large, limits: {max: 5_000 USD}, mode: shadow}
    - {rule: position-size@1, limits: {max: 3_000 USD}, mode: shadow}
"""
DAY = '{time: "17:00", zone: America/New_York}'
STRATEGY = "\n    - {rule: total-exposure@1, limits: {max: 25_000 USD}}\n"


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    return linked_set(
        tmp_path_factory.mktemp("straight"),
        policy("desk", GATES, LOSS="600 USD", DRAWDOWN="15%", EXPOSURE="30_000 USD"),
        policy("firm", FIRM, level="firm", day=DAY),
        policy("taker", STRATEGY, level="strategy"),
        policy("timed", TIMED, scope="{venues: [kraken]}"),
    )


@pytest.fixture(scope="module")
def clear(tmp_path_factory):
    """Limits that the clear way may read: none of them changes in time, and no measure is reckoned otherwise."""
    return linked_set(
        tmp_path_factory.mktemp("clear"),
        policy("desk", GATES, LOSS="600 USD", DRAWDOWN="15%", EXPOSURE="30_000 USD"),
        policy("firm", FIRM.replace(", working: gross", ""), level="firm"),
        policy("taker", STRATEGY, level="strategy"),
    )


@pytest.fixture
def either_way(tmp_path, monkeypatch):
    """Runs a history both ways; also how many orders the straight way left to the general one."""
    monkeypatch.setattr(f"{KERNEL}.is_kept", lambda _text: False)

    def runs(linked, orders, **given):
        monkeypatch.setattr(f"{KERNEL}.STRAIGHT_FROM", len(orders) + 1)
        general = run(tmp_path, linked, orders, **given)
        monkeypatch.setattr(f"{KERNEL}.STRAIGHT_FROM", 0)
        left = []
        monkeypatch.setattr(f"{KERNEL}.partial", partial(_counting, left))
        return general, run(tmp_path, linked, orders, **given), len(left)

    return runs


def _counting(left, straight, general):
    """`functools.partial` of the straight way, with a general way that is counted."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 7)
    real = kind(general)

    def counted(*given):
        left.append(1)
        return real(*given)

    counted = kind(counted)
    return lambda *given: straight(ctypes.cast(counted, ctypes.c_void_p).value, *given)


@pytest.mark.parametrize(("mode", "own_prices"), [("propagated", True), ("frozen", False)])
def test_the_straight_way_changes_nothing(linked, either_way, mode, own_prices):
    orders, marks, _, money = history(3)
    given = {"marks": None if own_prices else marks, "balances": money, "mode": mode}

    (general, engine), (straight, other), left = either_way(linked, orders, **given)

    assert repr(straight) == repr(general)
    assert other.totals() == engine.totals()
    compare(straight, plain(linked, orders, given["marks"], None, money, mode))
    # Most of these orders are odd in some way, on purpose.
    assert 0 < left < 0.9 * len(orders)


def test_the_clear_way_changes_nothing(clear, either_way):
    orders, _, _, money = history(4)

    (general, engine), (straight, other), _ = either_way(clear, orders, balances=money)

    assert repr(straight) == repr(general)
    assert other.totals() == engine.totals()


def test_the_clear_way_is_closed_to_limits_that_it_does_not_know(linked, clear):
    names = ["a", "b"], ["s"], ["kraken", ""], ["BTC/USD", "ETH/USD"]

    # One has a limit whose measure counts working orders otherwise, and one that changes in time.
    assert np.isnan(Limits(linked, *names).bindings.by_list[:, 0]).all()
    assert (Limits(clear, *names).bindings.by_list[:, 0] == 1.0).all()


def test_gates_that_look_back_take_the_general_way(tmp_path, either_way):
    rated = GATES + "    - {rule: order-rate@1, limits: {max_orders: 3, window: 20m}}\n"
    linked = linked_set(tmp_path, policy("desk", rated, LOSS="600 USD", DRAWDOWN="15%", COUNT="2"))
    orders, marks, _, money = history(5, count=60)

    general, straight, left = either_way(linked, orders, marks=marks, balances=money)

    assert repr(straight[0]) == repr(general[0])
    assert left == 0


@pytest.mark.parametrize("own_prices", [True, False])
def test_books_are_halted_either_way(tmp_path, either_way, own_prices):
    halting = GATES.replace("LOSS, max_loss_ratio: 50%}", "LOSS}, on_breach: halt").replace(
        "DRAWDOWN}", "DRAWDOWN}, on_breach: halt, confirm_ticks: 2"
    )
    linked = linked_set(
        tmp_path,
        policy("desk", halting, LOSS="60 USD", DRAWDOWN="1%", EXPOSURE="30_000 USD"),
        policy("firm", FIRM.replace("6%}", "1%}, on_breach: halt"), level="firm", day=DAY),
    )
    orders, marks, _, money = history(17, count=400)
    given = {"marks": None if own_prices else marks, "balances": money}

    (general, engine), (straight, other), _ = either_way(linked, orders, **given)

    assert repr(straight) == repr(general)
    assert other.halts == engine.halts != []
    compare(straight, plain(linked, orders, given["marks"], None, money, "propagated"))
