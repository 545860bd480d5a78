"""Opening one source: directly where it is canonical Parquet in time order, else prepared first."""

import shutil
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from ringfence.replay.codes import NameTable
from ringfence.replay.columns import KINDS
from ringfence.replay.fills import join_fills
from ringfence.replay.locate import Source, locate
from ringfence.replay.mapping import Mapping
from ringfence.replay.moments import whole_times
from ringfence.replay.parquet_files import (
    CHECKED_IDS,
    Layout,
    canonical_layout,
    has_repeated_ids,
    learn_names,
)
from ringfence.replay.prepare import Preparation, Prepared
from ringfence.replay.rejects import Rejects
from ringfence.replay.section_sql import default_notes, price_notes
from ringfence.replay.streams import BalanceStream, FillStream, MarkStream, OrderStream
from ringfence.runtime.temporary import temporary_directory

__all__ = ["Opener", "Options", "Scratch", "section_of"]

AnyStream = TypeVar("AnyStream", OrderStream, MarkStream, FillStream, BalanceStream)


@dataclass(slots=True)
class Options:
    batch_rows: int
    threads: int
    memory_mb: int
    reject_limit: int
    survey: bool


class Scratch:
    """A private temporary directory that goes when asked, or with the last stream that needs it."""

    def __init__(self, parent: str | Path | None) -> None:
        self.path = temporary_directory(parent)
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class Opener:
    """Opens the sources of one run, each directly where it can be."""

    def __init__(self, place: Scratch, options: Options) -> None:
        self._place = place
        self._options = options
        self._preparation = Preparation(
            place.path, options.threads, options.memory_mb, options.reject_limit
        )

    def orders(
        self, src: str, fills: str | None, mapping: Mapping | None, symbols: NameTable | None
    ) -> tuple[OrderStream, FillStream | None]:
        own = section_of(mapping, "orders")
        source = self._locate(src, own)
        shared = NameTable() if symbols is None else symbols
        if fills is None and own is None and source.format == "parquet":
            names = ("account", "strategy", "venue", "symbol") if self._options.survey else ()
            tables = {name: NameTable() for name in names}
            if (layout := self._direct("orders", source, tables)) is not None:
                stream = OrderStream(
                    layout, shared, **self._common(self._as_read("orders", layout))
                )
                stream.adopt(tables)
                return self._keep(stream), None
        prepared = self._preparation.prepare("orders", source, own)
        joined = None
        if fills is not None:
            for_fills = section_of(mapping, "fills")
            joined = self._preparation.prepare("fills", self._locate(fills, for_fills), for_fills)
            join_fills(self._preparation, prepared, joined)
        stream = self._keep(
            OrderStream(_layout("orders", prepared), shared, **self._common(prepared))
        )
        if self._options.survey:
            stream.survey()
        if joined is None:
            return stream, None
        return stream, self._keep(FillStream(_layout("fills", joined), **self._common(joined)))

    def marks(self, src: str, mapping: Mapping | None, symbols: NameTable | None) -> MarkStream:
        source = self._locate(src, mapping)
        shared = NameTable() if symbols is None else symbols
        if mapping is None and source.format == "parquet":
            tables = {"symbol": NameTable()} if self._options.survey else {}
            if (layout := self._direct("marks", source, tables)) is not None:
                stream = MarkStream(layout, shared, **self._common(self._as_read("marks", layout)))
                stream.adopt(tables)
                return self._keep(stream)
        prepared = self._preparation.prepare("marks", source, mapping)
        stream = self._keep(
            MarkStream(_layout("marks", prepared), shared, **self._common(prepared))
        )
        if self._options.survey:
            stream.survey()
        return stream

    def balances(self, src: str, mapping: Mapping | None) -> BalanceStream:
        prepared = self._preparation.prepare("balances", self._locate(src, mapping), mapping)
        return self._keep(BalanceStream(_layout("balances", prepared), **self._common(prepared)))

    def _locate(self, src: str, mapping: Mapping | None) -> Source:
        return locate(src, file_format=mapping.reads.format if mapping is not None else None)

    def _direct(self, kind: str, source: Source, tables: dict[str, NameTable]) -> Layout | None:
        """The layout of files that can be streamed as they are; the tables are filled on the way."""
        layout = canonical_layout(kind, source.files)
        if layout is None:
            return None
        checked = "order_id" in layout.columns and layout.rows <= CHECKED_IDS
        if checked and has_repeated_ids(layout, threads=self._options.threads):
            return None
        in_order = learn_names(
            layout, tables, with_times=True, batch_rows=1 << 18, threads=self._options.threads
        )
        return layout if in_order else None

    def _as_read(self, kind: str, layout: Layout) -> Prepared:
        """What is to be said of a file that is streamed as it is."""
        notes = default_notes(kind, layout.columns) + price_notes(kind, layout.columns)
        if layout.ignored:
            notes.append(f"columns of {kind} not used: {', '.join(layout.ignored)}")
        if layout.naive_times:
            notes.append(f"times of {kind} without a zone are read as UTC")
        if layout.time_unit:
            notes.append(whole_times(layout.time_unit, layout.first_ns))
        if kind == "orders" and "order_id" in layout.columns and layout.rows > CHECKED_IDS:
            notes.append(
                f"order ids are not checked for duplicates in a sorted Parquet file of more than {CHECKED_IDS:,} orders"
            )
        return Prepared(Path(), layout.rows, Rejects(self._options.reject_limit), notes)

    def _common(self, prepared: Prepared) -> dict[str, Any]:
        return {
            "rejects": prepared.rejects,
            "assumptions": prepared.assumptions,
            "direct": prepared.path == Path(),
            "batch_rows": self._options.batch_rows,
            "threads": self._options.threads,
        }

    def _keep(self, stream: AnyStream) -> AnyStream:
        # The scratch directory lives as long as a stream that reads from it.
        stream.scratch = self._place
        return stream


def _layout(kind: str, prepared: Prepared) -> Layout:
    """The layout of a prepared file: its columns bear our names and types."""
    with pq.ParquetFile(prepared.path) as file:
        names = list(file.schema_arrow.names)
    words = tuple(c.name for c in KINDS[kind] if c.kind in ("name", "book") and c.name in names)
    return Layout(
        (str(prepared.path),), {name: name for name in names}, prepared.rows, words, pa.string()
    )


def section_of(mapping: Mapping | None, kind: str) -> Mapping | None:
    """Return the mapping where it says something of `kind`, else None: our own names are meant."""
    return mapping if mapping is not None and kind in mapping.sections else None
