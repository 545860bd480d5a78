"""decisions.parquet: read by foreign readers, the same bytes for any batches, whole or not there."""

from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replay.decided_batches import CODES, COLUMNS, NAMES, decided, parts
from ringfence.errors import InputError
from ringfence.replay import results
from ringfence.replay.codes import NameTable
from ringfence.replay.decided import DECISIONS, OUTCOMES
from ringfence.replay.results import DecisionsWriter

pytestmark = pytest.mark.unit


def writer(path, text_ids=True, names=NAMES, columns=COLUMNS):
    return DecisionsWriter(
        path,
        columns=columns,
        codes=CODES,
        names=names,
        id_type=pa.string() if text_ids else pa.int64(),
        sha256="ab" * 32,
        currency="USDT",
        mode="propagated",
    )


def written(path, batches, **options):
    made = writer(path, **options)
    for batch in batches:
        made.write(batch)
    made.close()
    return path


def nulls(values):
    return [None if value != value else value for value in values.tolist()]


@pytest.mark.parametrize("text_ids", [True, False])
def test_pyarrow_reads_back_every_value(tmp_path, text_ids):
    batch = decided(3000, text_ids=text_ids)
    read = pq.read_table(written(tmp_path / "d.parquet", [batch], text_ids=text_ids))
    assert read.schema.field("ts").type == pa.timestamp("ns", "UTC")
    table = read.set_column(0, "ts", read["ts"].cast(pa.int64())).to_pydict()
    orders = batch.orders

    assert table["order_id"] == orders.order_id.to_pylist()
    assert table["ts"] == orders.ts.tolist()
    assert table["account"] == [NAMES["account"][code] for code in orders.account]
    assert table["side"] == ["buy" if side > 0 else "sell" for side in orders.side]
    assert table["decision"] == [DECISIONS[code] for code in batch.decision]
    assert table["code"] == [CODES[code] if code >= 0 else None for code in batch.code]
    assert table["gate"] == [COLUMNS[code].name if code >= 0 else None for code in batch.gate]
    assert table["asked"] == orders.size.tolist()
    assert table["price"] == nulls(orders.price)
    assert set(table["policy_set"]) == {"ab" * 32}
    for place, column in enumerate(COLUMNS):
        measure, limit = batch.measure[place], batch.limit[place]
        assert table[f"{column.name}.outcome"] == [OUTCOMES[code] for code in batch.outcome[place]]
        assert table[f"{column.name}.measure"] == nulls(measure)
        assert table[f"{column.name}.limit"] == nulls(limit)
        assert table[f"{column.name}.margin"] == nulls(limit - measure)


def test_what_is_left_of_a_least_is_what_is_above_it(tmp_path):
    batch = decided(3)
    batch.measure[3], batch.limit[3] = [1.0, 0.5, np.nan], [0.75, 0.75, np.nan]
    batch.outcome[3] = [OUTCOMES.index(each) for each in ("pass", "breach", "exempt")]
    columns = (*COLUMNS[:3], replace(COLUMNS[3], floors=True))

    table = pq.read_table(written(tmp_path / "d.parquet", [batch], columns=columns)).to_pydict()

    assert table["data-quality.margin"] == [0.25, -0.25, None]
    assert table["total-exposure.margin"] == nulls(batch.limit[0] - batch.measure[0])


def test_duckdb_reads_it_and_skips_nulls(tmp_path):
    batch = decided(3000)
    path = written(tmp_path / "d.parquet", [batch])

    found = duckdb.sql(
        f"""SELECT count(*), max("data-quality.measure"), count("data-quality.measure"),
        count(*) FILTER (decision = 'REJECT'), count(price) FROM '{path}'"""
    ).fetchall()[0]

    measure = batch.measure[3]
    assert found == (
        3000,
        np.nanmax(measure),
        (measure == measure).sum(),
        (batch.decision == 2).sum(),
        (batch.orders.price == batch.orders.price).sum(),
    )


def test_bytes_do_not_depend_on_the_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "GROUP_ROWS", 256)
    batch = decided(1111)
    whole = written(tmp_path / "whole.parquet", [batch]).read_bytes()

    assert pq.ParquetFile(tmp_path / "whole.parquet").num_row_groups == 5
    for size in (1, 100, 256, 1000):
        assert written(tmp_path / "p.parquet", parts(batch, size)).read_bytes() == whole


def test_large_tables_of_names_are_cut_to_what_a_group_uses(tmp_path):
    names = {**NAMES, "account": NameTable(f"account-{i}" for i in range(10_000))}
    batch = decided(500)
    batch.orders.account[:] = np.arange(500) * 17 % 9000
    path = written(tmp_path / "d.parquet", [batch], names=names)

    found = pq.read_table(path, columns=["account"])["account"].to_pylist()
    assert found == [f"account-{code}" for code in batch.orders.account]
    assert path.stat().st_size < 120_000


def test_metadata_names_policy_set_currency_mode_and_units(tmp_path):
    found = pq.read_schema(written(tmp_path / "d.parquet", [decided(3)])).metadata

    assert found[b"ringfence.policy_set"] == b"ab" * 32
    assert found[b"ringfence.currency"] == b"USDT"
    assert found[b"ringfence.mode"] == b"propagated"
    assert b'"data-quality": "duration"' in found[b"ringfence.units"]


def test_no_rows_make_an_empty_table(tmp_path):
    assert pq.read_table(written(tmp_path / "d.parquet", [])).num_rows == 0


def test_times_have_statistics_that_readers_can_skip_by(tmp_path):
    batch = decided(10)
    file = pq.ParquetFile(written(tmp_path / "d.parquet", [batch]))

    found = file.metadata.row_group(0).column(0).statistics
    assert found.has_min_max
    assert (found.min_raw, found.max_raw) == (batch.orders.ts[0], batch.orders.ts[-1])


def test_nothing_is_there_before_closing_nor_after_abandoning(tmp_path):
    made = writer(tmp_path / "d.parquet")
    made.write(decided(3))
    assert not (tmp_path / "d.parquet").exists()

    made.abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be written: no such file"):
        writer(tmp_path / "missing" / "d.parquet")
