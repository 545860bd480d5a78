"""Columns of orders asked about on a live guard's books, each as if it were the only one; nothing moves."""

import types
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types as nt

from ringfence.backends.numba_kernel.disk_cache import load_module
from ringfence.backends.numba_kernel.jit_packs import Field, Pack, PackType
from ringfence.backends.numba_kernel.layout import REFUSALS, Codes, Floats, Ints, Small
from ringfence.backends.numba_kernel.live_entry import LiveEntry

__all__ = ["AskedColumns", "ColumnsPack", "ask_columns", "compiled"]


class AskedColumns(NamedTuple):
    """Orders, and room for what is found; rows whose `lots` are not above zero are left out.

    Names are codes. `decision` is 0 APPROVE, 1 REDUCE_SIZE or 2 REJECT; `allowed` what may be sent, in lots; `code` and
    `gate` as in `Results`; `again` the place of the gate that a reduced size failed at, or -1.
    """

    account: Ints
    strategy: Ints
    venue: Ints
    symbol: Ints
    side: Small
    kind: Small
    reduce_only: Small
    lots: Floats
    price: Floats
    decision: Small
    allowed: Floats
    code: Codes
    gate: Codes
    again: Ints

    @classmethod
    def room(cls, count: int) -> "AskedColumns":
        """Room for so many orders."""
        return cls(*(np.zeros(count, dtype) for _, dtype in _COLUMNS))


_COLUMNS = (
    *((name, np.int32) for name in ("account", "strategy", "venue", "symbol")),
    *((name, np.int8) for name in ("side", "kind", "reduce_only")),
    *((name, np.float64) for name in ("lots", "price")),
    ("decision", np.int8),
    ("allowed", np.float64),
    ("code", np.int16),
    ("gate", np.int16),
    ("again", np.int32),
)
_KIND = PackType(
    "AskedColumns",
    tuple(
        Field(name, nt.Array(getattr(nt, np.dtype(dtype).name), 1, "C"), 0)
        for name, dtype in _COLUMNS
    ),
)
# It keeps the interpreter's lock, as `live_entry` does: a hundred orders take less time than giving it back.
_TEXT = '''"""What a live guard calls for columns of orders."""

from numba import njit, types

from ringfence.backends.numba_kernel.jit_entry import call_decide
from ringfence.backends.numba_kernel.jit_layout import books_at, detail_at, results_at
from ringfence.backends.numba_kernel.jit_numbers import usable
from ringfence.backends.numba_kernel.jit_packs import Field, PackType, reader
from ringfence.backends.numba_kernel.jit_rows import valuation_price
from ringfence.backends.numba_kernel.layout import AGAIN_ENTRY

question_at = reader(PackType("Question", (Field("whole", types.Array(types.int64, 1, "C"), 0),)))
columns_at = reader(PackType("AskedColumns", ({fields})))


@njit(error_model="numpy", _nrt=False, cache=True)
def ask_columns(question, columns, now, first, last):
    whole, C = question_at(question).whole, columns_at(columns)
    decide, books, bindings, results, details = whole[0], whole[1], whole[2], whole[3], whole[4]
    sym, R, D = books_at(books).sym, results_at(results), detail_at(details)
    for i in range(first, last):
        if not C.lots[i] > 0.0:
            continue
        s, side, kind, price = C.symbol[i], C.side[i], C.kind[i], C.price[i]
        value = valuation_price(sym, s, side, kind, price)
        if not usable(value):
            C.decision[i], C.code[i] = 2, {no_price}
            continue
        D.stage[0] = 0
        C.allowed[i] = call_decide(
            decide, books, bindings, results, details, 1, 0, now, C.account[i], C.strategy[i], C.venue[i], s,
            side, kind, C.lots[i], 0, price, value, C.reduce_only[i],
        )
        C.decision[i] = R.decision[0]
        C.code[i] = R.code[0]
        C.gate[i] = R.gate[0]
        C.again[i] = D.again[AGAIN_ENTRY] if D.stage[0] >= 3 else -1
'''.replace("{no_price}", str(REFUSALS.index("NO_PRICE"))).replace(
    "{fields}",
    " ".join(
        f'Field("{name}", types.Array(types.{np.dtype(dtype).name}, 1, "C"), 0),'
        for name, dtype in _COLUMNS
    ),
)


class ColumnsPack(Pack):
    """Columns for compiled code."""

    def __init__(self, columns: AskedColumns) -> None:
        super().__init__(_KIND, columns)


def ask_columns(entry: LiveEntry, columns: ColumnsPack, now_ns: int, first: int, last: int) -> None:
    """Decide the rows from `first` up to `last` on books as they are, by the limits of `entry`."""
    compiled().ask_columns(entry.address, columns.address, now_ns, first, last)


@lru_cache(maxsize=1)
def compiled() -> types.ModuleType:
    """The function of the text above, compiled."""
    return load_module(_TEXT, _compile)


def _compile(module: types.ModuleType) -> None:
    module.ask_columns.compile(nt.void(*[nt.int64] * 5))
