"""Columns of numbers with gaps: bit for bit what went in, whichever way they were encoded."""

import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from ringfence.replay.page_chunks import BLOCK, Scratch, Words, coded, numbers, sparse
from ringfence.replay.parquet_pages import PageFile

pytestmark = pytest.mark.unit

NAN, INF = np.nan, np.inf
RNG = np.random.default_rng(7)
HOLES = np.where(RNG.random(1000) < 0.4, NAN, 1.0)


def read_back(tmp_path, kind, chunks):
    path = tmp_path / "column.parquet"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    pages = PageFile(handle, [("a", kind)], {})
    for chunk in chunks:
        pages.group([chunk])
    pages.close()
    os.close(handle)
    column = pq.read_table(path)["a"]
    return column, pq.ParquetFile(path).metadata.row_group(0).column(0)


def in_blocks(values, gap):
    rest = -len(values) % BLOCK
    return np.concatenate([values, np.full(rest, gap, values.dtype)])


@pytest.mark.parametrize(
    "values",
    [
        np.full(200, 5.0),
        np.full(200, NAN),
        np.array([1.0]),
        np.array([NAN, -0.0, 0.0, NAN, 0.0]),
        np.arange(1000.0),
        np.arange(1000.0) * HOLES,
        np.arange(1000) % 256 * HOLES,
        np.arange(1000) % 257 * HOLES,
        np.r_[np.full(500, NAN), np.full(300, 2.0), np.arange(900.0)],
        np.r_[np.full(500, 3.0), NAN, np.full(300, 4.0)],
        np.r_[np.arange(640.0), np.full(64, NAN), INF, -INF, 1e-310],
        RNG.normal(size=1000) * HOLES,
    ],
    ids=range(12),
)
def test_numbers_come_back_to_the_bit(tmp_path, values):
    chunk = numbers(in_blocks(values, NAN), len(values), Scratch(len(values)))
    column, about = read_back(tmp_path, "double", [chunk])

    known = values == values
    assert column.is_valid().to_pylist() == known.tolist()
    found = column.drop_null().combine_chunks().to_numpy(zero_copy_only=False)
    assert found.view(np.int64).tolist() == values[known].view(np.int64).tolist()
    assert about.statistics.null_count == (~known).sum()


def test_few_numbers_stand_behind_a_dictionary(tmp_path):
    few, many = np.arange(4096) % 200.0, np.arange(4096.0)
    scratch = Scratch(4096)
    small, large = (
        read_back(tmp_path, "double", [numbers(values, 4096, scratch)])[1] for values in (few, many)
    )

    assert "RLE_DICTIONARY" in small.encodings
    assert small.total_uncompressed_size < 4096 + 2500
    assert "RLE_DICTIONARY" not in large.encodings


def test_a_difference_is_taken_on_the_way_and_is_null_where_there_is_none(tmp_path):
    values = in_blocks(np.array([5.0, INF, NAN, 3.0, 1.0]), NAN)
    minus = in_blocks(np.array([2.0, INF, 1.0, NAN, 1.0]), NAN)
    chunk = numbers(values, 5, Scratch(5), minus=minus)

    assert read_back(tmp_path, "double", [chunk])[0].to_pylist() == [3.0, None, None, None, 0.0]


@pytest.mark.parametrize("entries", [3, 256, 257, 5000])
def test_codes_with_gaps_come_back_as_words(tmp_path, entries):
    words = [f"w{place}" for place in range(entries)]
    codes = RNG.integers(-1, entries, 777).astype(np.int16)
    codes[0] = codes[-1] = -1
    expected = [words[code] if code >= 0 else None for code in codes]
    scratch = Scratch(777)
    known = Words(words)

    some = sparse(in_blocks(codes, -1), 777, known, scratch)
    assert read_back(tmp_path, "text", [some])[0].to_pylist() == expected
    assert read_back(tmp_path, "text", [coded(codes, known)])[0].to_pylist() == expected


def test_a_write_that_is_cut_short_goes_on(tmp_path, monkeypatch):
    values = np.arange(1000.0)
    whole = os.writev
    monkeypatch.setattr(os, "writev", lambda handle, pieces: whole(handle, [pieces[0][:3]]))
    column, _ = read_back(
        tmp_path, "double", [numbers(in_blocks(values, NAN), 1000, Scratch(1000))]
    )

    assert column.to_pylist() == values.tolist()
