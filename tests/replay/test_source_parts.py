"""Parts of a file looked at side by side: what is found is what one look from its first row to its last finds."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.source_orders import parquet, table
from ringfence.errors import InputError
from ringfence.replay import parquet_files
from ringfence.replay.codes import NameTable
from ringfence.replay.parquet_files import canonical_layout, learn_names
from ringfence.replay.sources import open_orders

pytestmark = pytest.mark.unit

SECONDS = 1_700_000_000
TIMES = st.lists(
    st.one_of(st.integers(0, 30).map(lambda late: SECONDS + late), st.none()),
    min_size=1,
    max_size=24,
)


@pytest.fixture(autouse=True, scope="module")
def few_rows_are_worth_it():
    before, parquet_files._WORTH_PARTS = parquet_files._WORTH_PARTS, 0
    yield
    parquet_files._WORTH_PARTS = before


def found(path, threads):
    """Whether times never go back, their unit, and the names."""
    layout = canonical_layout("orders", [str(path)])
    tables = {name: NameTable() for name in ("account", "symbol")}
    in_order = learn_names(layout, tables, with_times=True, batch_rows=4, threads=threads)
    # Of a file that cannot be streamed nothing else is used.
    return in_order and (
        layout.time_unit,
        layout.first_ns,
        *(list(each) for each in tables.values()),
    )


def written(path, times, names, rows_of_a_group):
    rows = pa.table(
        {
            "ts": pa.array(times, times.type if isinstance(times, pa.Array) else pa.int64()),
            "account": pa.array(names, pa.string()),
            "symbol": pa.array(names[::-1], pa.string()),
            "side": ["buy"] * len(names),
            "size": [1.0] * len(names),
        }
    )
    pq.write_table(rows, path, row_group_size=rows_of_a_group)
    return path


@given(
    times=TIMES,
    sort=st.booleans(),
    later_in_ms=st.integers(0, 24),
    names=st.lists(st.sampled_from([*"abcdef", "", None]), min_size=24, max_size=24),
    rows_of_a_group=st.integers(1, 5),
    threads=st.integers(2, 4),
)
def test_parts_find_what_one_look_finds(
    tmp_path_factory, times, sort, later_in_ms, names, rows_of_a_group, threads
):
    if sort:
        known = iter(sorted(each for each in times if each is not None))
        times = [None if each is None else next(known) for each in times]
    times = [
        each * 1000 if each is not None and place >= later_in_ms > 0 else each
        for place, each in enumerate(times)
    ]
    path = tmp_path_factory.mktemp("parts") / "orders.parquet"
    written(path, times, names[: len(times)], rows_of_a_group)

    assert found(path, threads) == found(path, 1)


def test_a_time_that_goes_back_between_two_parts_is_seen(tmp_path: Path) -> None:
    times = [SECONDS + late for late in (5, 6, 7, 8, 1, 2, 3, 4)]
    path = written(tmp_path / "orders.parquet", times, ["a"] * 8, 4)

    assert found(path, 2) is False


def test_times_without_a_unit_of_their_own(tmp_path: Path) -> None:
    times = pa.array([SECONDS + late for late in range(8)], pa.timestamp("s"))
    path = written(tmp_path / "orders.parquet", times, list("abcdefgh"), 3)

    assert (
        found(path, 3)
        == found(path, 1)
        == ("", SECONDS * 10**9, list("abcdefgh"), list("hgfedcba"))
    )


def test_several_files_and_names_that_come_late(tmp_path: Path) -> None:
    rows = table(5000, account=["z"] * 2600 + ["y"] * 1200 + ["x"] * 1200)
    for number in range(4):
        part = rows.slice(number * 1250, 1250)
        pq.write_table(part, tmp_path / f"orders-{number}.parquet", row_group_size=500)

    stream = open_orders(str(tmp_path / "orders-*.parquet"), survey=True, threads=2)

    assert stream.direct
    assert list(stream.accounts) == ["z", "y", "x"]


def test_a_file_that_is_broken_in_its_second_half_is_an_error(tmp_path: Path) -> None:
    path = Path(parquet(tmp_path, table(5000)))
    content = bytearray(path.read_bytes())
    layout = canonical_layout("orders", [str(path)])
    assert layout is not None
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[footer // 2 : footer] = bytes(footer - footer // 2)
    path.write_bytes(content)

    for threads in (1, 2):
        with pytest.raises(InputError, match="cannot be read as Parquet"):
            learn_names(
                layout,
                {"account": NameTable()},
                with_times=True,
                batch_rows=100,
                threads=threads,
            )
