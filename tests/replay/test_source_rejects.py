"""Rows and columns that cannot be used: counted, listed and said, never dropped in silence."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from replay.source_orders import CSV, START, parquet, saved, table
from replay.stream_rows import columns_of
from ringfence.errors import InputError
from ringfence.replay.sources import open_orders

pytestmark = pytest.mark.unit


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


HEAD = "ts,symbol,side,size\n"
ROW = "2024-01-01T00:00:00Z,A/USD,buy,1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (
            HEAD + ROW + "2024-01-01T00:00:00Z,A/U",
            "line 3: it has 2 values where the first line has 4",
        ),
        (HEAD + ROW + "a,b,c,d,e\n" + ROW, "line 3: it has 5 values where the first line has 4"),
        (HEAD + ROW * 21_000 + "a,b\n", "line 21002: it has 2 values where the first line has 4"),
        ((HEAD + ROW + "a;b\n").replace(",", ";"), "line 3: it has 2 values"),
        (HEAD + ROW + "a,b,c,d,e\n", "line 3: it has 5 values where the first line has 4"),
        (HEAD + "a,b,c,d,e\n" + ROW * 2, "line 2: it has 5 values where the first line has 4"),
        (
            HEAD + ROW.replace("buy", "buy,x") * 2,
            "line 2: it has 5 values where the first line has",
        ),
        ("words\nalone\n", "has no column `ts`"),
        ("a,b\n1,2\n", "has no column `ts`"),
        ("\n\n", "is empty"),
    ],
)
def test_a_csv_that_cannot_be_read_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        open_orders(saved(tmp_path, text))

    assert message in raised.value.message


def test_a_csv_in_another_encoding_says_so(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes((HEAD + ROW.replace("A", "\u00c4")).encode("latin-1"))

    with pytest.raises(InputError, match="it is not UTF-8") as raised:
        open_orders(str(path))
    assert raised.value.fix.startswith("save it as UTF-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\0" * 2000, "has no column `ts`"), (bytes(range(128, 256)) * 9, "cannot be read")],
)
def test_what_is_no_csv_at_all_is_told_without_its_bytes(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(content)

    with pytest.raises(InputError, match=message) as raised:
        open_orders(str(path))
    assert raised.value.message.isprintable()
    assert len(raised.value.message) < 400


@pytest.mark.parametrize("text", ["[]", "", "5"])
def test_json_without_objects_says_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="holds no objects"):
        open_orders(saved(tmp_path, text, "orders.json"))


def test_a_decimal_comma_is_no_number_and_a_mapping_reads_it(tmp_path: Path) -> None:
    text = "ts;symbol;side;size;price\n2024-01-01T00:00:00Z;A;buy;0,5;1.000,25\n"
    orders = saved(tmp_path, text)
    mapping = saved(
        tmp_path,
        "apiVersion: ringfence/v1\nkind: Mapping\nmetadata: {name: m, version: 1.0.0}\n"
        "spec:\n  orders:\n    ts: ts\n    symbol: symbol\n    side: side\n"
        "    size: CAST(replace(size, ',', '.') AS DOUBLE)\n"
        "    price: CAST(replace(replace(price, '.', ''), ',', '.') AS DOUBLE)\n",
        "mine.yaml",
    )
    stream = open_orders(orders)

    assert columns_of(stream) == {}
    assert stream.rejects.counts == {"size is not a number": 1}
    assert stream.rejects.examples[0].detail == "0,5"
    read = columns_of(open_orders(orders, mapping))
    assert (read["size"], read["price"]) == ([0.5], [1000.25])
