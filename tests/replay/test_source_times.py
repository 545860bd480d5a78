"""Times in a source: any unit and type becomes nanoseconds, and the unit is said."""

from pathlib import Path

import pyarrow as pa
import pytest

from replay.source_orders import START, parquet, saved
from replay.stream_rows import columns_of
from ringfence.replay.sources import open_orders

pytestmark = pytest.mark.unit


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


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_day_written_as_a_whole_number_is_told_as_what_it_was_read(
    tmp_path: Path, form: str
) -> None:
    if form == "csv":
        source = saved(tmp_path, "ts,symbol,side,size\n20260105,A,buy,1\n")
    else:
        row = {"ts": [20260105], "symbol": ["A"], "side": ["buy"], "size": [1.0]}
        source = parquet(tmp_path, pa.table(row))

    assert (
        "whole-number times are seconds since 1970, by their magnitude: the first is 1970-08-23T11:48:25Z; write days as "
        "2026-01-31, for 20260131 is no date here"
    ) in open_orders(source).assumptions
