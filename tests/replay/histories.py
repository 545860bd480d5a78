"""Random histories of orders, marks, fills and money, and what the reference makes of them; all generated."""

import math
from decimal import Decimal

import numpy as np

from replay.engine_runs import NAN, balance, fill, mark, ns, order
from replay.plain_replay import PlainReplay

START = ns("2026-03-06T20:00:00Z")
MINUTE = 60 * 10**9
# 17:00 in New York; the clocks change on the 8th.
DAYS = [
    ns(f"2026-03-{day:02}T{hour}:00:00Z")
    for day, hour in ((5, 22), (6, 22), (7, 22), (8, 21), (9, 21), (10, 21))
]
PRICES = {"BTC/USD": 500.0, "ETH/USD": 20.0, "ADA/EUR": 0.5}
STEPS = {"BTC/USD": "0.001", "ETH/USD": "0.01", "ADA/EUR": "1", "LTC/GBP": "0.1"}


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
        expired=end // MINUTE % 3 == 0,
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
    return plain_replay(linked, orders, marks, fills, money, mode)[0]


def plain_replay(linked, orders, marks, fills, money, mode, halts_until="day"):
    """The same, and the replay that it came of."""
    replay = PlainReplay(
        linked,
        accounts=["a", "b"],
        strategies=["s", ""],
        days=DAYS,
        frozen=mode == "frozen",
        fills=fills is not None,
        marks=marks is not None,
        halts_until=halts_until,
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
        # An order with an end of its own works until then, whatever was filled of it.
        closes = last[each["order_id"]] == place and not orders[key]["end_ts"]
        events.append((each["ts"], 3, key, lambda g=given, c=closes: replay.fill(*g, c)))
    for each in orders if fills else ():
        end = each["end_ts"] or (0 if f"o{each['key']}" in last else each["ts"])
        if end:
            cancelled = end if each["end_ts"] and not each["expired"] else None
            given = (each["key"], cancelled)
            events.append((end, 4, each["key"], lambda g=given: replay.end(*g)))
    events.sort(key=lambda each: each[:3])
    found, at = [], 0
    for each in orders:
        waiting = []
        while at < len(events) and events[at][0] <= each["ts"]:
            _, rank, key, act = events[at]
            at += 1
            if rank >= 3 and key >= each["key"]:
                # What becomes of an order follows it; what ends at that time does not wait for it.
                waiting.append(events[at - 1])
            else:
                act()
        events[at:at] = waiting
        found.append(replay.decide(each))
    return found, replay


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
