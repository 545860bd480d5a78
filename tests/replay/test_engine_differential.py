"""The engine against a replay in plain Python whose every order the reference decides; data generated."""

import pytest

from replay.engine_runs import GATES, linked_set, policy, run
from replay.histories import compare, history, plain, plain_replay

pytestmark = pytest.mark.integration

ORDERS = """
    - {rule: order-rate@1, limits: {max_orders: 3, window: 20m}}
    - {rule: order-rate@1, name: by-symbol, mode: shadow, limits: {max_per_symbol: 4, window: 2h}}
    - {rule: order-rate@1, name: orders, mode: shadow, limits: {max_orders: 4, window: 1h, counts: orders}}
    - {rule: duplicate-order@1, limits: {window: 2h}}
    - {rule: price-collar@1, limits: {max_deviation: 4%, reference: mid, window: 30m}}
    - {rule: order-notional@1, limits: {max: 6_000 USD}}
"""
FIRM = """
    - rule: kill-switch@1
    - {rule: total-exposure@1, limits: {max: 14_000 USD}}
    - {rule: daily-loss@1, limits: {max_loss_ratio: 6%}}
    - {rule: drawdown@1, limits: {max_drawdown: 12%}}
    - {rule: open-orders@1, limits: {max_total: 12}}
    - {rule: order-rate@1, limits: {max_orders: 12, window: 1h}}
"""
# Limits that hold for a time, one of them of how old data may be; and a policy of one venue.
TIMED = """
    - rule: data-quality@1
      limits: {max_age: 1h, min_completeness: 60%, max_skew: 1s}
      overrides:
        - {limits: {max_age: 5m}, from: 2026-03-07T06:00:00Z, until: 2026-03-07T18:00:00Z, ticket: T-1}
    - rule: order-notional@1
      limits: {max: 4_000 USD}
      overrides:
        - {limits: {max: 700 USD}, from: 2026-03-08T00:00:00Z, ticket: T-2}
        - limits: {max: 9_000 USD}
          from: 2026-03-07T00:00:00Z
          until: 2026-03-09T00:00:00Z
          scope: {symbols: [BTC/USD]}
          ticket: T-3
"""
HALTING = GATES.replace("max_loss_ratio: 50%}}", "max_loss_ratio: 50%}, on_breach: halt}").replace(
    "DRAWDOWN}}", "DRAWDOWN}, on_breach: halt, confirm_ticks: 3}"
)
FIRM_HALTING = "\n    - {rule: daily-loss@1, limits: {max_loss_ratio: 4%}, on_breach: halt, confirm_ticks: 2}\n"
TAKER_HALTING = "\n    - {rule: drawdown@1, limits: {max_drawdown: 20%}, on_breach: halt}\n"
MORE = """
    - {rule: order-notional@1, limits: {max: 5_000 USD}}
    - {rule: net-exposure@1, limits: {max: 7_000 USD, working: gross}, mode: shadow}
"""


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    return linked_set(
        tmp_path_factory.mktemp("differential"),
        policy("desk", GATES + ORDERS, LOSS="600 USD", DRAWDOWN="15%", COUNT="2"),
        policy("firm", FIRM, level="firm", day='{time: "17:00", zone: America/New_York}'),
        policy("more", MORE, scope="{accounts: [b]}"),
        policy("timed", TIMED, scope="{venues: [kraken]}"),
        policy(
            "taker",
            "\n    - {rule: total-exposure@1, limits: {max: 6_000 USD}}\n",
            level="strategy",
            scope="{strategies: [s]}",
        ),
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("mode", ["propagated", "frozen"])
def test_every_decision_is_that_of_the_reference(linked, tmp_path, seed, mode):
    orders, marks, fills, money = history(seed)
    given = {"marks": marks, "balances": money, "mode": mode}

    with_fills, _ = run(tmp_path, linked, orders, fills=fills, **given)
    compare(with_fills, plain(linked, orders, marks, fills, money, mode))
    at_once, _ = run(tmp_path, linked, orders, **given)
    compare(at_once, plain(linked, orders, marks, None, money, mode))
    decisions = {row["decision"] for row in with_fills + at_once}
    assert decisions >= {"APPROVE", "REJECT"} | ({"REDUCE_SIZE"} if mode != "frozen" else set())
    assert len({row["code"] for row in with_fills + at_once}) > 6


@pytest.mark.parametrize("mode", ["propagated", "frozen"])
def test_at_the_orders_own_prices(linked, tmp_path, mode):
    orders, _, fills, money = history(7)

    for given in (None, fills):
        found, _ = run(tmp_path, linked, orders, fills=given, balances=money, mode=mode)
        compare(found, plain(linked, orders, None, given, money, mode))


@pytest.mark.parametrize("batch_rows", [1, 7])
def test_the_size_of_batches_changes_nothing(linked, tmp_path, batch_rows):
    orders, marks, fills, money = history(11, count=120)
    given = {"marks": marks, "balances": money, "fills": fills}

    whole, engine = run(tmp_path, linked, orders, **given, batch_rows=1000)
    cut, other = run(tmp_path, linked, orders, **given, batch_rows=batch_rows)
    assert repr(cut) == repr(whole)
    assert other.totals() == engine.totals()
    assert other.assumptions == engine.assumptions


def test_tables_that_grow_change_nothing(linked, tmp_path, monkeypatch):
    orders, marks, fills, money = history(13)
    given = {"marks": marks, "balances": money, "fills": fills, "mode": "frozen"}
    whole, engine = run(tmp_path, linked, orders, **given)

    monkeypatch.setattr("ringfence.replay.engine_events._OPEN", 2)
    monkeypatch.setattr("ringfence.replay.trading_days._CHUNK", 1)
    for name in ("_LEFT", "_QUOTES", "_CHAINS"):
        monkeypatch.setattr(f"ringfence.replay.engine_books.{name}", 2)
    grown, other = run(tmp_path, linked, orders, **given)
    assert repr(grown) == repr(whole)
    assert other.totals() == engine.totals()


@pytest.fixture(scope="module")
def halting(tmp_path_factory):
    return linked_set(
        tmp_path_factory.mktemp("halting"),
        policy("desk", HALTING, LOSS="500 USD", DRAWDOWN="8%", EXPOSURE="30_000 USD"),
        policy("firm", FIRM_HALTING, level="firm", day='{time: "17:00", zone: America/New_York}'),
        policy("taker", TAKER_HALTING, level="strategy", scope="{strategies: [s]}"),
    )


@pytest.mark.parametrize("until", ["day", "end"])
@pytest.mark.parametrize("has_marks", [True, False])
@pytest.mark.parametrize("has_fills", [True, False])
def test_books_that_gates_halt_are_those_of_the_reference(
    halting, tmp_path, until, has_marks, has_fills
):
    orders, marks, fills, money = history(17, count=400)
    marks, fills = marks if has_marks else None, fills if has_fills else None

    found, engine = run(
        tmp_path, halting, orders, marks=marks, fills=fills, balances=money, halts_until=until
    )
    expected, replay = plain_replay(
        halting, orders, marks, fills, money, "propagated", halts_until=until
    )

    compare(found, expected)
    books, columns = list(engine.names.books()), engine.columns
    assert [
        (each.ts, books[each.book], columns[each.column].gate) for each in engine.halts
    ] == replay.halts
    assert sum(engine.halted.values()) == len(replay.halts) > 0
    assert "KILL_SWITCH" in {row["code"] for row in found}


def test_frozen_no_gate_halts_a_book(halting, tmp_path):
    orders, marks, fills, money = history(17)

    found, engine = run(
        tmp_path, halting, orders, marks=marks, fills=fills, balances=money, mode="frozen"
    )

    compare(found, plain(halting, orders, marks, fills, money, "frozen"))
    assert engine.halts == []
