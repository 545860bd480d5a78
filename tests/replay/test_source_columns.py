"""A column that is read is in a source once, and in all of its files: nothing of it is left out in silence."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from replay.source_orders import START, parquet, saved
from replay.stream_rows import columns_of
from ringfence.errors import InputError
from ringfence.replay.mapping import load_mapping
from ringfence.replay.sources import open_fills, open_marks, open_orders

pytestmark = pytest.mark.unit

TWICE = "ts,symbol,side,size,note,Size\n2024-01-01T00:00:00Z,A,buy,1,x,2\n"
MAPPING = """apiVersion: ringfence/v1
kind: Mapping
metadata: {{name: mine, version: 1.0.0, description: Mine.}}
spec:
  reads: {{{reads}}}
  orders: {{ts: ts, symbol: symbol, side: side, size: CAST({size} AS DOUBLE)}}
"""


def mapped(folder: Path, size: str, reads: str = "") -> str:
    return saved(folder, MAPPING.format(size=size, reads=reads), "mine.yaml")


@pytest.mark.parametrize(
    "text",
    [
        TWICE,
        TWICE.replace(",", ";"),
        "\ufeff" + TWICE.replace("\n", "\r\n"),
        TWICE.splitlines()[0] + "\n",
    ],
)
def test_a_csv_with_a_column_twice_is_refused_with_both_places(tmp_path: Path, text: str) -> None:
    orders = saved(tmp_path, text)

    with pytest.raises(InputError, match="has `size` twice, as columns 4 and 6") as raised:
        open_orders(orders)
    assert f"`{orders}`" in str(raised.value)
    assert "size_1" in raised.value.fix


def test_a_packed_csv_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "orders.csv.gz"
    packed.write_bytes(gzip.compress(TWICE.encode()))

    with pytest.raises(InputError, match="has `size` twice, as columns 4 and 6"):
        open_orders(str(packed))


def test_every_source_is_looked_at(tmp_path: Path) -> None:
    marks = saved(tmp_path, "ts,price,symbol,price\n2024-01-01T00:00:00Z,1,A,2\n", "marks.csv")
    fills = saved(
        tmp_path, "ts,order_id,fee,size,price,fee\n2024-01-01T00:00:00Z,1,0,1,1,0\n", "fills.csv"
    )
    orders = saved(tmp_path, TWICE.replace("Size", "more"))

    with pytest.raises(InputError, match="has `price` twice, as columns 2 and 4"):
        open_marks(marks)
    with pytest.raises(InputError, match="has `fee` twice, as columns 3 and 6"):
        open_fills(fills, orders=orders)


def test_a_parquet_file_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    columns = [[START], ["A"], ["buy"], [1.0], [2.0]]
    names = ["ts", "symbol", "side", "size", "SIZE"]
    orders = parquet(tmp_path, pa.table([pa.array(each) for each in columns], names=names))

    with pytest.raises(InputError, match="has `size` twice, as columns 4 and 5"):
        open_orders(orders)


def test_a_select_is_held_to_what_it_yields(tmp_path: Path) -> None:
    orders = saved(tmp_path, TWICE)

    with pytest.raises(InputError, match=r"SELECT yields `size` twice, as columns 4 and 5.*AS"):
        open_orders(f"SELECT ts, symbol, side, size, size_1 AS size FROM '{orders}'")
    with pytest.raises(InputError, match="has `size` twice, as columns 4 and 6"):
        open_orders(f"SELECT * FROM '{orders}' WHERE symbol = 'A'")
    chosen = open_orders(f"SELECT ts, symbol, side, size_1 AS size FROM '{orders}'")
    assert columns_of(chosen)["size"] == [2.0]


def test_a_mapping_that_reads_such_a_column_does_not_fit(tmp_path: Path) -> None:
    orders = saved(tmp_path, TWICE)

    with pytest.raises(InputError, match="has `size` twice, as columns 4 and 6"):
        open_orders(orders, load_mapping(mapped(tmp_path, "Size")))
    named = mapped(tmp_path, "second", "names: [ts, symbol, side, first, note, second], skip: 1")
    assert columns_of(open_orders(orders, load_mapping(named)))["size"] == [2.0]


def test_a_column_that_nobody_reads_may_occur_twice(tmp_path: Path) -> None:
    text = "ts,symbol,side,size,note,note\n2024-01-01T00:00:00Z,A,buy,1,x,y\n"
    orders = saved(tmp_path, text)

    assert columns_of(open_orders(orders))["size"] == [1.0]
    assert columns_of(open_orders(orders, load_mapping(mapped(tmp_path, "size"))))["size"] == [1.0]


def test_a_name_that_ends_like_a_second_column_is_no_second_column(tmp_path: Path) -> None:
    text = "ts,symbol,side,size,size_1\n2024-01-01T00:00:00Z,A,buy,1,2\n"

    assert columns_of(open_orders(saved(tmp_path, text)))["size"] == [1.0]


ROW = {"ts": "2024-01-01T00:00:00Z", "symbol": "A", "side": "buy", "size": "1"}


def files(folder: Path, ending: str, *rows: dict[str, str]) -> str:
    for place, row in enumerate(rows, 1):
        name = f"part{place}.{ending}"
        if ending == "csv":
            saved(folder, f"{','.join(row)}\n{','.join(row.values())}\n", name)
        else:
            parquet(folder, pa.table({key: [value] for key, value in row.items()}), name)
    return str(folder / f"part*.{ending}")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("first", [True, False])
def test_a_column_that_only_some_files_have_is_not_left_out(
    tmp_path: Path, ending: str, first: bool
) -> None:
    more = {**ROW, "account": "beta"}
    pattern = files(tmp_path, ending, *((more, ROW) if first else (ROW, more)))

    with pytest.raises(InputError, match="has a column `account` and `") as raised:
        open_orders(pattern)
    assert (
        str(tmp_path / f"part{1 if first else 2}.{ending}") in str(raised.value).split("has a")[0]
    )
    assert "union_by_name" in raised.value.fix


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files_may_differ_in_the_order_of_their_columns_and_in_what_nobody_reads(
    tmp_path: Path, ending: str
) -> None:
    other = {**dict(reversed(ROW.items())), "note": "x"}

    assert columns_of(open_orders(files(tmp_path, ending, ROW, other)))["size"] == [1.0, 1.0]


def test_files_of_other_columns_can_be_put_together_by_a_select(tmp_path: Path) -> None:
    pattern = files(tmp_path, "csv", ROW, {**ROW, "account": "beta"})
    text = (
        "SELECT * REPLACE (coalesce(account, 'main') AS account) "
        f"FROM read_csv('{pattern}', union_by_name=true)"
    )
    stream = open_orders(text)

    assert columns_of(stream)["size"] == [1.0, 1.0]
