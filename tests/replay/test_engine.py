"""The engine on small replays whose figures can be checked by hand: 1 BTC is 1 to 100 USD of exposure."""

import math

import numpy as np
import pytest

from replay.engine_runs import balance, fill, linked_set, mark, ns, order, policy, run
from ringfence.replay.trading_days import TradingDays

pytestmark = pytest.mark.integration

OPEN = [balance("account/a", "opening", 20_000.0), balance("account/b", "opening", 20_000.0)]
MARKS = [mark("11:59:00", 100.0)]
HOUR = 3600 * 10**9


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    return linked_set(tmp_path_factory.mktemp("desk"))


def sizes(rows):
    return [row["size"] for row in rows]


def measures(rows, gate):
    return [row["gates"][gate][1] for row in rows]


def test_decisions_follow_one_another_as_the_position_grows(linked, tmp_path):
    orders = [
        order("12:00:00", 60, 100.0),
        order("12:01:00", 60, 100.0),
        order("12:02:00", 10, 100.0),
        order("12:03:00", -15, 100.0),
        order("12:04:00", 10, 100.0),
    ]
    found, engine = run(tmp_path, linked, orders, marks=MARKS, balances=OPEN)

    assert [row["decision"] for row in found] == [
        "APPROVE", "REDUCE_SIZE", "REJECT", "APPROVE", "APPROVE"
    ]  # fmt: skip
    assert sizes(found) == [60.0, 40.0, 0.0, 15.0, 10.0]
    assert found[1]["gate"] == found[2]["gate"] == "total-exposure"
    assert found[1]["code"] == found[2]["code"] == "TOTAL_EXPOSURE"
    assert found[0]["code"] == found[0]["gate"] == ""
    assert found[1]["gates"]["total-exposure"] == ("reduce", 12_000.0, 10_000.0)
    outcome, measure, limit = found[3]["gates"]["total-exposure"]
    assert outcome == "exempt"
    assert math.isnan(measure)
    assert math.isnan(limit)
    assert found[1]["notional"] == 6_000.0
    assert engine.totals()["equity_last"] == 40_000.0


def test_frozen_state_is_as_it_really_was(linked, tmp_path):
    orders = [
        order("12:00:00", 60, 100.0),
        order("12:01:00", 60, 100.0),
        order("12:02:00", -15, 100.0),
        order("12:03:00", 10, 100.0),
    ]
    given = {"marks": MARKS, "balances": OPEN}
    followed, _ = run(tmp_path, linked, orders, **given)
    frozen, _ = run(tmp_path, linked, orders, **given, mode="frozen")

    assert sizes(followed) == [60.0, 40.0, 15.0, 10.0]
    assert sizes(frozen) == [60.0, 40.0, 15.0, 0.0]
    assert measures(followed, "total-exposure")[-1] == 9_500.0
    assert measures(frozen, "total-exposure")[-1] == 11_500.0


def test_what_was_reduced_fills_in_proportion(linked, tmp_path):
    orders = [
        order("12:00:00", 60, 100.0),
        order("12:01:00", 80, 100.0),
        order("12:02:30", 10, 100.0),
        order("12:04:00", 30, 100.0),
    ]
    fills = [
        fill("12:00:01", 0, 60, 100.0),
        fill("12:02:00", 1, 20, 100.0, fee=4.0),
        fill("12:03:00", 1, 20, 100.0, fee=4.0),
        fill("12:05:00", 3, 30, 101.0),
    ]
    found, engine = run(tmp_path, linked, orders, marks=MARKS, fills=fills, balances=OPEN)

    # 40 of 80 were approved: 20 fill of the 40 that once filled, and the rest is released.
    assert sizes(found) == [60.0, 40.0, 0.0, 20.0]
    totals = engine.totals()
    assert totals["fees"] == 4.0
    # The 20 at 101 came after the last order: 20 USD less at the mark of 100.
    assert totals["equity_first"] == 40_000.0
    assert totals["equity_last"] == 40_000.0 - 4.0 - 20.0
    assert totals["max_drawdown"] == pytest.approx(24 / 40_000)
    assert engine.assumptions[0].startswith("fills are those of the history")


def test_fills_too_small_for_a_lot_still_cost_their_fees(tmp_path):
    linked = linked_set(tmp_path, policy(EXPOSURE="5 USD"))
    orders = [order("12:00:00", 10, 5_000.0)]
    marks = [mark("11:59:00", 5_000.0)]
    fills = [fill(f"12:0{minute}:00", 0, 2, 5_000.0, fee=1_000.0) for minute in range(5)]
    found, engine = run(tmp_path, linked, orders, marks=marks, fills=fills, balances=OPEN)

    # One lot of 0.001 of 10: the last fill alone moves it, a ten thousandth of each fee is due.
    assert sizes(found) == [0.001]
    assert engine.totals()["fees"] == pytest.approx(0.5)


def test_the_end_of_an_order_releases_what_it_reserves(linked, tmp_path):
    orders = [
        order("12:00:00", 100, 100.0, end_ts=ns("12:05:00")),
        order("12:04:00", 10, 100.0),
        order("12:06:00", 10, 100.0),
        order("12:07:00", 95, 100.0),
    ]
    fills = [fill("12:06:30", 2, 10, 100.0)]
    found, engine = run(tmp_path, linked, orders, marks=MARKS, fills=fills, balances=OPEN)

    assert sizes(found) == [100.0, 0.0, 10.0, 90.0]
    # The second and the last order were given neither a fill nor an end.
    assert any(
        text.endswith("for want of a fill and of an end: 2 orders") for text in engine.assumptions
    )


def test_an_order_that_fills_at_once_finds_what_ended_at_that_time_released(linked, tmp_path):
    orders = [
        order("12:00:00", 100, 100.0, end_ts=ns("12:05:00")),
        order("12:05:00", 90, 100.0),
        order("12:06:00", 10, 100.0, end_ts=ns("12:06:00")),
        order("12:06:00", 10, 100.0),
    ]
    fills = [fill("12:05:00", 1, 90, 100.0), fill("12:06:00", 3, 10, 100.0)]
    found, engine = run(tmp_path, linked, orders, marks=MARKS, fills=fills, balances=OPEN)

    assert sizes(found) == [100.0, 90.0, 10.0, 10.0]
    assert measures(found, "total-exposure")[1:] == [9_000.0, 10_000.0, 10_000.0]
    assert engine.totals()["equity_last"] == 40_000.0


def test_an_order_filled_in_part_works_until_its_end(linked, tmp_path):
    orders = [
        order("12:00:00", 80, 100.0, end_ts=ns("12:10:00")),
        order("12:05:00", 30, 100.0, end_ts=ns("12:06:00")),
        order("12:11:00", 90, 100.0, end_ts=ns("12:12:00")),
    ]
    fills = [fill("12:01:00", 0, 20, 100.0)]
    found, _ = run(tmp_path, linked, orders, marks=MARKS, fills=fills, balances=OPEN)

    # 20 held and 60 at work leave 20 of 100; after the end 80 are free again.
    assert sizes(found) == [80.0, 20.0, 80.0]


def test_an_order_with_neither_fill_nor_end_reserves_nothing(linked, tmp_path):
    orders = [order("12:00:00", 100, 100.0), order("12:01:00", 100, 100.0)]
    fills = [fill("12:02:00", 1, 1, 100.0)]
    found, _ = run(tmp_path, linked, orders, marks=MARKS, fills=fills, balances=OPEN)

    assert sizes(found) == [100.0, 100.0]


RATES = """
    - {rule: order-rate@1, name: all, limits: {max_orders: 100, window: 1h}}
    - {rule: order-rate@1, name: symbol, limits: {max_per_symbol: 100, window: 1h}}
    - {rule: order-rate@1, name: orders, limits: {max_orders: 100, window: 1h, counts: orders}}
"""


def test_an_end_counts_as_a_message_where_it_is_a_cancel(tmp_path):
    linked = linked_set(tmp_path, policy(), policy("rates", RATES))
    orders = [
        order("12:00:00", 1, 100.0, end_ts=ns("12:05:00")),
        order("12:01:00", 1, 100.0, end_ts=ns("12:06:00"), expired=True),
        order("12:02:00", 1, 100.0),
        order("12:03:00", 1, 100.0, end_ts=ns("12:07:00")),
        order("12:10:00", 1, 20.0, symbol="ETH/USD"),
        order("12:11:00", 1, 100.0),
        order("13:05:00", 1, 100.0),
    ]
    marks = [*MARKS, mark("11:59:00", 20.0, "ETH/USD")]
    fills = [fill("12:04:00", 3, 1, 100.0)]
    found, engine = run(tmp_path, linked, orders, marks=marks, fills=fills, balances=OPEN)

    # One cancel: the others expired, had no end of their own, or were filled before it.
    assert measures(found, "all") == [1, 2, 3, 4, 6, 7, 3]
    assert measures(found, "symbol") == [1, 2, 3, 4, 1, 6, 2]
    assert measures(found, "orders") == [1, 2, 3, 4, 5, 6, 3]
    assert (
        "cancelled at `end_ts`, unless filled before, and counted in rates: 2 orders"
        in engine.assumptions
    )
    at_once, engine = run(tmp_path, linked, orders, marks=marks, balances=OPEN)
    assert measures(at_once, "all") == measures(at_once, "orders")
    assert any(text.startswith("rates count no cancels") for text in engine.assumptions)


@pytest.mark.parametrize(("mode", "last"), [("propagated", 5), ("frozen", 7)])
def test_what_was_rejected_is_cancelled_only_where_it_left(mode, last, tmp_path):
    rate = "\n    - {rule: order-rate@1, limits: {max_orders: 2, window: 1h}}"
    linked = linked_set(tmp_path, policy(), policy("rates", rate))
    orders = [
        order(f"12:0{minute}:00", 1, 100.0, end_ts=ns(f"12:0{5 + minute}:00"))
        for minute in range(3)
    ]
    orders.append(order("12:10:00", 1, 100.0))
    fills = [fill("12:11:00", 3, 1, 100.0)]
    found, _ = run(tmp_path, linked, orders, marks=MARKS, fills=fills, balances=OPEN, mode=mode)

    assert measures(found, "order-rate") == [1, 2, 3, last]


def test_an_end_before_its_order_is_a_cancel_right_after_it(tmp_path):
    linked = linked_set(tmp_path, policy(), policy("rates", RATES))
    orders = [
        order("12:00:00", 1, 100.0, end_ts=ns("11:00:00")),
        order("12:30:00", 1, 100.0),
    ]
    found, _ = run(
        tmp_path, linked, orders, marks=MARKS, fills=[fill("12:31:00", 1, 1, 100.0)], balances=OPEN
    )

    assert measures(found, "all") == [1, 3]


def test_a_deposit_moves_neither_drawdown_nor_the_days_loss(linked, tmp_path):
    orders = [order(f"12:{minute}:00", 1, 90.0) for minute in ("02", "04", "06")]
    orders = [order("12:00:00", 50, 100.0), *orders]
    marks = [*MARKS, mark("12:01:00", 90.0)]
    money = [
        *OPEN,
        balance("account/a", "deposit", 10_000.0, "12:03:00"),
        balance("account/a", "withdrawal", 15_000.0, "12:05:00"),
    ]
    found, engine = run(tmp_path, linked, orders, marks=marks, balances=money)

    assert measures(found, "daily-loss") == [0.0, 500.0, 500.0, 500.0]
    assert measures(found, "drawdown") == pytest.approx([0.0, 0.025, 0.025, 0.025])
    assert [row["equity"] for row in found] == [40_000.0, 39_500.0, 49_500.0, 34_500.0]
    assert [row["drawdown"] for row in found] == pytest.approx([0.0, 0.0125, 0.0125, 0.0125])
    assert engine.totals()["max_drawdown"] == pytest.approx(0.0125)


def test_the_day_starts_at_midnight_in_its_zone_when_the_clocks_change(tmp_path):
    linked = linked_set(tmp_path, policy(day='{time: "00:00", zone: Europe/Berlin}'))
    times = ["28T22:59:59", "28T23:00:00", "29T21:59:59", "29T22:00:00"]
    times = [ns(f"2026-03-{each}+00:00") for each in times]
    orders = [order(ns("2026-03-28T12:00:00+00:00"), 50, 100.0)]
    orders += [order(ts, 1, 90.0) for ts in times]
    marks = [mark(ns("2026-03-28T12:00:00+00:00"), 100.0)]
    marks += [mark(ts - 10**9, price) for ts, price in zip(times, [90, 90, 84, 84], strict=True)]
    found, _ = run(tmp_path, linked, orders, marks=marks, balances=OPEN)

    # From 100 to 90 with 50 on the 28th; from 90 to 84 with 52 on the 29th, of 23 hours.
    assert measures(found, "daily-loss") == [0.0, 500.0, 0.0, 312.0, 0.0]


def test_an_old_mark_rejects(linked, tmp_path):
    orders = [order("12:59:00", 1, 100.0), order("12:59:01", 1, 100.0)]
    found, _ = run(tmp_path, linked, orders, marks=MARKS, balances=OPEN)

    assert [row["decision"] for row in found] == ["APPROVE", "REJECT"]
    assert found[1]["code"] == "DATA_QUALITY"
    # The position is as old: what depends on its value is unknown.
    assert found[1]["gates"]["total-exposure"][0] == "unknown"
    assert math.isnan(found[1]["gates"]["total-exposure"][2])


def test_a_held_symbol_that_never_had_a_mark_is_stale(linked, tmp_path):
    orders = [
        order("12:00:00", 5, 20.0, symbol="ETH/USD"),
        order("12:01:00", 1, 100.0),
    ]
    found, _ = run(tmp_path, linked, orders, marks=MARKS, balances=OPEN, mode="frozen")

    assert found[1]["gates"]["data-quality"][0] == "pass"
    assert found[1]["gates"]["drawdown"][0] == "unknown"


def test_without_marks_an_orders_own_price_is_the_mark(linked, tmp_path):
    orders = [
        order("12:00:00", 1),
        order("12:01:00", 50, 100.0),
        order("23:00:00", 1),
        order("23:01:00", 10, 80.0),
    ]
    found, engine = run(tmp_path, linked, orders, balances=OPEN)

    assert [row["code"] for row in found] == ["NO_PRICE", "", "", ""]
    assert measures(found, "daily-loss")[2:] == [0.0, 1_020.0]
    assert "no marks are given: an order's own price is the mark, and no price is too old" in (
        engine.assumptions
    )
    assert any(text.startswith("no fills are given") for text in engine.assumptions)
    assert engine.last_marks().tolist() == [80.0]
    assert math.isnan(found[0]["notional"])


def test_a_mark_does_not_outlive_the_position(linked, tmp_path):
    orders = [
        order("12:00:00", 10, 100.0),
        order("12:01:00", -10, 100.0),
        order("12:03:00", 10, 40.0),
    ]
    marks = [*MARKS, mark("12:02:00", 50.0)]
    found, _ = run(tmp_path, linked, orders, marks=marks, balances=OPEN)

    assert measures(found, "total-exposure")[2] == 500.0


def test_symbols_that_nobody_knows_are_named(linked, tmp_path):
    def said(folder, *symbols):
        folder.mkdir()
        orders = [order("12:00:00", 1, 100.0, symbol=each) for each in (*symbols, "BTC/USD")]
        _, engine = run(folder, linked, orders, marks=MARKS, balances=OPEN)
        return [text for text in engine.assumptions if "instruments file" in text]

    assert said(tmp_path / "none") == []
    assert said(tmp_path / "one", "BTCUSD", "BTCUSD") == [
        "orders in symbol `BTCUSD` are rejected: no instruments file knows it, did you mean `BTC/USD`?"
    ]
    assert said(tmp_path / "two", "XYZ", "BTCUSD") == [
        "orders in each of 2 symbols (`BTCUSD`, `XYZ`) are rejected: no instruments file knows them"
    ]


@pytest.mark.parametrize("mode", ["propagated", "frozen"])
def test_what_cannot_be_read_is_refused_and_moves_nothing(linked, tmp_path, mode):
    orders = [
        order("12:00:00", 5, 100.0, symbol="XYZ/USD"),
        order("12:00:01", 5, 100.0, symbol="LTC/GBP"),
        order("12:00:02", 0.0005, 100.0),
        order("12:00:03", 5, symbol="ADA/EUR"),
        order("12:00:04", 5, 100.0),
    ]
    found, engine = run(tmp_path, linked, orders, marks=MARKS, balances=OPEN, mode=mode)

    codes = ["UNKNOWN_INSTRUMENT", "NO_FX_RATE", "SIZE_OFF_STEP", "NO_PRICE", ""]
    assert [row["code"] for row in found] == codes
    assert {gate[0] for gate in found[0]["gates"].values()} == {"unknown"}
    assert all(math.isnan(found[place]["notional"]) for place in (0, 1, 3))
    said = [
        text for text in engine.assumptions if text.endswith("cannot be read or valued: 4 orders")
    ]
    assert len(said) == (mode == "frozen")
    unknown = "orders in symbol `XYZ/USD` are rejected: no instruments file knows it"
    assert any(text.startswith(unknown) for text in engine.assumptions)
    # In order of first appearance: XYZ, LTC, BTC, ADA.
    np.testing.assert_array_equal(engine.money_per_price(), [math.nan, math.nan, 1.0, 12.5])


def test_policies_that_bind_one_order_with_the_same_gate(tmp_path):
    more = "\n    - {rule: total-exposure@1, limits: {max: 3_000 USD}, mode: shadow}\n"
    linked = linked_set(tmp_path, policy(), policy("more", more, scope="{accounts: [b]}"))
    orders = [
        order("12:00:00", 20, 100.0, account="b"),
        order("12:00:00", 40, 100.0),
        order("12:01:00", 20, 100.0, account="b"),
    ]
    found, engine = run(tmp_path, linked, orders, marks=MARKS, balances=OPEN)

    columns = {column.name: column for column in engine.columns}
    assert columns["total-exposure"].policies == ("desk@1.0.0",)
    assert columns["total-exposure#2"].policies == ("more@1.0.0",)
    assert (columns["total-exposure"].shadow, columns["total-exposure#2"].shadow) == (False, True)
    assert columns["total-exposure#2"].gate == "total-exposure"
    second = [row["gates"]["total-exposure#2"] for row in found]
    assert [each[0] for each in second] == ["pass", "absent", "reduce"]
    assert math.isnan(second[1][1])
    assert second[2][1:] == (4_000.0, 3_000.0)
    assert sizes(found) == [20.0, 40.0, 20.0]
    assert len(set(engine.codes)) == len(engine.codes)


def test_units_of_columns(linked, tmp_path):
    _, engine = run(tmp_path, linked, [order("12:00:00", 1, 100.0)], balances=OPEN)

    assert {column.name: column.unit for column in engine.columns} == {
        "kill-switch": "state",
        # What these measure differs from check to check: plain numbers.
        "data-quality": "quantity",
        "daily-loss": "quantity",
        "drawdown": "ratio",
        "position-count": "count",
        "total-exposure": "money",
        "position-size": "money",
        "correlated-exposure": "money",
    }


@pytest.mark.parametrize("mode", ["propagated", "frozen"])
def test_an_account_without_opening_money(linked, tmp_path, mode):
    orders = [order("12:00:00", 1, 100.0, account="c"), order("12:00:01", 1, 100.0)]
    given = {"marks": MARKS, "mode": mode}
    unknown, engine = run(tmp_path, linked, orders, balances=OPEN, **given)
    assert [row["decision"] for row in unknown] == ["REJECT", "APPROVE"]
    assert unknown[0]["gates"]["drawdown"][0] == "unknown"
    assert math.isnan(unknown[1]["equity"])
    assert math.isnan(engine.totals()["equity_last"])
    text = "no opening balance is known of account `c`: gates that need its equity reject"
    assert text in engine.assumptions

    opened, engine = run(tmp_path, linked, orders, balances=OPEN, equity=5_000.0, **given)
    assert [row["decision"] for row in opened] == ["APPROVE", "APPROVE"]
    # Account `b` sends no order, but its money is there.
    assert opened[0]["equity"] == 45_000.0
    text = "no opening balance is known of account `c`: it opens with 5,000 USD"
    assert text in engine.assumptions


def test_an_opening_later_on_counts_from_then(linked, tmp_path):
    orders = [order("12:00:00", 1, 100.0), order("12:02:00", 1, 100.0)]
    money = [balance("account/a", "opening", 20_000.0, "12:01:00")]
    found, engine = run(tmp_path, linked, orders, marks=MARKS, balances=money)

    assert [row["decision"] for row in found] == ["REJECT", "APPROVE"]
    assert math.isnan(engine.totals()["equity_first"])
    assert engine.totals()["equity_last"] == 20_000.0


def test_marks_after_the_last_order_are_applied(linked, tmp_path):
    orders = [order("12:00:00", 1, 100.0)]
    marks = [*MARKS, mark("18:00:00", 104.0), mark("18:00:01", 7.0, "ETH/USD")]
    _, engine = run(tmp_path, linked, orders, marks=marks, balances=OPEN)

    np.testing.assert_array_equal(engine.last_marks(), [104.0, 7.0])
    assert engine.totals()["equity_last"] == 40_004.0


@pytest.mark.parametrize(
    ("day", "first", "starts"),
    [
        # The clocks skip 02:30 in spring; it comes twice in autumn, and the first one counts.
        (("02:30", "Europe/Berlin"), "2026-03-29T12:00:00Z", ["28T01:30", "29T01:30", "30T00:30"]),
        (("02:30", "Europe/Berlin"), "2026-10-25T12:00:00Z", ["24T00:30", "25T00:30", "26T01:30"]),
        (("17:00", "America/New_York"), "2026-03-08T12:00:00Z", ["07T22:00", "08T21:00"]),
        (("00:00", "Asia/Kolkata"), "2026-03-08T12:00:00Z", ["06T18:30", "07T18:30", "08T18:30"]),
    ],
)
def test_starts_of_trading_days(day, first, starts):
    found = TradingDays(day, ns(first)).following()

    assert (np.diff(found) > 0).all()
    assert found[0] <= ns(first)
    for start in starts:
        assert ns(f"{first[:8]}{start}:00Z") in found


@pytest.mark.parametrize("moment", [-(2**63) + 2, 2**63 - 1 - 40 * 24 * HOUR])
def test_trading_days_at_the_ends_of_time(moment):
    days = TradingDays(("00:00", "UTC"), moment)
    found = days.following()
    assert (np.diff(found) >= 0).all()
    while len(found) and found[-1] > 0:
        found = days.following()
    assert found.dtype == np.int64
