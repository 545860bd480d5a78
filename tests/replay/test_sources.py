"""Sources of a dry run: every form gives the same rows, in batches of any size."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from replay.source_orders import CSV, parquet, saved, table
from replay.stream_rows import columns_of
from ringfence.replay.sources import open_orders

pytestmark = pytest.mark.unit


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
        "expired": [0, 0, 0],
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


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_name_that_looks_like_a_pattern_is_that_file_and_no_other(
    tmp_path: Path, form: str
) -> None:
    for name in ("orders[1]", "orders1", "a*b?", "aXbY"):
        row = {"ts": "2026-01-02", "order_id": name, "symbol": "A", "side": "buy", "size": 1}
        text = f"{','.join(row)}\n{','.join(map(str, row.values()))}\n"
        (tmp_path / f"{name}.{form}").write_text(text if form == "csv" else json.dumps(row))

    def ids(source: str) -> list[str]:
        stream = open_orders(str(tmp_path / source))
        found = columns_of(stream)["order_id"]
        assert stream.rejects.total == 0
        return sorted(found)

    assert ids(f"orders[1].{form}") == ["orders[1]"]
    assert ids(f"a*b?.{form}") == ["a*b?"]
    assert ids(f"orders*.{form}") == ["orders1", "orders[1]"]


def test_texts_of_json_stay_as_they_are_written(tmp_path: Path) -> None:
    rows = [
        {
            "ts": "2026-01-02T10:00:00.000000789Z",
            "order_id": "2026-01-01T00:00:00Z",
            "account": "007",
        },
        {
            "ts": "2026-01-02T10:00:00.000000001Z",
            "order_id": "2026-01-01T01:00:00+01:00",
            "account": 7,
        },
        {"ts": "2026-01-02T10:00:01Z", "order_id": 18446744073709551617, "account": "2026-01-01"},
        {"ts": 1767348002000, "order_id": 9007199254740993, "account": "x"},
    ]
    source = tmp_path / "orders.json"
    source.write_text(
        json.dumps([{"symbol": "BTC/USD", "side": "buy", "size": 0.1, **each} for each in rows])
    )

    orders = columns_of(stream := open_orders(str(source)))

    assert stream.rejects.total == 0
    assert [ts - 1767348000 * 10**9 for ts in orders["ts"]] == [1, 789, 10**9, 2 * 10**9]
    assert orders["account"] == ["7", "007", "2026-01-01", "x"]
    assert orders["order_id"] == [
        "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z", "18446744073709551617", "9007199254740993",
    ]  # fmt: skip


@pytest.mark.parametrize("mapped", [False, True])
def test_what_comes_late_in_json_is_read_as_it_is(tmp_path: Path, mapped: bool) -> None:
    # More rows than the database looks at by itself before it settles what a column holds.
    first = 20_500
    row = {"symbol": "A", "side": "buy", "size": 1, "price": None}
    lines = [json.dumps({"ts": 1767348000 + at, "account": "x", **row}) for at in range(first)]
    late = {
        "ts": 1767448000,
        "account": "y",
        **row,
        "size": 0.5,
        "price": 100.7,
        "order_id": "late",
    }
    source = tmp_path / "orders.ndjson"
    source.write_text("\n".join([*lines, json.dumps(late)]))
    mapping = tmp_path / "mapping.yaml"
    names = ("ts", "order_id", "account", "symbol", "side", "size", "price")
    mapping.write_text(
        "apiVersion: ringfence/v1\nkind: Mapping\nmetadata: {name: m, version: 1.0.0}\n"
        f"spec: {{orders: {{{', '.join(f'{name}: {name}' for name in names)}}}}}\n"
    )

    orders = columns_of(open_orders(str(source), str(mapping) if mapped else None))

    assert len(orders["ts"]) == first + 1
    assert orders["price"][0] is None
    last = {name: orders[name][-1] for name in names}
    assert last == {**late, "ts": 1767448000 * 10**9}
    assert orders["type"][-1] == "limit"


def test_a_date_of_json_in_no_known_order_of_day_and_month_is_no_time(tmp_path: Path) -> None:
    rows = [
        {"ts": f"{day}-01-2026 10:00:00", "symbol": "A", "side": "buy", "size": 1}
        for day in ("01", "13")
    ]
    source = tmp_path / "orders.json"
    source.write_text(json.dumps(rows))

    stream = open_orders(str(source))

    assert list(stream) == []
    assert stream.rejects.counts == {"no usable time": 2}


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
