"""Getting data into a dry run: orders, marks, fills and balances as streams of numpy batches.

`open_inputs` opens all of them together; `open_orders` and its like open one. A canonical Parquet file that
is already in time order is streamed as it is (`stream.direct`); anything else is first typed, joined and
sorted into a scratch directory by a database whose memory is capped. Either way memory does not grow with
the source, and the rows are the same for any size of batch and any number of threads.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringfence.errors import InputError
from ringfence.replay.codes import NameTable
from ringfence.replay.locate import locate
from ringfence.replay.mapping import Mapping, load_mapping
from ringfence.replay.opening import Opener, Options, Scratch, section_of
from ringfence.replay.prepare import Preparation
from ringfence.replay.rejects import Rejects
from ringfence.replay.streams import BalanceStream, FillStream, MarkStream, OrderStream

__all__ = [
    "BATCH_ROWS",
    "Facts",
    "Inputs",
    "describe",
    "open_balances",
    "open_fills",
    "open_inputs",
    "open_marks",
    "open_orders",
]

#: Rows of a batch where nothing else is asked.
BATCH_ROWS = 1 << 16
_MOST_ROWS = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source holds, found out cheaply.

    Attributes:
        rows: Its rows, rejects included.
        first_ts, last_ts: Earliest and latest time in nanoseconds since 1970, UTC; 0 where none is usable.
        files: Its files.
        bytes: Their size together.
        format: `parquet`, `csv`, `json` or `select`.
    """

    rows: int
    first_ts: int
    last_ts: int
    files: tuple[str, ...]
    bytes: int
    format: str


@dataclass(slots=True)
class Inputs:
    """The opened sources of one dry run; close it, or use `with`, to remove its scratch files.

    Attributes:
        orders: Always there.
        fills, marks, balances: None where no source was given.
        symbols: The table of symbols, shared by orders and marks.
    """

    orders: OrderStream
    fills: FillStream | None
    marks: MarkStream | None
    balances: BalanceStream | None
    symbols: NameTable
    _scratch: Scratch

    @property
    def assumptions(self) -> list[str]:
        """What had to be taken for granted in any source, in sentences."""
        found: list[str] = []
        for stream in (self.orders, self.fills, self.marks, self.balances):
            found += [text for text in (stream.assumptions if stream else []) if text not in found]
        return found

    @property
    def rejects(self) -> dict[str, Rejects]:
        """What cannot be replayed, by kind of source; of direct streams once they have been read."""
        streams = {
            "orders": self.orders,
            "fills": self.fills,
            "marks": self.marks,
            "balances": self.balances,
        }
        return {kind: stream.rejects for kind, stream in streams.items() if stream is not None}

    def close(self) -> None:
        """Remove the scratch files; the streams cannot be read any more."""
        self._scratch.remove()

    def __enter__(self) -> "Inputs":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_inputs(
    orders: str,
    *,
    fills: str | None = None,
    marks: str | None = None,
    balances: str | None = None,
    mapping: str | Mapping | None = None,
    marks_mapping: str | Mapping | None = None,
    batch_rows: int = BATCH_ROWS,
    threads: int = 1,
    memory_mb: int = 512,
    reject_limit: int = 100,
    survey: bool = False,
    scratch: str | Path | None = None,
) -> Inputs:
    """Open everything that a dry run reads.

    Args:
        orders, fills, marks, balances: SRCs: a path, a glob, or a `SELECT` over local files.
        mapping: A shipped mapping's name, a path, or a loaded one. It is used for each source of which it
            has a section; others must have our column names. A mapping with `fills` and no `fills` SRC
            reads the fills from the orders' SRC.
        marks_mapping: Another mapping, for the marks alone.
        batch_rows: The most rows of a batch.
        threads: Threads that reading and preparing may use; results do not depend on it.
        memory_mb: What the database may hold in memory before it spills, in MiB.
        reject_limit: Examples kept for each reason.
        survey: Whether to complete the tables of names beforehand, at the price of one more look at
            those columns.
        scratch: Where the temporary directory is made; the system's place where not given.

    Raises:
        InputError: a source or the mapping cannot be used.
        PolicyError: the mapping has faults, or does not fit the source.
    """
    options = Options(batch_rows, threads, memory_mb, reject_limit, survey)
    _check(options)
    loaded = _mapping(mapping)
    place = Scratch(scratch)
    try:
        opener = Opener(place, options)
        symbols = NameTable()
        if fills is None and loaded is not None and "fills" in loaded.sections:
            fills = orders
        order_stream, fill_stream = opener.orders(orders, fills, loaded, symbols)
        for_marks = (
            _mapping(marks_mapping) if marks_mapping is not None else section_of(loaded, "marks")
        )
        mark_stream = opener.marks(marks, for_marks, symbols) if marks else None
        balance_stream = (
            opener.balances(balances, section_of(loaded, "balances")) if balances else None
        )
    except BaseException:
        place.remove()
        raise
    return Inputs(order_stream, fill_stream, mark_stream, balance_stream, symbols, place)


def open_orders(src: str, mapping: str | Mapping | None = None, **options: Any) -> OrderStream:
    """Open orders alone; `options` as in `open_inputs`. Scratch files go with the stream."""
    opener, _ = _single(options)
    loaded = _mapping(mapping)
    return opener.orders(src, None, loaded.needs("orders") if loaded else None, None)[0]


def open_marks(
    src: str,
    mapping: str | Mapping | None = None,
    *,
    symbols: NameTable | None = None,
    **options: Any,
) -> MarkStream:
    """Open marks alone; `symbols` is a table to share. Other `options` as in `open_inputs`."""
    opener, _ = _single(options)
    loaded = _mapping(mapping)
    return opener.marks(src, loaded.needs("marks") if loaded else None, symbols)


def open_fills(
    src: str, *, orders: str, mapping: str | Mapping | None = None, **options: Any
) -> FillStream:
    """Open the fills of `orders`; other `options` as in `open_inputs`."""
    opener, _ = _single(options)
    stream = opener.orders(orders, src, _mapping(mapping), None)[1]
    if stream is None:
        raise InputError("no fills were given", "name a source of fills")
    return stream


def open_balances(src: str, mapping: str | Mapping | None = None, **options: Any) -> BalanceStream:
    """Open balances alone; `options` as in `open_inputs`."""
    opener, _ = _single(options)
    loaded = _mapping(mapping)
    return opener.balances(src, loaded.needs("balances") if loaded else None)


def describe(src: str, kind: str = "orders", mapping: str | Mapping | None = None) -> Facts:
    """Return how many rows a source has and which time they span; nothing is sorted or copied."""
    loaded = _mapping(mapping)
    source = locate(src, file_format=loaded.reads.format if loaded else None)
    place = Scratch(None)
    try:
        preparation = Preparation(place.path)
        rows, first, last = preparation.extent(kind, source, loaded.needs(kind) if loaded else None)
    finally:
        place.remove()
    return Facts(rows, first, last, source.files, source.bytes, source.format)


def _single(options: dict[str, Any]) -> tuple[Opener, Scratch]:
    place = Scratch(options.pop("scratch", None))
    given = {
        "batch_rows": BATCH_ROWS,
        "threads": 1,
        "memory_mb": 512,
        "reject_limit": 100,
        "survey": False,
    }
    chosen = Options(**{**given, **options})
    _check(chosen)
    return Opener(place, chosen), place


def _check(options: Options) -> None:
    for name in ("batch_rows", "threads", "memory_mb"):
        if getattr(options, name) < 1:
            raise InputError(
                f"`{name}` must be at least 1, not {getattr(options, name)}",
                "leave it out: the result is the same for every value",
            )
    if options.batch_rows > _MOST_ROWS:
        raise InputError(
            f"`batch_rows` must be at most {_MOST_ROWS:,}, not {options.batch_rows}",
            "leave it out: the result is the same for every value",
        )


def _mapping(given: str | Mapping | None) -> Mapping | None:
    return load_mapping(given) if isinstance(given, str) else given
