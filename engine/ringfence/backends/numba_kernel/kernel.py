"""The compiled kernel of a policy set's structure."""

import types
from collections.abc import Sequence
from functools import lru_cache

import numba
import numpy as np
from numba import types as nt

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.disk_cache import load_module
from ringfence.backends.numba_kernel.module_text import module_text
from ringfence.backends.numba_kernel.slots import Slot

__all__ = ["kernel_of", "rows_type"]

_ELEMENTS = {
    "Floats": nt.float64,
    "Longs": nt.int64,
    "Ints": nt.int32,
    "Small": nt.int8,
    "Bytes": nt.uint8,
    "Codes": nt.int16,
}


def kernel_of(slots: Sequence[Slot]) -> types.ModuleType:
    """The module with `evaluate_one` and `replay` for these slots, compiled once per structure."""
    return _load(module_text(slots))


@lru_cache(maxsize=64)
def _load(text: str) -> types.ModuleType:
    return load_module(text, _compile)


def rows_type(example: tuple[np.ndarray, ...]) -> nt.Type:  # type: ignore[type-arg]
    """The compiled type of a named tuple of arrays."""
    return numba.typeof(example)


def _named(kind: type, dimensions: dict[str, int]) -> nt.Type:
    """The numba type of one of the layout's named tuples."""
    fields = []
    for name, alias in kind.__annotations__.items():
        element = alias if isinstance(alias, nt.Type) else _element(alias)
        fields.append(nt.Array(element, dimensions.get(name, 1), "C"))
    return nt.NamedTuple(fields, kind)


def _element(alias: object) -> nt.Type:
    for name, element in _ELEMENTS.items():
        if alias == getattr(layout, name):
            return element
    raise TypeError(str(alias))


_TWO = dict.fromkeys(
    [
        "sym",
        "pos_orders",
        "book",
        "book_n",
        "held",
        "held_at",
        "holders",
        "holder_at",
        "rate_ts",
        "left",
        "left_size",
        "quotes",
        "quote_prices",
        "lists",
        "entry",
        "params",
        "window",
        "permits",
        "outcome",
        "measure",
        "limit",
        "open",
        "open_lots",
        "ends",
    ],
    2,
) | {"pos": 3, "moves": 3}


def _compile(module: types.ModuleType) -> None:
    books, bindings, results, detail, orders, events = (
        _named(kind, _TWO)
        for kind in (
            layout.Books,
            layout.Bindings,
            layout.Results,
            layout.Detail,
            layout.Orders,
            layout.Events,
        )
    )
    whole = nt.int64
    module.evaluate_one.compile(
        nt.void(
            books, bindings, results, detail, whole, whole, whole, whole, whole, whole, whole,
            nt.float64, whole, nt.float64, nt.float64, nt.boolean,
        )
    )  # fmt: skip
    module.replay.compile(nt.int64(books, bindings, results, detail, orders, events))
