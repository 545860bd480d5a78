"""Canonical Parquet as it lies on disk: is it ours to stream directly, is it in time order, its batches."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ringfence.errors import InputError
from ringfence.replay.codes import NameTable
from ringfence.replay.columns import KINDS, priced_by
from ringfence.replay.decode import NO_TIME, NameDecoder, TimeDecoder

__all__ = [
    "CHECKED_IDS",
    "Layout",
    "canonical_layout",
    "has_repeated_ids",
    "learn_names",
    "record_batches",
]

#: Up to this many orders a directly streamed file is checked for repeated ids.
CHECKED_IDS = 1_000_000
# From so many rows on parts are looked at side by side.
_WORTH_PARTS = 500_000
_WORDS = ("name", "side", "type", "book", "balance")


@dataclass(slots=True)
class Layout:
    """Parquet files that hold canonical columns.

    Attributes:
        files: Paths, in the order in which they are read.
        columns: Name in the file by canonical name.
        rows: Rows of all files.
        groups: Rows of each row group, file after file.
        words: Names in the file of columns that are decoded through their dictionaries.
        id_type: Arrow type of `order_id`, null where there is none.
        ignored: Columns of the files that are not used.
        time_unit, first_ns: Unit of whole-number times and the first of all times, once `learn_names` has seen them.
        naive_times: The times bear no zone.
    """

    files: tuple[str, ...]
    columns: dict[str, str]
    rows: int
    words: tuple[str, ...]
    id_type: pa.DataType = field(default_factory=pa.null)
    ignored: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    time_unit: str = ""
    first_ns: int = 0
    naive_times: bool = False


def canonical_layout(kind: str, files: Sequence[str]) -> Layout | None:
    """Return how to stream `files` directly as `kind`; None where they must be prepared first.

    Raises:
        InputError: a file is no Parquet file, or broken.
    """
    schemas = []
    rows = 0
    groups: list[int] = []
    nulls = 0
    for path in files:
        try:
            with pq.ParquetFile(path) as file:
                schemas.append(file.schema_arrow)
                rows += file.metadata.num_rows
                groups += [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
                nulls += _null_ids(file)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"`{path}` cannot be read as Parquet: {_short(error)}",
                "check that the file is whole",
            ) from None
    schema = schemas[0]
    if nulls or any(not other.equals(schema) for other in schemas[1:]):
        return None
    by_name = {name.lower(): name for name in schema.names}
    if len(by_name) != len(schema.names):
        return None
    columns = {c.name: by_name[c.name] for c in KINDS[kind] if c.name in by_name}
    if "price" in by_name:
        columns |= dict.fromkeys(priced_by(kind, columns), by_name["price"])
    for column in KINDS[kind]:
        if column.name not in columns:
            if column.required:
                return None
        elif not _fits(column.kind, schema.field(columns[column.name]).type):
            return None
    if "end_ts" in columns and not _same_type(schema, columns["ts"], columns["end_ts"]):
        return None
    words = tuple(columns[c.name] for c in KINDS[kind] if c.kind in _WORDS and c.name in columns)
    used = set(columns.values())
    layout = Layout(tuple(files), columns, rows, words, groups=tuple(groups))
    layout.ignored = tuple(name for name in schema.names if name not in used)
    if "order_id" in columns:
        layout.id_type = schema.field(columns["order_id"]).type
    stamp = schema.field(columns["ts"]).type if "ts" in columns else None
    layout.naive_times = stamp is not None and pa.types.is_timestamp(stamp) and stamp.tz is None
    return layout


def _same_type(schema: pa.Schema, one: str, other: str) -> bool:
    return bool(schema.field(one).type.equals(schema.field(other).type))


def _fits(kind: str, typed: pa.DataType) -> bool:
    types = pa.types
    if kind == "time":
        return bool(types.is_timestamp(typed) or types.is_signed_integer(typed))
    if kind == "id":
        return bool(types.is_string(typed) or types.is_large_string(typed) or types.is_int64(typed))
    if kind == "number":
        return bool(types.is_floating(typed) or types.is_signed_integer(typed))
    if kind == "flag":
        return bool(types.is_boolean(typed) or types.is_integer(typed))
    value = typed.value_type if types.is_dictionary(typed) else typed
    return bool(types.is_string(value) or types.is_large_string(value))


def _null_ids(file: pq.ParquetFile) -> int:
    """How many order ids are missing, or may be: without statistics that is not known."""
    names = [name.lower() for name in file.schema.names]
    if "order_id" not in names:
        return 0
    place = names.index("order_id")
    missing = 0
    for group in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(group).column(place).statistics
        known = statistics is not None and statistics.has_null_count
        missing += statistics.null_count if known else 1
    return missing


def record_batches(
    layout: Layout,
    names: Sequence[str],
    batch_rows: int,
    *,
    threads: int = 1,
    part: range | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the columns `names` (canonical) of all files, at most `batch_rows` rows at a time.

    Args:
        layout: The files.
        names: The columns.
        batch_rows: The most rows of a batch.
        threads: More than one decode columns side by side.
        part: Places of the row groups among all, where not all are wanted.

    Raises:
        InputError: a file is broken, or was changed meanwhile.
    """
    wanted = [layout.columns[name] for name in names]
    words = [name for name in wanted if name in layout.words]
    before = 0
    for path in layout.files:
        try:
            # Not mapped: a mapped file that is cut short meanwhile would end the process.
            with pq.ParquetFile(path, read_dictionary=words) as file:
                # Group by group: one iterator over all of them keeps what it has read until its end.
                groups = range(file.num_row_groups)
                first, before = before, before + len(groups)
                for group in groups:
                    if part is not None and first + group not in part:
                        continue
                    for batch in file.iter_batches(
                        batch_rows, row_groups=[group], columns=wanted, use_threads=threads > 1
                    ):
                        yield batch.select(wanted)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise InputError(
                f"`{path}` cannot be read as Parquet: {_short(error)}",
                "check that the file is whole",
            ) from None


def learn_names(
    layout: Layout,
    tables: dict[str, NameTable],
    *,
    with_times: bool,
    batch_rows: int,
    threads: int,
) -> bool:
    """Fill `tables` (by canonical column) in one pass; with times, say whether they never go back.

    Parts of the files are looked at side by side, by so many threads. What is found is the same for any number.

    Returns:
        False as soon as a time is earlier than the one before, or written in another unit.
    """
    parts = _parts(layout, threads)
    if len(parts) > 1:
        looks = [_Look(layout, {name: NameTable() for name in tables}, with_times) for _ in parts]
        with ThreadPoolExecutor(len(parts)) as pool:
            done = pool.map(lambda look, part: look.over(batch_rows, part=part), looks, parts)
            in_order = all(list(done))
        # A part whose times are in other units than those of the first has to be read as the first one would be.
        if len({each.times.unit for each in looks}) == 1:
            timed = [each for each in looks if each.latest != NO_TIME]
            in_order &= all(each.latest <= after.earliest for each, after in pairwise(timed))
            for each in looks:
                each.tell(tables)
            if in_order and timed:
                layout.time_unit, layout.first_ns = timed[0].times.unit, int(timed[0].earliest)
            return in_order
    look = _Look(layout, tables, with_times)
    in_order = look.over(batch_rows, threads=threads)
    if in_order and look.latest != NO_TIME:
        layout.time_unit, layout.first_ns = look.times.unit, int(look.earliest)
    return in_order


def _parts(layout: Layout, threads: int) -> list[range]:
    """Row groups in as many parts of about the same size as threads look at them."""
    groups = layout.groups
    if threads == 1 or len(groups) < threads or layout.rows < _WORTH_PARTS:
        return [range(len(groups))]
    ends = np.searchsorted(np.cumsum(groups), np.arange(1, threads + 1) * layout.rows / threads)
    edges = sorted({0, *(int(end) + 1 for end in ends[:-1]), len(groups)})
    return [range(first, last) for first, last in pairwise(edges)]


class _Look:
    """One pass over columns of names, and of times.

    Attributes:
        times: What decoded the times.
        earliest, latest: The first and last time, `NO_TIME` where there is none.
    """

    def __init__(self, layout: Layout, tables: dict[str, NameTable], with_times: bool) -> None:
        self._layout, self._tables = layout, tables
        self._with_times = with_times
        self.times = TimeDecoder()
        self.earliest = self.latest = NO_TIME

    def over(self, batch_rows: int, *, threads: int = 1, part: range | None = None) -> bool:
        """Look; False as soon as a time is earlier than the one before, or written in another unit."""
        decoders = {
            name: NameDecoder(table, required=name in ("account", "symbol", "book"))
            for name, table in self._tables.items()
            if name in self._layout.columns
        }
        names = [*(["ts"] if self._with_times else []), *decoders]
        if not names:
            return True
        batches = record_batches(self._layout, names, batch_rows, threads=threads, part=part)
        for batch in batches:
            for name, decode in decoders.items():
                decode(batch.column(names.index(name)))
            if self._with_times and batch.num_rows and not self._rises(batch.column(0)):
                return False
        return True

    def _rises(self, column: pa.Array) -> bool:
        times = self.times(column)
        if times.min() == NO_TIME:
            times = times[times != NO_TIME]
        if not len(times):
            return True
        if times[0] < self.latest or (times[1:] < times[:-1]).any() or not _one_unit(column):
            return False
        if self.earliest == NO_TIME:
            self.earliest = times[0]
        self.latest = times[-1]
        return True

    def tell(self, tables: dict[str, NameTable]) -> None:
        """Add the names that were found to these tables."""
        for name, found in self._tables.items():
            for each in found:
                tables[name].add(each)


def _one_unit(column: pa.Array) -> bool:
    """Whether whole-number times of a batch, and so all between two batches, have one magnitude."""
    if pa.types.is_timestamp(column.type):
        return True
    ends = pc.min_max(pc.abs_checked(column.cast(pa.int64()).drop_null())).as_py()
    units = []
    for end in (ends["min"], ends["max"]):
        decoder = TimeDecoder()
        decoder(pa.array([end], pa.int64()))
        units.append(decoder.unit)
    return units[0] == units[1]


def has_repeated_ids(layout: Layout, *, threads: int = 1) -> bool:
    """Return whether an order id occurs twice; for files of at most `CHECKED_IDS` rows."""
    parts: list[pa.Array] = []
    increasing = pa.types.is_int64(layout.id_type)
    latest = np.iinfo(np.int64).min
    for batch in record_batches(layout, ["order_id"], 1 << 18, threads=threads):
        part = batch.column(0)
        parts.append(part)
        if increasing and len(part):
            ids = part.to_numpy(zero_copy_only=False)
            increasing = bool(ids[0] > latest and (ids[1:] > ids[:-1]).all())
            latest = ids[-1]
    if increasing or not parts:
        return False
    whole = pa.chunked_array(parts)
    return bool(pc.count_distinct(whole).as_py() < len(whole))


def _short(error: object) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else "unknown error"
    return text[:1].lower() + text[1:]
