"""The arrays of `layout` as compiled code sees them: a pack for each named tuple, read by its address."""

from typing import Any

from numba import types

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.jit_packs import Pack, PackType, reader

__all__ = [
    "bindings_at",
    "books_at",
    "detail_at",
    "events_at",
    "orders_at",
    "pack",
    "results_at",
]

_ELEMENTS = {
    "Floats": types.float64,
    "Longs": types.int64,
    "Ints": types.int32,
    "Small": types.int8,
    "Bytes": types.uint8,
    "Codes": types.int16,
}
_CUBES = frozenset({"pos", "moves"})
_TABLES = frozenset(
    {
        "sym", "pos_orders", "book", "book_n", "held", "held_at", "holders", "holder_at", "rate_ts",
        "left", "left_size", "quotes", "quote_prices", "lists", "entry", "params", "window",
        "permits", "outcome", "measure", "limit", "open", "open_lots", "ends",
    }
)  # fmt: skip


def _element(alias: object) -> types.Type:
    return next(kind for name, kind in _ELEMENTS.items() if alias == getattr(layout, name))


def _pack_type(kind: type) -> PackType:
    fields = []
    for name, alias in kind.__annotations__.items():
        dimensions = 3 if name in _CUBES else 2 if name in _TABLES else 1
        fields.append((name, types.Array(_element(alias), dimensions, "C")))
    return PackType(kind.__name__, tuple(fields))


_TYPES = {
    kind: _pack_type(kind)
    for kind in (
        layout.Books,
        layout.Bindings,
        layout.Results,
        layout.Detail,
        layout.Orders,
        layout.Events,
    )
}
books_at = reader(_TYPES[layout.Books])
bindings_at = reader(_TYPES[layout.Bindings])
results_at = reader(_TYPES[layout.Results])
detail_at = reader(_TYPES[layout.Detail])
orders_at = reader(_TYPES[layout.Orders])
events_at = reader(_TYPES[layout.Events])


def pack(arrays: Any) -> Pack:
    """The block of one of the layout's named tuples."""
    return Pack(_TYPES[type(arrays)], arrays)
