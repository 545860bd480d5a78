"""Where a source lies: several files, spilling, what cannot be read and why."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from replay.source_orders import CSV, parquet, saved, table
from replay.stream_rows import columns_of
from ringfence.errors import InputError
from ringfence.replay.sources import open_orders

pytestmark = pytest.mark.unit


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
        ("SELECT 1; DROP TABLE x", "only a single SELECT is taken"),
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
        with pytest.raises(InputError, match=r"cannot be read|no column|is empty"):
            open_orders(source)


def test_format_that_the_name_does_not_tell(tmp_path: Path) -> None:
    os.rename(parquet(tmp_path, table(5)), tmp_path / "export")
    assert len(columns_of(open_orders(str(tmp_path / "export")))["ts"]) == 5

    with pytest.raises(InputError, match="cannot tell the format"):
        open_orders(saved(tmp_path, CSV, "orders.dat"))
