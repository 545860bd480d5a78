"""Sources of a dry run: what is read, how it is typed, what is refused, and that nothing is lost."""

import gc
import os
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replay.stream_rows import columns_of
from ringfence.errors import InputError
from ringfence.replay.locked import locked_database
from ringfence.replay.sources import (
    describe,
    open_balances,
    open_fills,
    open_inputs,
    open_marks,
    open_orders,
)

pytestmark = pytest.mark.unit

START = 1_700_000_000_000_000_000
CSV = """ts,order_id,account,strategy,venue,symbol,side,type,size,price,reduce_only,end_ts
2024-01-01T00:00:00Z,001,a,s,v,BTC/USDT,buy,limit,0.1,100.5,false,
2024-01-01T00:00:01Z,002,b,s,v,ETH/USDT,SELL,market,2,,true,
2024-01-01T00:00:02Z,003,a,t,v,BTC/USDT,b,stop-limit,0.3,99,,2024-01-01T00:00:05Z
"""


def saved(folder: Path, text: str, name: str = "orders.csv") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def table(count: int = 500, **changed: Any) -> pa.Table:
    random = np.random.default_rng(7)
    columns: dict[str, Any] = {
        "ts": pa.array(START + np.arange(count) * 1_000_000 // 3),
        "order_id": [f"o{place}" for place in range(count)],
        "account": [f"a{place}" for place in random.integers(0, 7, count)],
        "strategy": [f"s{place}" for place in random.integers(0, 3, count)],
        "venue": ["v"] * count,
        "symbol": [f"S{place}/USDT" for place in random.integers(0, 5, count)],
        "side": random.choice(["buy", "sell"], count),
        "type": random.choice(["limit", "market"], count),
        "size": np.round(random.uniform(0.001, 5, count), 3),
        "price": np.round(random.uniform(1, 100, count), 2),
        "reduce_only": random.random(count) < 0.1,
    }
    columns.update(changed)
    return pa.table({name: value for name, value in columns.items() if value is not None})


def parquet(folder: Path, rows: pa.Table, name: str = "orders.parquet", group: int = 137) -> str:
    pq.write_table(rows, folder / name, row_group_size=group)
    return str(folder / name)


def test_csv_orders_in_our_columns(tmp_path: Path) -> None:
    orders = columns_of(open_orders(saved(tmp_path, CSV)))

    assert orders == {
        "ts": [1704067200000000000, 1704067201000000000, 1704067202000000000],
        "order_id": ["001", "002", "003"],
        "account": ["a", "b", "a"],
        "strategy": ["s", "s", "t"],
        "venue": ["v", "v", "v"],
        "symbol": ["BTC/USDT", "ETH/USDT", "BTC/USDT"],
        "side": ["buy", "sell", "buy"],
        "type": ["limit", "market", "stop_limit"],
        "size": [0.1, 2.0, 0.3],
        "price": [100.5, None, 99.0],
        "reduce_only": [0, 1, 0],
        "end_ts": [0, 0, 1704067205000000000],
        "row": [1, 2, 3],
        "n_fills": [0, 0, 0],
    }


def test_sorted_parquet_is_streamed_directly_and_unsorted_is_prepared(tmp_path: Path) -> None:
    rows = table()
    shuffled = rows.take(np.random.default_rng(1).permutation(len(rows)))

    direct = open_orders(parquet(tmp_path, rows, "sorted.parquet"))
    prepared = open_orders(parquet(tmp_path, shuffled, "shuffled.parquet"))

    assert direct.direct
    assert not prepared.direct
    one, other = columns_of(direct), columns_of(prepared)
    one.pop("row")
    other.pop("row")
    assert one == other


@pytest.mark.parametrize("form", ["csv", "json", "csv.gz", "select"])
def test_every_form_of_source_gives_the_same_orders(tmp_path: Path, form: str) -> None:
    source = parquet(tmp_path, table())
    if form == "select":
        other = f"SELECT * FROM '{source}' ORDER BY order_id"
    else:
        other = str(tmp_path / f"orders.{form}")
        kind = "json" if form == "json" else "csv"
        duckdb.sql(f"COPY (FROM '{source}') TO '{other}' (FORMAT {kind})")

    one, again = columns_of(open_orders(source)), columns_of(open_orders(other))

    one.pop("row")
    again.pop("row")
    assert again == one


@pytest.mark.parametrize("batch_rows", [1, 3, 136, 137, 138, 1000])
@pytest.mark.parametrize("direct", [True, False])
def test_rows_and_codes_do_not_depend_on_the_size_of_batches(
    tmp_path: Path, batch_rows: int, direct: bool
) -> None:
    rows = table()
    source = parquet(tmp_path, rows if direct else rows.take(np.arange(len(rows))[::-1]))
    whole = open_orders(source, batch_rows=100_000)
    parts = open_orders(source, batch_rows=batch_rows)

    first = [
        np.concatenate([getattr(b, n) for b in whole]) for n in ("account", "symbol", "ts", "size")
    ]
    again = [
        np.concatenate([getattr(b, n) for b in parts]) for n in ("account", "symbol", "ts", "size")
    ]

    assert all((one == other).all() for one, other in zip(first, again, strict=True))
    assert whole.accounts.names == parts.accounts.names
    lengths = [len(batch) for batch in parts]
    assert [batch.start for batch in parts] == [
        sum(lengths[:place]) for place in range(len(lengths))
    ]


@pytest.mark.parametrize("direct", [True, False])
def test_survey_completes_names_and_changes_no_code(tmp_path: Path, direct: bool) -> None:
    rows = table()
    source = parquet(tmp_path, rows if direct else rows.take(np.arange(len(rows))[::-1]))
    plain = open_orders(source)
    surveyed = open_orders(source, survey=True)
    asked = open_orders(source)
    asked.survey()

    before = list(surveyed.accounts), list(surveyed.symbols)
    columns_of(plain)

    assert (
        before
        == (list(plain.accounts), list(plain.symbols))
        == (list(asked.accounts), list(asked.symbols))
    )


def test_two_threads_give_the_rows_of_one(tmp_path: Path) -> None:
    source = parquet(tmp_path, table(5000).take(np.arange(5000)[::-1]))

    assert columns_of(open_orders(source, threads=2)) == columns_of(open_orders(source))


def test_stream_can_be_read_again(tmp_path: Path) -> None:
    stream = open_orders(parquet(tmp_path, table(size=[0.0] + [1.0] * 499)))

    assert columns_of(stream) == columns_of(stream)
    assert stream.rejects.total == 1


def test_names_in_dictionaries_and_new_names_late_in_the_file(tmp_path: Path) -> None:
    accounts = pa.array(["z"] * 400 + ["y"] * 50 + ["x"] * 50).dictionary_encode()
    stream = open_orders(parquet(tmp_path, table(account=accounts)), batch_rows=64)

    assert columns_of(stream)["account"] == ["z"] * 400 + ["y"] * 50 + ["x"] * 50
    assert list(stream.accounts) == ["z", "y", "x"]


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        (["1700000000", "1700000001"], "seconds"),
        (["1700000000000", "1700000001000"], "milliseconds"),
        (["1700000000000000", "1700000001000000"], "microseconds"),
        (["1700000000000000000", "1700000001000000000"], "nanoseconds"),
        (["1700000000.000", "1700000001.0"], "seconds"),
        (["2023-11-14T22:13:20Z", "2023-11-14T22:13:21.000000000Z"], ""),
        (["2023-11-14 22:13:20", "2023-11-15T00:13:21+02:00"], ""),
    ],
)
def test_times_in_text_of_any_unit(tmp_path: Path, times: list[str], unit: str) -> None:
    text = "ts,symbol,side,size\n" + "".join(f"{one},A,buy,1\n" for one in times)

    stream = open_orders(saved(tmp_path, text))

    assert columns_of(stream)["ts"] == [START, START + 1_000_000_000]
    said = [one for one in stream.assumptions if "by their magnitude" in one]
    assert said == (
        [f"whole-number times are {unit} since 1970, by their magnitude"] if unit else []
    )


@pytest.mark.parametrize(
    "times",
    [
        pa.array([START // 10**9, START // 10**9 + 1]),
        pa.array([START // 10**6, START // 10**6 + 1000]),
        pa.array([START, START + 10**9], pa.timestamp("ns")),
        pa.array([START // 1000, START // 1000 + 10**6], pa.timestamp("us", tz="Europe/Berlin")),
        pa.array([START // 10**9, START // 10**9 + 1], pa.timestamp("s", tz="UTC")),
    ],
)
@pytest.mark.parametrize("direct", [True, False])
def test_times_in_parquet_of_any_type(tmp_path: Path, times: pa.Array, direct: bool) -> None:
    rows = pa.table({"ts": times, "symbol": ["A", "A"], "side": ["buy", "buy"], "size": [1.0, 2.0]})
    stream = open_orders(parquet(tmp_path, rows if direct else rows.take([1, 0])))

    assert columns_of(stream)["ts"] == [START, START + 10**9]
    assert stream.direct is direct


def test_nanoseconds_in_text_are_exact(tmp_path: Path) -> None:
    text = "ts,symbol,side,size\n2024-08-08T23:54:14.087896568+00:00,A,buy,1\n"

    assert columns_of(open_orders(saved(tmp_path, text)))["ts"] == [1723161254087896568]


def test_whole_numbers_of_two_units_are_read_row_by_row_and_said(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "ts": [1_700_000_000, 1_700_000_001_000],
            "symbol": ["A"] * 2,
            "side": ["buy"] * 2,
            "size": [1.0] * 2,
        }
    )
    stream = open_orders(parquet(tmp_path, rows))

    assert columns_of(stream)["ts"] == [START, START + 10**9]
    assert (
        "whole-number times are seconds and milliseconds since 1970, by their magnitude"
        in stream.assumptions
    )


BAD_ROWS = {
    "no usable time": {"ts": None},
    "no account": {"account": ""},
    "no symbol": {"symbol": None},
    "side is neither buy nor sell": {"side": "hold"},
    "unknown order type": {"type": "iceberg"},
    "no size": {"size": None},
    "size is not finite": {"size": float("inf")},
    "size is not above zero": {"size": -1.0},
}


@pytest.mark.parametrize("direct", [True, False])
def test_rows_that_cannot_be_replayed_are_counted_and_listed(tmp_path: Path, direct: bool) -> None:
    good = {
        "order_id": "g",
        "account": "a",
        "symbol": "A",
        "side": "buy",
        "type": "limit",
        "size": 1.0,
    }
    rows = []
    for place, change in enumerate([{}, *BAD_ROWS.values(), {"size": float("nan")}, {}]):
        rows.append({"ts": START + place, **good, "order_id": f"o{place}", "price": 2.0, **change})
    whole = pa.Table.from_pylist(rows)
    if not direct:
        # A time in the past, of a row that is good: the file is no longer in order.
        whole = pa.concat_tables(
            [whole, pa.Table.from_pylist([{**rows[0], "order_id": "x", "ts": START - 1}])]
        )
    stream = open_orders(parquet(tmp_path, whole))

    orders = columns_of(stream)

    assert stream.direct is direct
    assert orders["order_id"] == (["o0", "o10"] if direct else ["x", "o0", "o10"])
    expected = dict.fromkeys(BAD_ROWS, 1)
    expected["size is not finite"] = 2
    assert stream.rejects.counts == expected
    listed = {one.reason: one for one in reversed(stream.rejects.examples)}
    assert (
        listed["side is neither buy nor sell"].row,
        listed["side is neither buy nor sell"].detail,
    ) == (5, "hold")
    assert listed["no usable time"].order_id == "o1"


def test_text_that_is_no_number_is_a_reject_and_not_a_missing_value(tmp_path: Path) -> None:
    text = (
        CSV.replace("100.5", "cheap")
        .replace("true", "perhaps")
        .replace("2024-01-01T00:00:05Z", "later")
    )

    stream = open_orders(saved(tmp_path, text))

    assert columns_of(stream) == {}
    assert stream.rejects.counts == {
        "price is not a number": 1,
        "reduce_only is neither true nor false": 1,
        "end_ts is not a time": 1,
    }


def test_examples_are_bounded_and_counts_are_not(tmp_path: Path) -> None:
    stream = open_orders(parquet(tmp_path, table(size=[0.0] * 500)), reject_limit=3)

    assert columns_of(stream) == {}
    assert stream.rejects.counts == {"size is not above zero": 500}
    assert [one.row for one in stream.rejects.examples] == [1, 2, 3]
    reasons = stream.rejects.as_dict()
    assert reasons["size is not above zero"]["count"] == 500


@pytest.mark.parametrize("ids", [["a", "b", "a"], [1, 2, 1]])
def test_the_first_order_of_an_id_counts(tmp_path: Path, ids: list[Any]) -> None:
    rows = pa.table(
        {
            "ts": [START, START + 1, START + 2],
            "order_id": ids,
            "symbol": ["A"] * 3,
            "side": ["buy"] * 3,
            "size": [1.0, 2.0, 3.0],
        }
    )
    stream = open_orders(parquet(tmp_path, rows))

    assert columns_of(stream)["size"] == [1.0, 2.0]
    assert stream.rejects.counts == {"duplicate order id": 1}


def test_missing_columns_get_defaults_that_are_said(tmp_path: Path) -> None:
    for source in (
        saved(tmp_path, "ts,symbol,side,size\n2024-01-01,A,buy,1\n"),
        parquet(
            tmp_path, pa.table({"ts": [START], "symbol": ["A"], "side": ["buy"], "size": [1.0]})
        ),
    ):
        stream = open_orders(source)
        orders = columns_of(stream)

        assert (orders["order_id"], orders["account"], orders["strategy"]) == (
            ["row-1"],
            ["main"],
            [""],
        )
        assert (orders["type"], orders["price"], orders["reduce_only"]) == (["market"], [None], [0])
        assert "orders have no account: it is `main`" in stream.assumptions
        assert "orders have no strategy: it is empty" in stream.assumptions


def test_whole_number_ids_stay_whole_numbers(tmp_path: Path) -> None:
    stream = open_orders(parquet(tmp_path, table(order_id=list(range(500)))))

    assert stream.order_id_type == pa.int64()
    assert columns_of(stream)["order_id"] == list(range(500))


def test_columns_that_are_not_used_are_said(tmp_path: Path) -> None:
    stream = open_orders(parquet(tmp_path, table(trader=["x"] * 500)))

    assert "columns of orders not used: trader" in stream.assumptions


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_missing_required_column_is_an_error_that_lists_what_is_there(
    tmp_path: Path, kind: str
) -> None:
    rows = pa.table({"ts": [START], "symbl": ["A"], "side": ["buy"], "size": [1.0]})
    source = parquet(tmp_path, rows)
    if kind == "csv":
        source = saved(tmp_path, "ts,symbl,side,size\n1,A,buy,1\n")

    with pytest.raises(InputError, match="no column `symbol` for orders, did you mean `symbl`"):
        open_orders(source)


def test_several_files_are_one_source(tmp_path: Path) -> None:
    rows = table(300)
    parquet(tmp_path, rows.slice(0, 100), "part-1.parquet")
    parquet(tmp_path, rows.slice(100), "part-2.parquet")
    stream = open_orders(str(tmp_path / "part-*.parquet"))

    orders = columns_of(stream)

    assert stream.direct
    assert orders["order_id"] == [f"o{place}" for place in range(300)]
    assert orders["row"] == list(range(1, 301))


def test_files_that_are_not_in_order_of_their_names_are_sorted(tmp_path: Path) -> None:
    rows = table(300)
    parquet(tmp_path, rows.slice(0, 100), "part-2.parquet")
    parquet(tmp_path, rows.slice(100), "part-1.parquet")
    stream = open_orders(str(tmp_path / "part-*.parquet"))

    assert not stream.direct
    assert columns_of(stream)["order_id"] == [f"o{place}" for place in range(300)]


def test_sorting_that_spills_keeps_the_order(tmp_path: Path) -> None:
    count = 300_000
    rows = table(count)
    order = np.random.default_rng(2).permutation(count)
    stream = open_orders(parquet(tmp_path, rows.take(order), group=50_000), memory_mb=40)

    ids = [one for batch in stream for one in batch.order_id.to_pylist()]

    assert ids == [f"o{place}" for place in range(count)]


def test_too_little_memory_is_an_input_error_and_leaves_nothing(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = parquet(tmp_path, table(50_000).take(np.arange(50_000)[::-1]), group=50_000)

    with pytest.raises(InputError, match=r"could not be prepared|cannot be read"):
        open_orders(source, memory_mb=1, scratch=scratch)

    gc.collect()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing.parquet", "there is no file"),
        ("*.nothing", "no file matches"),
        (".", "is a directory"),
        ("https://example.com/x.parquet", "is not a local file"),
        ("s3://bucket/x.parquet", "is not a local file"),
        ("", "is empty"),
        ("/dev/null", "is not a plain file"),
        ("COPY (SELECT 1) TO 'x.csv'", "there is no file"),
        ("SELECT 1; DROP TABLE x", "only one SELECT"),
        ("WITH x AS (SELECT 1) DELETE FROM x", "cannot be used"),
        ("SELECT * FROM read_text('/etc/passwd')", "`read_text` may not be used"),
        ("SELECT * FROM glob('*')", "`glob` may not be used"),
        ("SELECT sleep_ms(100000) AS ts", "`sleep_ms` may not be used"),
        ("SELECT * FROM read_csv('a' || '.csv')", "needs its file written out"),
        ("SELECT * FROM 'nothing.parquet'", "there is no file"),
        ("SELECT $1", "parameter"),
        ("SELECT ts FROM", "syntax error"),
    ],
)
def test_source_that_cannot_be_used_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match=message):
        open_orders(source)

    assert list(tmp_path.iterdir()) == []


def test_near_file_name_is_suggested(tmp_path: Path) -> None:
    parquet(tmp_path, table(3))

    with pytest.raises(InputError, match=r"did you mean `orders\.parquet`"):
        open_orders(str(tmp_path / "order.parquet"))


def test_select_reads_relative_files_and_globs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parquet(tmp_path, table(10), "one.parquet")
    for sql in (
        "SELECT * FROM 'one.parquet'",
        "FROM read_parquet(['o*.parquet'])",
        "WITH x AS (FROM 'one.parquet') SELECT * FROM x",
    ):
        assert len(columns_of(open_orders(sql))["ts"]) == 10


def test_broken_files_are_input_errors(tmp_path: Path) -> None:
    cut = Path(parquet(tmp_path, table()))
    cut.write_bytes(cut.read_bytes()[:-50])
    for source in (
        str(cut),
        saved(tmp_path, "{not json", "x.json"),
        saved(tmp_path, "", "empty.csv"),
    ):
        with pytest.raises(InputError, match=r"cannot be read|no column"):
            open_orders(source)


def test_format_that_the_name_does_not_tell(tmp_path: Path) -> None:
    os.rename(parquet(tmp_path, table(5)), tmp_path / "export")
    assert len(columns_of(open_orders(str(tmp_path / "export")))["ts"]) == 5

    with pytest.raises(InputError, match="cannot tell the format"):
        open_orders(saved(tmp_path, CSV, "orders.dat"))


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
    assert found["last"] == [1, 0, 1]
    assert found["size"] == [0.1, 0.1, 0.2]
    assert found["fee"] == [0.0, 0.2, 0.1]
    assert found["row"] == [3, 2, 1]
    assert columns_of(open_fills(fills, orders=orders)) == found


def test_marks_take_price_for_last_and_need_some_price(tmp_path: Path) -> None:
    text = "ts,symbol,bid,ask,price\n2024-01-02,A,1,2,1.5\n2024-01-01,B,,,3\n2024-01-03,C,,,\n"
    stream = open_marks(saved(tmp_path, text))

    marks = columns_of(stream)

    assert (marks["symbol"], marks["last"], marks["bid"]) == (["B", "A"], [3.0, 1.5], [None, 1.0])
    assert stream.rejects.counts == {"no price at all": 1}


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


def test_describe_says_rows_and_span(tmp_path: Path) -> None:
    facts = describe(parquet(tmp_path, table(10)))

    assert (facts.rows, facts.first_ts, facts.format) == (10, START, "parquet")
    assert facts.last_ts > START
    assert facts.bytes > 0


def test_scratch_files_go_with_the_inputs(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = saved(tmp_path, CSV)
    with open_inputs(source, scratch=scratch) as inputs:
        assert list(scratch.iterdir())
        assert (next(scratch.iterdir()).stat().st_mode & 0o777) == 0o700
    assert list(scratch.iterdir()) == []

    with pytest.raises(InputError):
        open_inputs(saved(tmp_path, "a,b\n1,2\n", "bad.csv"), scratch=scratch)
    assert list(scratch.iterdir()) == []

    stream = open_orders(source, scratch=scratch)
    assert len(columns_of(stream)["ts"]) == 3
    del inputs, stream
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_options_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`batch_rows` must be at least 1"):
        open_orders(saved(tmp_path, CSV), batch_rows=0)


@pytest.mark.security
def test_locked_database_reaches_its_own_files_alone(tmp_path: Path) -> None:
    mine = saved(tmp_path, CSV)
    other = saved(tmp_path, CSV, "other.csv")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    secret = pa.table({"a": [1]})
    with locked_database(scratch, [mine]) as database:
        assert database.execute(f"SELECT count(*) FROM '{mine}'").fetchone() == (3,)
        for statement in (
            f"SELECT * FROM '{other}'",
            "SELECT * FROM read_text('/etc/passwd')",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/x.db'",
            "INSTALL httpfs",
            "SET memory_limit='10GB'",
            "SET enable_external_access=true",
            "SELECT * FROM secret",
            "SELECT * FROM 'https://example.com/x.csv'",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(statement)
    assert secret.num_rows == 1
    assert not (tmp_path / "out.csv").exists()


def test_file_that_changes_between_two_readings_is_noticed(tmp_path: Path) -> None:
    rows = table()
    stream = open_orders(parquet(tmp_path, rows))
    assert stream.direct
    parquet(tmp_path, rows.take(np.arange(len(rows))[::-1]))

    with pytest.raises(InputError, match="changed while it was being read"):
        columns_of(stream)


def test_file_that_vanishes_is_an_input_error(tmp_path: Path) -> None:
    stream = open_orders(parquet(tmp_path, table()))
    (tmp_path / "orders.parquet").unlink()

    with pytest.raises(InputError, match="cannot be read as Parquet"):
        columns_of(stream)
