"""The arrays of `layout` as compiled code sees them: a pack for each named tuple, read by its address."""

from typing import Any

from numba import types

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.jit_packs import Field, Pack, PackType, reader

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
# Tables, with the length of their rows where it is always the same.
_TABLES = {
    "sym": layout.SYM_WIDTH,
    "book": layout.BOOK_WIDTH,
    "book_n": layout.BOOK_N_WIDTH,
    "left": layout.LEFT_WIDTH,
    "left_size": 2,
    "quotes": 2,
    "quote_prices": 3,
    "lists": layout.LISTS_WIDTH,
    "entry": layout.ENTRY_WIDTH,
    "window": 2,
    "open": layout.OPEN_WIDTH,
    "open_lots": 5,
    "ends": 3,
    "halts": layout.HALT_WIDTH,
    **dict.fromkeys(
        (
            "pos_orders",
            "held",
            "held_at",
            "holders",
            "holder_at",
            "rate_ts",
            "rate_what",
            "params",
            "by_list",
            "permits",
            "confirm_n",
            "confirm_ts",
        ),
        0,
    ),
    **dict.fromkeys(("outcome", "measure", "limit"), 0),
}
_CUBES = {"pos": layout.POS_WIDTH, "held_sides": 2, "moves": 0}


def _element(alias: object) -> types.Type:
    return next(kind for name, kind in _ELEMENTS.items() if alias == getattr(layout, name))


def _pack_type(kind: type) -> PackType:
    fields = []
    for name, alias in kind.__annotations__.items():
        dimensions = 3 if name in _CUBES else 2 if name in _TABLES else 1
        width = _CUBES.get(name, 0) or _TABLES.get(name, 0)
        fields.append(Field(name, types.Array(_element(alias), dimensions, "C"), width))
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
