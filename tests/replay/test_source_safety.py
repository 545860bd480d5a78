"""What reading a source leaves behind and cannot reach."""

import gc
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from replay.source_orders import CSV, parquet, saved, table
from replay.stream_rows import columns_of
from ringfence.errors import InputError
from ringfence.replay.locked import locked_database
from ringfence.replay.sources import (
    open_inputs,
    open_orders,
)

pytestmark = pytest.mark.unit


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
