"""`decisions.parquet`: one row an order, with every gate's measure, limit and margin.

The file's bytes depend on the rows alone: row groups have one size, whatever the batches were. Missing
figures are null. What a column group means is in `decided.GateColumn`; units, currency, mode and the
policy set stand in the file's metadata, the policy set also in a column.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ringfence.errors import InputError
from ringfence.replay.codes import ORDER_TYPES, NameTable
from ringfence.replay.decided import DECISIONS, OUTCOMES, DecidedBatch, GateColumn
from ringfence.replay.parquet_pages import (
    Chunk,
    PageFile,
    coded,
    constant,
    numbers,
    plain_text,
    text,
)

__all__ = ["GROUP_ROWS", "DecisionsWriter"]

#: Rows of a row group.
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
_KINDS = {"ts": "time", "asked": "double", "price": "double", "size": "double"}
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
            "side": _plain(("buy", "sell")),
            "type": _plain(ORDER_TYPES),
            "decision": _plain(DECISIONS),
            "code": _plain(codes),
            "gate": _plain(column.name for column in columns),
            "outcome": _plain(OUTCOMES),
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
        self._file = os.fdopen(handle, "wb")
        self._pages = PageFile(self._file, self._described(), metadata)
        self._filled = 0
        self._ids: list[Any] = []
        self._held: dict[str, npt.NDArray[Any]] = {
            name: np.empty(GROUP_ROWS, kind) for name, kind in _FIXED.items()
        }
        gates = len(columns)
        self._outcome = np.empty((gates, GROUP_ROWS), np.uint8)
        self._measure = np.empty((gates, GROUP_ROWS))
        self._limit = np.empty((gates, GROUP_ROWS))

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
        self._ids.append(ids)
        self._filled = into.stop
        if self._filled == GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        rows, self._filled = self._filled, 0
        if rows:
            self._group(
                {name: values[:rows] for name, values in self._held.items()},
                self._ids,
                self._outcome[:, :rows],
                self._measure[:, :rows],
                self._limit[:, :rows],
            )
        self._ids = []

    def _encoded_ids(self, ids: pa.Array) -> npt.NDArray[Any]:
        """Whole numbers as they are; texts with their lengths before them."""
        if ids.null_count:
            ids = ids.fill_null(0 if self._whole_ids else "")
        if self._whole_ids:
            return np.array(ids.to_numpy(zero_copy_only=False), np.int64)
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
        rows = len(fixed["ts"])
        whole = ids[0] if len(ids) == 1 else np.concatenate(ids)
        chunks: list[Chunk] = []
        for name in _ORDER:
            if name == "order_id":
                chunks.append(numbers(whole) if self._whole_ids else text(whole, rows))
            elif name in _KINDS:
                chunks.append(
                    numbers(fixed[name], ordered=name == "ts", nan_is_null=name == "price")
                )
            else:
                chunks.append(coded(fixed[name], self._names(name)))
        chunks.append(constant(self._policy_set, rows))
        try:
            self._pages.group([*chunks, *self._gates(outcome, measure, limit)])
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def _gates(
        self,
        outcome: npt.NDArray[Any],
        measure: npt.NDArray[Any],
        limit: npt.NDArray[Any],
    ) -> list[Chunk]:
        chunks = []
        for place in range(len(self._columns)):
            margin = limit[place] - measure[place]
            chunks.append(coded(outcome[place], self._words["outcome"]))
            chunks += [
                numbers(values, nan_is_null=True)
                for values in (measure[place], limit[place], margin)
            ]
        return chunks

    def _names(self, column: str) -> list[bytes]:
        table = self._tables.get(column)
        known = self._words.setdefault(column, [])
        if table is not None and len(known) < len(table):
            known += _plain(table.names[len(known) :])
        return known

    def close(self) -> None:
        """Write what is left and put the file in its place.

        Raises:
            InputError: it cannot be written.
        """
        try:
            self._flush()
            self._pages.close()
            self._file.close()
            self._temporary.chmod(0o644)
            self._temporary.replace(self.path)
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def abandon(self) -> None:
        """Remove what was written; does nothing once closed."""
        if not self._file.closed:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


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


def _plain(words: Iterable[str]) -> list[bytes]:
    return [plain_text(word) for word in words]


def _unwritable(path: Path, error: OSError) -> InputError:
    reason = (error.strerror or "unknown reason").lower()
    return InputError(f"`{path}` cannot be written: {reason}", "name another directory with --out")
