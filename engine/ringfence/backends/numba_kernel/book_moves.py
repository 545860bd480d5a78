"""The compiled functions that move a ledger's books, compiled once and kept on disk."""

import types
from functools import lru_cache
from typing import Any

from numba import types as nt

from ringfence.backends.numba_kernel.disk_cache import load_module

__all__ = ["book_moves"]

_WHOLE, _NUMBER = nt.int64, nt.float64
_ORDER = dict.fromkeys(("address", "account", "strategy", "s", "side"), _WHOLE)
_MONEY = {"address": _WHOLE, "b": _WHOLE, "amount": _NUMBER, "firm": _WHOLE}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "reserve": {**_ORDER, "lots": _NUMBER},
    "release": {**_ORDER, "lots": _NUMBER},
    "fill": {
        **_ORDER,
        **dict.fromkeys(("lots", "working", "price", "fee"), _NUMBER),
        "ends": _WHOLE,
    },
    "mark": {
        **dict.fromkeys(("address", "s", "ts"), _WHOLE),
        **dict.fromkeys(("bid", "ask", "last", "bid_depth", "ask_depth", "volume"), _NUMBER),
    },
    "leave": {
        **_ORDER,
        **dict.fromkeys(("lots", "price"), _NUMBER),
        "now": _WHOLE,
    },
    "cancel": dict.fromkeys(("address", "account", "strategy", "s", "now"), _WHOLE),
    "quote": dict.fromkeys(("address", "s", "now"), _WHOLE),
    "open_with": _MONEY,
    "deposit": _MONEY,
    "withdraw": _MONEY,
    "reset_day": {"address": _WHOLE},
}

_HEAD = '''"""What a ledger calls."""

from numba import njit

from ringfence.backends.numba_kernel import jit_ledger

# They keep the interpreter's lock: a move takes less time than giving the lock back and waiting for it.
entry_point = njit(error_model="numpy", _nrt=False, cache=True)
'''
# Defined here, not taken over: numba keeps machine code beside the file that a function stands in.
_ENTRY = """

@entry_point
def {name}({arguments}):
    jit_ledger.{name}({arguments})
"""
_TEXT = _HEAD + "".join(
    _ENTRY.format(name=name, arguments=", ".join(of)) for name, of in _ARGUMENTS.items()
)


@lru_cache(maxsize=1)
def book_moves() -> types.SimpleNamespace:
    """The functions of `jit_ledger`, compiled; the first argument of each is a pack's address."""
    module = load_module(_TEXT, _compile)
    entries = {}
    for name in _ARGUMENTS:
        # The compiled function's own entry: numba's dispatcher looks at the type of each argument first.
        (made,) = getattr(module, name).overloads.values()
        entries[name] = made.entry_point
    return types.SimpleNamespace(**entries)


def _compile(module: types.ModuleType) -> None:
    for name, arguments in _ARGUMENTS.items():
        getattr(module, name).compile(nt.void(*arguments.values()))
