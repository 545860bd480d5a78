"""The compiled functions that move a ledger's books, compiled once and kept on disk."""

import types
from functools import lru_cache

from numba import types as nt

from ringfence.backends.numba_kernel.disk_cache import load_module

__all__ = ["book_moves"]

_WHOLE, _NUMBER = nt.int64, nt.float64
_SIGNATURES = {
    "reserve": [_WHOLE] * 5 + [_NUMBER],
    "release": [_WHOLE] * 5 + [_NUMBER, _WHOLE],
    "fill": [_WHOLE] * 5 + [_NUMBER] * 4 + [_WHOLE],
    "mark": [_WHOLE] * 3 + [_NUMBER] * 6,
    "open_with": [_WHOLE, _WHOLE, _NUMBER, _WHOLE],
    "deposit": [_WHOLE, _WHOLE, _NUMBER, _WHOLE],
    "withdraw": [_WHOLE, _WHOLE, _NUMBER, _WHOLE],
    "reset_day": [_WHOLE],
}
_TEXT = '''"""What a ledger calls."""

from numba import njit

from ringfence.backends.numba_kernel import jit_ledger

entry_point = njit(error_model="numpy", nogil=True, _nrt=False, cache=True)
''' + "".join(f"{name} = entry_point(jit_ledger.{name})\n" for name in _SIGNATURES)


@lru_cache(maxsize=1)
def book_moves() -> types.ModuleType:
    """The functions of `jit_ledger`, compiled; the first argument of each is a pack's address."""
    return load_module(_TEXT, _compile)


def _compile(module: types.ModuleType) -> None:
    for name, arguments in _SIGNATURES.items():
        getattr(module, name).compile(nt.void(*arguments))
