"""Streams as plain Python, for tests: whole columns of all batches, names instead of codes."""

from typing import Any

import numpy as np
import pyarrow as pa

from ringfence.replay.codes import ORDER_TYPES

_NAMES = {"account": "accounts", "strategy": "strategies", "venue": "venues", "symbol": "symbols"}


def columns_of(stream: Any) -> dict[str, list[Any]]:
    """Return every column of a stream; names, sides and types in words, NaN as None."""
    found: dict[str, list[Any]] = {}
    for batch in stream:
        for name in type(batch).__slots__:
            value = getattr(batch, name)
            if name == "start":
                continue
            if isinstance(value, pa.Array):
                values = value.to_pylist()
            else:
                assert isinstance(value, np.ndarray)
                assert value.flags.c_contiguous
                assert value.flags.writeable
                assert value.ndim == 1
                values = [None if one != one else one for one in value.tolist()]
            found.setdefault(name, []).extend(values)
    for name, table in _NAMES.items():
        if name in found and hasattr(stream, table):
            found[name] = [getattr(stream, table)[code] for code in found[name]]
    if "side" in found:
        found["side"] = [{1: "buy", -1: "sell"}[side] for side in found["side"]]
        found["type"] = [ORDER_TYPES[code] for code in found["type"]]
    return found
