"""Copies of what an engine decided, which it writes over at its next batch."""

from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence.replay.decided import DecidedBatch

__all__ = ["DecidedRing"]

_ARRAYS = tuple(each.name for each in fields(DecidedBatch) if each.name != "orders")


class DecidedRing:
    """Holds the last few batches, in memory that is used over and over: fresh memory costs more than copying."""

    def __init__(self, depth: int) -> None:
        self._rooms: list[dict[str, npt.NDArray[Any]]] = [{} for _ in range(depth)]

    def keep(self, number: int, batch: DecidedBatch) -> DecidedBatch:
        """A copy of the batch of this number; it stands until the one `depth` later is kept."""
        room, rows = self._rooms[number % len(self._rooms)], len(batch)
        arrays: dict[str, Any] = {}
        for name in _ARRAYS:
            values = getattr(batch, name)
            held = room.get(name)
            if held is None or held.shape[-1] < rows:
                held = room[name] = np.empty_like(values)
            arrays[name] = held[..., :rows]
            np.copyto(arrays[name], values)
        return DecidedBatch(orders=batch.orders, **arrays)
