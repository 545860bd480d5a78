"""Streams of orders, marks, fills and balances over canonical Parquet; each can be read many times."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ringfence.errors import InputError
from ringfence.replay.batches import BalanceBatch, FillBatch, Flags, MarkBatch, OrderBatch, Times
from ringfence.replay.codes import BALANCE_WORDS, SIDE_WORDS, TYPE_WORDS, UNKNOWN, NameTable
from ringfence.replay.decode import (
    NO_TIME,
    NameDecoder,
    TimeDecoder,
    WordDecoder,
    flags,
    floats,
    whole_numbers,
)
from ringfence.replay.parquet_files import Layout, learn_names, record_batches
from ringfence.replay.rejects import Reject, Rejects

__all__ = ["BalanceStream", "FillStream", "MarkStream", "OrderStream"]

Batch = TypeVar("Batch", OrderBatch, MarkBatch, FillBatch, BalanceBatch)
Mask = npt.NDArray[np.bool_]
# No type was given: a price makes it a limit order.
_UNSAID = 127
# Names where the source has no such column; there is always one of symbols.
_DEFAULTS = {"account": "main", "strategy": "", "venue": ""}


class _Stream(Generic[Batch]):
    """What the streams share.

    Attributes:
        rows: Rows to be read, rejects of a directly streamed file included.
        rejects: What cannot be replayed; complete once the stream has been read to its end.
        assumptions: What had to be taken for granted, in sentences.
        direct: The rows come from the given file itself, not from a sorted copy.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        rejects: Rejects,
        assumptions: list[str],
        direct: bool,
        batch_rows: int,
        threads: int,
    ) -> None:
        self.rows = layout.rows
        self.rejects = rejects
        self.assumptions = assumptions
        self.direct = direct
        #: Whatever has to live as long as the stream does.
        self.scratch: object = None
        self._layout = layout
        self._batch_rows = batch_rows
        self._threads = threads

    def _columns(self, threads: int) -> Iterator[tuple[dict[str, pa.Array], Times]]:
        """Columns by canonical name, and each row's number in the source; so many threads read."""
        names = list(self._layout.columns)
        before = 0
        if self.direct:
            self.rejects.clear()
        for batch in record_batches(self._layout, names, self._batch_rows, threads=threads):
            if not batch.num_rows:
                continue
            columns = dict(zip(names, batch.columns, strict=True))
            if "row" in columns:
                rows = whole_numbers(columns["row"])
            else:
                rows = np.arange(before + 1, before + 1 + batch.num_rows, dtype=np.int64)
            yield columns, rows
            before += batch.num_rows

    @property
    def _tables(self) -> dict[str, NameTable]:
        return {}

    def survey(self) -> None:
        """Read the columns of names alone, so that the tables of names are complete beforehand."""
        learn_names(
            self._layout, self._tables, with_times=False, batch_rows=1 << 18, threads=self._threads
        )

    def adopt(self, learned: dict[str, NameTable]) -> None:
        """Add names that an earlier look at the same files has found."""
        for column, names in learned.items():
            for name in names:
                self._tables[column].add(name)

    def _in_order(self, times: Times, latest: int) -> int:
        """The last time; the file was in order when it was opened."""
        if not len(times):
            return latest
        if times[0] < latest or (times[1:] < times[:-1]).any():
            raise InputError("a source was changed while it was being read", "run it again")
        return int(times[-1])


class OrderStream(_Stream[OrderBatch]):
    """Orders in time order; iterate to get `OrderBatch`es, as often as needed.

    Attributes:
        accounts, strategies, venues, symbols: Tables of names; they grow while the stream is read,
            and are complete after `survey()` or one reading. Codes do not depend on either.
        order_id_type: Arrow type of `OrderBatch.order_id`.
        only: Where given, the orders of these accounts alone are read; what cannot be replayed is counted
            among them, and among rows without an account.
        left_out: Rows of other accounts, once the stream has been read.
    """

    def __init__(self, layout: Layout, symbols: NameTable | None = None, **common: Any) -> None:
        super().__init__(layout, **common)
        self.only: frozenset[str] | None = None
        self.left_out = 0
        self.symbols = NameTable() if symbols is None else symbols
        self.accounts = NameTable()
        self.strategies = NameTable()
        self.venues = NameTable()
        for name, default in _DEFAULTS.items():
            # Known at once: such a column is never looked at.
            if name not in layout.columns:
                self._tables[name].add(default)
        has_ids = "order_id" in layout.columns
        self.order_id_type: pa.DataType = layout.id_type if has_ids else pa.string()

    @property
    def _tables(self) -> dict[str, NameTable]:
        return {
            "account": self.accounts,
            "strategy": self.strategies,
            "venue": self.venues,
            "symbol": self.symbols,
        }

    def __iter__(self) -> Iterator[OrderBatch]:
        decode = _OrderDecoder(self._tables, direct=self.direct)
        start = 0
        latest = NO_TIME
        self.left_out = 0
        # One: a worker of the replay reads, and has others beside it.
        for columns, rows in self._columns(threads=1):
            if self.only is not None:
                columns, rows = self._of_accounts(self.only, columns, rows)
                if not len(rows):
                    continue
            batch = decode(columns, rows, start)
            if not decode.usable(batch):
                batch = decode.without_rejects(batch, columns, self.rejects)
            latest = self._in_order(batch.ts, latest)
            start += len(batch)
            if len(batch):
                yield batch

    def _of_accounts(
        self, only: frozenset[str], columns: dict[str, pa.Array], rows: Times
    ) -> tuple[dict[str, pa.Array], Times]:
        if "account" not in columns:
            keep = np.full(len(rows), _DEFAULTS["account"] in only, np.bool_)
        else:
            account = columns["account"]
            if not pa.types.is_dictionary(account.type):
                account = account.dictionary_encode()
            names = [(name or "").strip(" ") for name in account.dictionary.to_pylist()]
            # One without an account is counted as what cannot be replayed.
            wanted = np.array([name in only or not name for name in names] + [True], np.bool_)
            places = pc.fill_null(account.indices, len(names))
            keep = wanted.take(places.to_numpy(zero_copy_only=False))
        kept = int(np.count_nonzero(keep))
        self.left_out += len(rows) - kept
        if kept == len(rows):
            return columns, rows
        mask = pa.array(keep)
        return {name: column.filter(mask) for name, column in columns.items()}, rows[keep]


class _OrderDecoder:
    """Decodes batches of one reading, and knows which rows cannot be replayed."""

    def __init__(self, tables: dict[str, NameTable], *, direct: bool) -> None:
        self._tables = tables
        required = ("account", "symbol")
        self._names = {
            name: NameDecoder(table, required=name in required) for name, table in tables.items()
        }
        self._side = WordDecoder(SIDE_WORDS, signs=True)
        self._type = WordDecoder(TYPE_WORDS, missing=_UNSAID)
        # One decoder for both: they are written in one unit.
        self._time = TimeDecoder() if direct else whole_numbers

    def __call__(self, columns: dict[str, pa.Array], rows: Times, start: int) -> OrderBatch:
        count = len(rows)
        codes = {}
        for name, decode in self._names.items():
            if name in columns:
                codes[name] = decode(columns[name])
            else:
                codes[name] = np.full(count, self._tables[name].add(_DEFAULTS[name]), np.int32)
        price = floats(columns["price"]) if "price" in columns else np.full(count, np.nan)
        kinds = (
            self._type(columns["type"]) if "type" in columns else np.full(count, _UNSAID, np.int8)
        )
        unsaid = kinds == _UNSAID
        if unsaid.any():
            kinds = np.where(unsaid, np.isnan(price), kinds).astype(np.int8)
        ts = self._time(columns["ts"])
        end = self._time(columns["end_ts"]) if "end_ts" in columns else np.zeros(count, np.int64)
        end[end == NO_TIME] = 0
        return OrderBatch(
            start=start,
            ts=ts,
            order_id=columns["order_id"] if "order_id" in columns else _row_ids(rows),
            account=codes["account"],
            strategy=codes["strategy"],
            venue=codes["venue"],
            symbol=codes["symbol"],
            side=self._side(columns["side"]),
            type=kinds,
            size=floats(columns["size"]),
            price=price,
            reduce_only=_flags(columns, "reduce_only", count),
            end_ts=end,
            expired=_flags(columns, "expired", count),
            row=rows,
            n_fills=(
                np.array(columns["n_fills"], np.int32)
                if "n_fills" in columns
                else np.zeros(count, np.int32)
            ),
        )

    def usable(self, batch: OrderBatch) -> bool:
        """Whether every row can be replayed; a NaN fails both comparisons of size."""
        return bool(
            batch.size.min() > 0
            and batch.size.max() < np.inf
            and batch.ts.min() != NO_TIME
            and batch.account.min() >= 0
            and batch.symbol.min() >= 0
            and batch.side.min() != UNKNOWN
            and batch.type.min() != UNKNOWN
        )

    def without_rejects(
        self, batch: OrderBatch, columns: dict[str, pa.Array], rejects: Rejects
    ) -> OrderBatch:
        size = batch.size
        missing = columns["size"].is_null().to_numpy(zero_copy_only=False)
        faults: list[tuple[Mask, str, str]] = [
            (batch.ts == NO_TIME, "no usable time", "ts"),
            (batch.account < 0, "no account", ""),
            (batch.symbol < 0, "no symbol", ""),
            (batch.side == UNKNOWN, "side is neither buy nor sell", "side"),
            (batch.type == UNKNOWN, "unknown order type", "type"),
            (missing, "no size", ""),
            (~np.isfinite(size), "size is not finite", "size"),
            (size <= 0, "size is not above zero", "size"),
        ]
        keep = _count_faults(faults, batch.row, columns, batch.order_id, rejects)
        return _kept(batch, keep)


class MarkStream(_Stream[MarkBatch]):
    """Marks in time order; iterate to get `MarkBatch`es.

    Attributes:
        symbols: The table of symbols, shared with the orders where it was given.
    """

    def __init__(self, layout: Layout, symbols: NameTable | None = None, **common: Any) -> None:
        super().__init__(layout, **common)
        self.symbols = NameTable() if symbols is None else symbols

    @property
    def _tables(self) -> dict[str, NameTable]:
        return {"symbol": self.symbols}

    def __iter__(self) -> Iterator[MarkBatch]:
        decode_symbol = NameDecoder(self.symbols, required=True)
        decode_time = TimeDecoder() if self.direct else whole_numbers
        start = 0
        latest = NO_TIME
        for columns, rows in self._columns(self._threads):
            numbers = {
                name: floats(columns[name]) if name in columns else np.full(len(rows), np.nan)
                for name in ("bid", "ask", "last", "bid_depth", "ask_depth", "volume")
            }
            batch = MarkBatch(
                start=start,
                ts=decode_time(columns["ts"]),
                symbol=decode_symbol(columns["symbol"]),
                row=rows,
                **numbers,
            )
            faults: list[tuple[Mask, str, str]] = [
                (batch.ts == NO_TIME, "no usable time", "ts"),
                (batch.symbol < 0, "no symbol", ""),
                (
                    np.isnan(batch.bid) & np.isnan(batch.ask) & np.isnan(batch.last),
                    "no price at all",
                    "",
                ),
            ]
            if any(mask.any() for mask, _, _ in faults):
                batch = _kept(batch, _count_faults(faults, rows, columns, None, self.rejects))
            latest = self._in_order(batch.ts, latest)
            start += len(batch)
            if len(batch):
                yield batch


class FillStream(_Stream[FillBatch]):
    """Fills in time order, each with the place of its order; iterate to get `FillBatch`es."""

    def __iter__(self) -> Iterator[FillBatch]:
        start = 0
        for columns, rows in self._columns(self._threads):
            yield FillBatch(
                start=start,
                ts=whole_numbers(columns["ts"]),
                position=whole_numbers(columns["position"]),
                size=floats(columns["size"]),
                price=floats(columns["price"]),
                fee=floats(columns["fee"]),
                last=flags(columns["last"]),
                row=rows,
            )
            start += len(rows)


class BalanceStream(_Stream[BalanceBatch]):
    """Money that comes and goes, in time order; iterate to get `BalanceBatch`es.

    Attributes:
        books: The table of books: `firm`, `account/NAME`, `strategy/NAME`.
    """

    def __init__(self, layout: Layout, **common: Any) -> None:
        super().__init__(layout, **common)
        self.books = NameTable()

    @property
    def _tables(self) -> dict[str, NameTable]:
        return {"book": self.books}

    def __iter__(self) -> Iterator[BalanceBatch]:
        decode_book = NameDecoder(self.books, required=True)
        decode_kind = WordDecoder(BALANCE_WORDS)
        start = 0
        for columns, rows in self._columns(self._threads):
            yield BalanceBatch(
                start=start,
                ts=whole_numbers(columns["ts"]),
                book=decode_book(columns["book"]),
                kind=decode_kind(columns["kind"]),
                amount=floats(columns["amount"]),
                row=rows,
            )
            start += len(rows)


def _flags(columns: dict[str, pa.Array], name: str, count: int) -> Flags:
    return flags(columns[name]) if name in columns else np.zeros(count, np.uint8)


def _row_ids(rows: Times) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar("row"), pa.array(rows).cast(pa.string()), "-")


def _count_faults(
    faults: list[tuple[Mask, str, str]],
    rows: Times,
    columns: dict[str, pa.Array],
    ids: pa.Array | None,
    rejects: Rejects,
) -> Mask:
    """Count each bad row under its first fault; return which rows are left."""
    keep = np.ones(len(rows), np.bool_)
    for mask, reason, shown in faults:
        bad = np.flatnonzero(mask & keep)
        keep[bad] = False
        examples = [
            Reject(
                int(rows[place]),
                "" if ids is None else str(ids[int(place)].as_py()),
                reason,
                _text(columns[shown][int(place)].as_py()) if shown else "",
            )
            for place in bad[: rejects.limit]
        ]
        rejects.add(reason, len(bad), examples)
    return keep


def _text(value: object) -> str:
    return "" if value is None else str(value)[:80]


def _kept(batch: Batch, keep: Mask) -> Batch:
    values: dict[str, Any] = {}
    for name in type(batch).__slots__:
        value = getattr(batch, name)
        if isinstance(value, np.ndarray):
            value = value[keep]
        elif isinstance(value, pa.Array):
            value = value.filter(pa.array(keep))
        values[name] = value
    return type(batch)(**values)
