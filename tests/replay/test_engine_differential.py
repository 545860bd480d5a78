"""The engine against a replay in plain Python whose every order the reference decides; data generated."""

import math
from decimal import Decimal

import numpy as np
import pytest

from replay.engine_runs import (
    GATES,
    NAN,
    balance,
    fill,
    linked_set,
    mark,
    ns,
    order,
    policy,
    run,
)
from replay.plain_replay import PlainReplay

pytestmark = pytest.mark.integration

START = ns("2026-03-06T20:00:00Z")
MINUTE = 60 * 10**9
# 17:00 in New York; the clocks change on the 8th.
DAYS = [
    ns(f"2026-03-{day:02}T{hour}:00:00Z")
    for day, hour in ((5, 22), (6, 22), (7, 22), (8, 21), (9, 21), (10, 21))
]
PRICES = {"BTC/USD": 500.0, "ETH/USD": 20.0, "ADA/EUR": 0.5}
STEPS = {"BTC/USD": "0.001", "ETH/USD": "0.01", "ADA/EUR": "1", "LTC/GBP": "0.1"}

ORDERS = """
    - {rule: order-rate@1, limits: {max_orders: 3, window: 20m}}
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


def history(seed, count=300):
    """Orders, marks, fills and balances over some days, random."""
    rng = np.random.default_rng(seed)
    times = START + np.sort(rng.integers(0, 80 * 60, count)) * MINUTE
    price, marks, ts = dict(PRICES), [], START - MINUTE
    while ts < times[-1] + MINUTE:
        for symbol in price:
            price[symbol] *= math.exp(rng.normal() * 0.01)
            if rng.random() < 0.9:
                half = price[symbol] * 0.0005
                marks.append(_quote(rng, ts, symbol, price[symbol], half))
        ts += int(rng.integers(1, 40)) * MINUTE
    orders, fills = [], []
    for key, ts in enumerate(times.tolist()):
        orders.append(_order(rng, ts, price))
        fills += _fills(rng, key, orders[-1])
    money = [
        balance("account/a", "opening", 10_000.0),
        balance("account/b", "opening", 7_000.5),
        balance("strategy/s", "opening", 3_000.0),
        balance("account/a", "deposit", 2_500.0, "2026-03-07T10:00:30Z"),
        balance("account/b", "withdrawal", 1_000.25, "2026-03-08T10:00:30Z"),
    ]
    return orders, sorted(marks, key=lambda each: each["ts"]), fills, money


def _quote(rng, ts, symbol, price, half):
    quote = mark(ts, round(price, 6), symbol)
    quote["bid"], quote["ask"] = round(price - half, 6), round(price + half, 6)
    if rng.random() < 0.03:
        quote[str(rng.choice(["bid", "ask", "last"]))] = NAN
    return quote


def _order(rng, ts, price):
    symbol = str(rng.choice([*PRICES, *PRICES, "LTC/GBP" if rng.random() < 0.1 else "BTC/USD"]))
    if rng.random() < 0.01:
        symbol = "XYZ/USD"
    around = price.get(symbol, 10.0)
    worth = float(rng.choice([200, 500, 1500, 2500, 6500]))
    factor = 12.5 if symbol == "ADA/EUR" else 1.0
    step = Decimal(STEPS.get(symbol, "1"))
    lots = max(1, int(Decimal(worth / around / factor) / step))
    size = float(lots * step) + (0.00005 if rng.random() < 0.01 else 0.0)
    kind = str(rng.choice(["limit", "limit", "market", "stop", "stop_limit"]))
    asked = NAN if kind == "market" else round(around * (1 + rng.normal() * 0.01), 4)
    if rng.random() < 0.01:
        asked = NAN
    end = ts + int(rng.integers(1, 240)) * MINUTE + 7 if rng.random() < 0.5 else 0
    return order(
        ts,
        size if rng.random() < 0.5 else -size,
        asked,
        type=kind,
        symbol=symbol,
        account=str(rng.choice(["a", "b"])),
        strategy=str(rng.choice(["s", ""])),
        venue=str(rng.choice(["kraken", "binance", ""], p=[0.3, 0.3, 0.4])),
        reduce_only=bool(rng.random() < 0.1),
        end_ts=end,
    )


def _fills(rng, key, asked):
    around = PRICES.get(asked["symbol"], 10.0)
    price = asked["price"] if asked["price"] == asked["price"] else around
    parts = rng.choice([0, 1, 1, 2, 4])
    sizes = rng.dirichlet(np.ones(int(parts))) * asked["size"] if parts else []
    ts, found = asked["ts"], []
    for size in sizes:
        found.append(fill(ts, key, round(float(size), 5) or 0.00001, round(price, 4), 0.05))
        ts += int(rng.integers(1, 90)) * MINUTE + 3
    return found


def plain(linked, orders, marks, fills, money, mode):
    """What the reference decides, order after order."""
    replay = PlainReplay(
        linked,
        accounts=["a", "b"],
        strategies=["s", ""],
        days=DAYS,
        frozen=mode == "frozen",
        fills=fills is not None,
        marks=marks is not None,
    )
    orders = [
        {**each, "key": key, "size": Decimal(str(each["size"]))} for key, each in enumerate(orders)
    ]
    events = [(ts, 0, 0, replay.day) for ts in DAYS]
    for each in money:
        given = (each["book"], each["kind"], each["amount"])
        events.append((each["ts"] or 0, 1, 0, lambda g=given: replay.money(*g)))
    events += [(m["ts"], 2, 0, lambda m=m: replay.mark(**m)) for m in marks or ()]
    last = {each["order_id"]: place for place, each in enumerate(fills or ())}
    for place, each in enumerate(fills or ()):
        key = int(each["order_id"][1:])
        given = (key, Decimal(str(each["size"])), each["price"], each["fee"])
        closes = last[each["order_id"]] == place
        events.append((each["ts"], 3, key, lambda g=given, c=closes: replay.fill(*g, c)))
    for each in orders if fills else ():
        end = each["end_ts"] or (0 if f"o{each['key']}" in last else each["ts"])
        if end:
            events.append((end, 4, each["key"], lambda k=each["key"]: replay.end(k)))
    events.sort(key=lambda each: each[:3])
    found, at = [], 0
    for each in orders:
        while at < len(events) and events[at][0] <= each["ts"]:
            _, rank, key, act = events[at]
            if rank >= 3 and key >= each["key"]:
                break
            act()
            at += 1
        found.append(replay.decide(each))
    return found


def compare(found, expected):
    for place, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        shown = f"order {place}: {theirs.reason} {ours}"
        assert ours["decision"] == theirs.decision, shown
        assert ours["size"] == float(theirs.size), shown
        assert ours["code"] == theirs.code, shown
        seen, names = {}, set()
        for gate in theirs.gates:
            name = gate.gate if gate.level == "account" else f"{gate.level}.{gate.gate}"
            seen[name] = seen.get(name, 0) + 1
            name = name if seen[name] == 1 else f"{name}#{seen[name]}"
            names.add(name)
            outcome, measure, limit = ours["gates"][name]
            assert outcome == gate.outcome, f"{name}: {shown}"
            known = gate.outcome not in ("unknown", "exempt")
            wanted = (gate.measure, gate.limit) if known else (NAN, NAN)
            np.testing.assert_array_equal((measure, limit), wanted, f"{name}: {shown}")
        absent = {name: gate for name, gate in ours["gates"].items() if name not in names}
        assert all(gate[0] == "absent" and gate[1] != gate[1] for gate in absent.values())


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


def test_the_straight_way_changes_nothing(linked, tmp_path, monkeypatch):
    kernel = "ringfence.backends.numba_kernel.kernel"
    monkeypatch.setattr(f"{kernel}.is_kept", lambda _text: False)
    for seed in (0, 17):
        orders, marks, fills, money = history(seed)
        given = {"marks": marks, "balances": money, "fills": fills if seed else None}

        monkeypatch.setattr(f"{kernel}.STRAIGHT_FROM", len(orders) + 1)
        general, engine = run(tmp_path, linked, orders, **given)
        monkeypatch.setattr(f"{kernel}.STRAIGHT_FROM", 0)
        straight, other = run(tmp_path, linked, orders, **given)
        assert other._kernel.address != engine._kernel.address
        assert repr(straight) == repr(general)
        assert other.totals() == engine.totals()
