"""Compiled decisions: the same answers as the reference interpreter's, for one order and for columns."""

from ringfence.backends.numba_kernel.decide import decide

__all__ = ["decide"]
