"""The compiled parts of a dry run that are kept on disk: made once, not in every process anew."""

import types
from functools import cache
from pathlib import Path

from ringfence.backends.numba_kernel.disk_cache import load_module

__all__ = ["compiled"]


@cache
def compiled(name: str) -> types.ModuleType:
    """The module `jit_{name}.py` beside this one, with machine code for its functions.

    They state their types: importing the module compiles them, or loads what was compiled.
    """
    text = Path(__file__).with_name(f"jit_{name}.py").read_text(encoding="utf-8")
    return load_module(text, lambda _: None)
