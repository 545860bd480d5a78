"""The reference interpreter: short, slow, plain; every other backend is held against it."""

from ringfence.backends.reference.decide import decide

__all__ = ["decide"]
