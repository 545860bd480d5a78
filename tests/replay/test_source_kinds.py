"""Fills, marks and balances beside the orders, and what a source holds."""

from pathlib import Path

import pyarrow as pa
import pytest

from replay.source_orders import CSV, START, parquet, saved, table
from replay.stream_rows import columns_of
from ringfence.replay.sources import (
    describe,
    open_balances,
    open_fills,
    open_inputs,
    open_marks,
)

pytestmark = pytest.mark.unit


def test_fills_find_their_orders(tmp_path: Path) -> None:
    orders = saved(tmp_path, CSV)
    fills = saved(
        tmp_path,
        "ts,order_id,size,price,fee\n"
        "2024-01-01T00:00:04Z,003,0.2,99,0.1\n"
        "2024-01-01T00:00:03Z,003,0.1,98,0.2\n"
        "2024-01-01T00:00:01Z,001,0.1,100,\n"
        "2024-01-01T00:00:01Z,009,0.1,100,0\n"
        "2023-01-01T00:00:00Z,002,0.1,100,0\n"
        "2024-01-01T00:00:09Z,002,0,100,0\n",
        "fills.csv",
    )
    with open_inputs(orders, fills=fills) as inputs:
        found = columns_of(inputs.fills)
        assert columns_of(inputs.orders)["n_fills"] == [1, 0, 2]
        assert inputs.rejects["fills"].counts == {
            "size is not above zero": 1,
            "fill of an unknown order": 1,
            "fill is earlier than its order": 1,
        }

    assert found["position"] == [0, 2, 2]
    # The third order has an end of its own.
    assert found["last"] == [1, 0, 0]
    assert found["size"] == [0.1, 0.1, 0.2]
    assert found["fee"] == [0.0, 0.2, 0.1]
    assert found["row"] == [3, 2, 1]
    assert columns_of(open_fills(fills, orders=orders)) == found


def test_fills_that_can_move_nothing_are_told(tmp_path: Path) -> None:
    orders = saved(tmp_path, CSV)
    fills = saved(
        tmp_path,
        "ts,order_id,size,price\n"
        "2024-01-01T00:00:01Z,001,0.07,100\n"
        "2024-01-01T00:00:02Z,001,0.03,100\n"
        "2024-01-01T00:00:03Z,001,0.01,100\n"
        "2024-01-01T00:00:04Z,002,1.5,100\n"
        "2024-01-01T00:00:05Z,003,0.1,99\n"
        "2024-01-01T00:00:06Z,003,0.1,99\n",
        "fills.csv",
    )
    with open_inputs(orders, fills=fills) as inputs:
        found = columns_of(inputs.fills)
        assert inputs.rejects["fills"].counts == {
            "fill of an order that was already filled": 1,
            "fill is later than the end of its order": 1,
        }
        assert any(text.endswith("for want of an end: 1 order") for text in inputs.assumptions)

    assert found["position"] == [0, 0, 1, 2]
    assert found["last"] == [0, 1, 1, 0]


def test_marks_take_price_for_last_and_need_some_price(tmp_path: Path) -> None:
    text = "ts,symbol,bid,ask,price\n2024-01-02,A,1,2,1.5\n2024-01-01,B,,,3\n2024-01-03,C,,,\n"
    stream = open_marks(saved(tmp_path, text))

    marks = columns_of(stream)

    assert (marks["symbol"], marks["last"], marks["bid"]) == (["B", "A"], [3.0, 1.5], [None, 1.0])
    assert stream.rejects.counts == {"no price at all": 1}


@pytest.mark.parametrize("as_parquet", [False, True])
def test_the_one_price_of_marks_is_bid_ask_and_last_trade(tmp_path: Path, as_parquet: bool) -> None:
    if as_parquet:
        rows = pa.table({"ts": [START], "symbol": ["A"], "price": [1.5]})
        stream = open_marks(parquet(tmp_path, rows, "marks.parquet"))
    else:
        stream = open_marks(saved(tmp_path, "ts,symbol,price\n2024-01-02,A,1.5\n"))

    marks = columns_of(stream)

    assert stream.direct is as_parquet
    assert (marks["bid"], marks["ask"], marks["last"]) == ([1.5], [1.5], [1.5])
    assert "marks have one price: it is bid, ask and last trade" in stream.assumptions


@pytest.mark.parametrize(
    ("columns", "lacking"),
    [
        ({"last": 1.5}, "neither bid nor ask"),
        ({"bid": 1.4, "ask": 1.6}, "no last"),
        ({"bid": 1.4, "ask": 1.6, "last": 1.5}, ""),
        ({"price": 1.5}, ""),
    ],
)
def test_prices_that_marks_lack_are_said_with_what_follows(
    tmp_path: Path, columns: dict[str, float], lacking: str
) -> None:
    head, row = ",".join(columns), ",".join(map(str, columns.values()))
    stream = open_marks(saved(tmp_path, f"ts,symbol,{head}\n2024-01-02,A,{row}\n"))

    told = [each for each in stream.assumptions if "data-quality" in each]
    assert told == [
        f"marks have {lacking}: data-quality gates reject new risk where `required` names what is missing, as it does by default"
    ] * bool(lacking)


def test_direct_marks_and_their_rejects(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "ts": [START, None, START + 1, START + 2],
            "symbol": ["A", "A", None, "A"],
            "price": [1.0, 1.0, 1.0, None],
        }
    )
    stream = open_marks(parquet(tmp_path, rows, "marks.parquet"))

    assert columns_of(stream)["last"] == [1.0]
    assert stream.direct
    assert stream.rejects.counts == {"no usable time": 1, "no symbol": 1, "no price at all": 1}


def test_orders_and_marks_share_the_codes_of_symbols(tmp_path: Path) -> None:
    marks = saved(
        tmp_path,
        "ts,symbol,bid,ask\n2024-01-01,XRP/USDT,1,2\n2024-01-01,ETH/USDT,1,2\n",
        "marks.csv",
    )
    with open_inputs(saved(tmp_path, CSV), marks=marks, survey=True) as inputs:
        assert inputs.marks is not None
        assert list(inputs.symbols) == ["BTC/USDT", "ETH/USDT", "XRP/USDT"]
        assert columns_of(inputs.marks)["symbol"] == ["XRP/USDT", "ETH/USDT"]
        assert inputs.marks.symbols is inputs.orders.symbols


def test_balances_of_books(tmp_path: Path) -> None:
    text = (
        "ts,book,kind,amount\n2024-01-02,account/a,deposit,5\n,firm,opening,100\n2024-01-03,strategy/s,Withdrawal,2\n"
        ",account/a,deposit,1\n2024-01-01,desk/x,opening,1\n2024-01-01,firm,gift,1\n2024-01-01,firm,deposit,-1\n"
        "2024-01-01,firm,deposit,much\n"
    )
    stream = open_balances(saved(tmp_path, text))

    (batch,) = stream

    assert batch.ts.tolist() == [0, 1704153600000000000, 1704240000000000000]
    assert [stream.books[code] for code in batch.book] == ["firm", "account/a", "strategy/s"]
    assert batch.kind.tolist() == [0, 1, 2]
    assert batch.amount.tolist() == [100.0, 5.0, 2.0]
    assert stream.rejects.total == 5


def test_a_book_opens_once(tmp_path: Path) -> None:
    text = (
        "ts,book,kind,amount\n2024-01-02,account/a,opening,7\n,account/a,opening,5\n2024-01-03,account/b,opening,2\n"
        "2024-01-03,account/a,deposit,1\n2024-01-04,account/a,deposit,1\n2024-01-05,account/a,opening,5\n"
    )
    stream = open_balances(saved(tmp_path, text))

    (batch,) = stream

    assert [stream.books[code] for code in batch.book] == [
        "account/a", "account/b", "account/a", "account/a",
    ]  # fmt: skip
    assert batch.amount.tolist() == [5.0, 2.0, 1.0, 1.0]
    assert stream.rejects.counts == {"the book is open already": 2}
    assert [each.row for each in stream.rejects.examples] == [1, 6]


def test_describe_says_rows_and_span(tmp_path: Path) -> None:
    facts = describe(parquet(tmp_path, table(10)))

    assert (facts.rows, facts.first_ts, facts.format) == (10, START, "parquet")
    assert facts.last_ts > START
    assert facts.bytes > 0
