"""`decisions.parquet`: one row an order, with every gate's measure, limit and margin.

The file's bytes depend on the rows alone: row groups have one size, whatever the batches were. Missing
figures are null. What a column group means is in `decided.GateColumn`; units, currency, mode and the
policy set stand in the file's metadata, the policy set also in a column.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ringfence.errors import InputError, reason_of
from ringfence.replay.codes import ORDER_TYPES, NameTable
from ringfence.replay.decided import DECISIONS, OUTCOMES, DecidedBatch, GateColumn
from ringfence.replay.page_chunks import (
    BLOCK,
    Chunk,
    Scratch,
    Words,
    coded,
    constant,
    gapless,
    numbers,
    plain_text,
    sparse,
    text,
)
from ringfence.replay.parquet_pages import PageFile

__all__ = ["GROUP_ROWS", "DecisionsWriter"]

#: Rows of a row group; whole blocks of numbers with gaps.
GROUP_ROWS = 1 << 16

_FIXED = {
    "ts": np.int64,
    "account": np.int32,
    "strategy": np.int32,
    "venue": np.int32,
    "symbol": np.int32,
    "side": np.int8,
    "type": np.int8,
    "asked": np.float64,
    "price": np.float64,
    "decision": np.int8,
    "size": np.float64,
    "code": np.int16,
    "gate": np.int16,
}
# What stands for nothing in the columns that have gaps.
_GAPS = {"price": np.nan, "code": -1, "gate": -1}
_KINDS = {"ts": "time", "asked": "double", "price": "double", "size": "double"}
_PASS = OUTCOMES.index("pass")
_ORDER = ("ts", "order_id", *list(_FIXED)[1:])


class DecisionsWriter:
    """Writes one side's decisions; the file appears when it is closed, whole.

    Args:
        path: Where the file is to be; its directory must exist.
        columns, codes, sha256, currency, mode: Those of the engine.
        names: Tables of `account`, `strategy`, `venue` and `symbol`.
        id_type: Arrow type of the orders' ids: text or int64.

    Raises:
        InputError: nothing can be written there.
    """

    def __init__(
        self,
        path: Path,
        *,
        columns: Sequence[GateColumn],
        codes: Sequence[str],
        names: dict[str, NameTable],
        id_type: pa.DataType,
        sha256: str,
        currency: str,
        mode: str,
    ) -> None:
        self.path = path
        self._columns = tuple(columns)
        self._words = {
            "side": Words(("buy", "sell")),
            "type": Words(ORDER_TYPES),
            "decision": Words(DECISIONS),
            "code": Words(codes),
            "gate": Words(column.name for column in columns),
            "outcome": Words(OUTCOMES),
        }
        self._tables = names
        self._policy_set = plain_text(sha256)
        self._whole_ids = pa.types.is_integer(id_type)
        metadata = {
            "ringfence.decisions": "1",
            "ringfence.policy_set": sha256,
            "ringfence.currency": currency,
            "ringfence.mode": mode,
            "ringfence.units": json.dumps({column.name: column.unit for column in columns}),
        }
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        except OSError as error:
            raise _unwritable(path, error) from None
        self._temporary = Path(name)
        self._handle: int | None = handle
        self._pages = PageFile(handle, self._described(), metadata)
        self._filled = 0
        self._ids: list[Any] = []
        self._held: dict[str, npt.NDArray[Any]] = {
            name: np.empty(GROUP_ROWS, kind) for name, kind in _FIXED.items()
        }
        gates = len(columns)
        self._outcome = np.empty((gates, GROUP_ROWS), np.uint8)
        self._measure = np.empty((gates, GROUP_ROWS))
        self._limit = np.empty((gates, GROUP_ROWS))
        self._scratch = Scratch(GROUP_ROWS)

    def _described(self) -> list[tuple[str, str]]:
        fixed = [(name, _KINDS.get(name, "text")) for name in _ORDER]
        if self._whole_ids:
            fixed[1] = ("order_id", "int64")
        fixed.append(("policy_set", "text"))
        for column in self._columns:
            fixed.append((f"{column.name}.outcome", "text"))
            fixed += [
                (f"{column.name}.{part}", "double") for part in ("measure", "limit", "margin")
            ]
        return fixed

    def write(self, batch: DecidedBatch) -> None:
        """Add the rows of a batch; nothing of it is kept by reference."""
        given = _fixed_of(batch)
        rows, place = len(batch), 0
        while place < rows:
            take = min(GROUP_ROWS - self._filled, rows - place)
            part = slice(place, place + take)
            ids = self._encoded_ids(batch.orders.order_id.slice(place, take))
            gates = (batch.outcome[:, part], batch.measure[:, part], batch.limit[:, part])
            if take == GROUP_ROWS:
                # A whole group: written from where it lies.
                self._group({name: values[part] for name, values in given.items()}, [ids], *gates)
            else:
                self._hold(given, ids, part, gates)
            place += take

    def _hold(
        self,
        given: dict[str, npt.NDArray[Any]],
        ids: npt.NDArray[Any],
        part: slice,
        gates: tuple[npt.NDArray[Any], ...],
    ) -> None:
        into = slice(self._filled, self._filled + part.stop - part.start)
        for name, values in given.items():
            self._held[name][into] = values[part]
        self._outcome[:, into], self._measure[:, into], self._limit[:, into] = gates
        # Whole numbers are still where the batch has them.
        self._ids.append(ids.copy() if self._whole_ids else ids)
        self._filled = into.stop
        if self._filled == GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        rows, self._filled = self._filled, 0
        if rows:
            # Columns with gaps are encoded in whole blocks.
            whole = -(-rows // BLOCK) * BLOCK
            fixed = {name: values[:rows] for name, values in self._held.items()}
            for name, gap in _GAPS.items():
                fixed[name] = self._held[name][:whole]
                fixed[name][rows:] = gap
            self._measure[:, rows:whole] = self._limit[:, rows:whole] = np.nan
            self._group(
                fixed,
                self._ids,
                self._outcome[:, :rows],
                self._measure[:, :whole],
                self._limit[:, :whole],
            )
        self._ids = []

    def _encoded_ids(self, ids: pa.Array) -> npt.NDArray[Any]:
        """Whole numbers as they are; texts with their lengths before them."""
        if ids.null_count:
            ids = ids.fill_null(0 if self._whole_ids else "")
        if self._whole_ids:
            return np.asarray(ids.to_numpy(zero_copy_only=False), np.int64)
        from ringfence.replay.jit_text import prefix_lengths

        _, offsets, data = ids.buffers()
        kind = np.int64 if pa.types.is_large_string(ids.type) else np.int32
        places = np.frombuffer(offsets, kind)[ids.offset : ids.offset + len(ids) + 1]
        places = places.astype(np.int64)
        bytes_ = np.frombuffer(data, np.uint8) if data and data.size else np.zeros(0, np.uint8)
        out = np.empty(int(places[-1] - places[0]) + 4 * len(ids), np.uint8)
        prefix_lengths(places, bytes_, out)
        return out

    def _group(
        self,
        fixed: dict[str, npt.NDArray[Any]],
        ids: list[npt.NDArray[Any]],
        outcome: npt.NDArray[Any],
        measure: npt.NDArray[Any],
        limit: npt.NDArray[Any],
    ) -> None:
        whole = ids[0] if len(ids) == 1 else np.concatenate(ids)
        try:
            self._pages.group(self._chunks(fixed, whole, outcome, measure, limit))
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def _chunks(
        self,
        fixed: dict[str, npt.NDArray[Any]],
        ids: npt.NDArray[Any],
        outcome: npt.NDArray[Any],
        measure: npt.NDArray[Any],
        limit: npt.NDArray[Any],
    ) -> Iterator[Chunk]:
        """The columns of a group, each encoded when it is asked for: they share the room for it."""
        rows, scratch = len(fixed["ts"]), self._scratch
        for name in _ORDER:
            if name == "order_id":
                yield gapless(ids) if self._whole_ids else text(ids, rows)
            elif name == "price":
                yield numbers(fixed[name], rows, scratch)
            elif name in ("code", "gate"):
                yield sparse(fixed[name], rows, self._words[name], scratch)
            elif name in _KINDS:
                yield gapless(fixed[name], ordered=name == "ts")
            else:
                yield coded(fixed[name], self._words_of(name))
        yield constant(self._policy_set, rows)
        for place, column in enumerate(self._columns):
            yield coded(outcome[place], self._words["outcome"])
            yield numbers(measure[place], rows, scratch)
            yield numbers(limit[place], rows, scratch)
            if column.floors:
                left = _left(outcome[place], measure[place], limit[place])
                yield numbers(left, rows, scratch)
            else:
                yield numbers(limit[place], rows, scratch, minus=measure[place])

    def _words_of(self, column: str) -> Words:
        table = self._tables.get(column)
        known = self._words.setdefault(column, Words())
        if table is not None and len(known) < len(table):
            known.add(table.names[len(known) :])
        return known

    def close(self) -> None:
        """Write what is left and put the file in its place.

        Raises:
            InputError: it cannot be written.
        """
        try:
            self._flush()
            self._pages.close()
            self._close()
            self._temporary.chmod(0o644)
            self._temporary.replace(self.path)
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def abandon(self) -> None:
        """Remove what was written; does nothing once closed."""
        if self._handle is not None:
            self._close()
            self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)


def _left(
    outcome: npt.NDArray[np.uint8], measure: npt.NDArray[Any], limit: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """What is left of limits, some of which are the least that may be: see `margin_of`."""
    left: npt.NDArray[Any] = np.abs(limit - measure)
    beyond = np.flatnonzero(outcome != _PASS)
    left[beyond] = -left[beyond]
    return left


def _fixed_of(batch: DecidedBatch) -> dict[str, npt.NDArray[Any]]:
    orders = batch.orders
    return {
        "ts": orders.ts,
        "account": orders.account,
        "strategy": orders.strategy,
        "venue": orders.venue,
        "symbol": orders.symbol,
        "side": (orders.side < 0).view(np.int8),
        "type": orders.type,
        "asked": orders.size,
        "price": orders.price,
        "decision": batch.decision,
        "size": batch.size,
        "code": batch.code,
        "gate": batch.gate,
    }


def _unwritable(path: Path, error: OSError) -> InputError:
    reason = reason_of(error)
    return InputError(f"`{path}` cannot be written: {reason}", "name another directory with --out")
