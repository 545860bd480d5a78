"""Where choices come from: hypothesis, which shrinks them, or a seed, which repeats them."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

__all__ = ["Chooser", "Drawn", "Seeded"]

T = TypeVar("T")


class Chooser(Protocol):
    """Makes the choices of a generator; the first of a sequence is what examples shrink to."""

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        ...

    def pick(self, among: Sequence[T]) -> T:
        """One of a sequence."""
        ...

    def chance(self, percent: int) -> bool:
        """True in `percent` of a hundred."""
        ...

    def some(self, among: Sequence[T], least: int, most: int) -> list[T]:
        """Between `least` and `most` different ones, in the order of the sequence."""
        ...


class _Base(ABC):
    @abstractmethod
    def whole(self, low: int, high: int) -> int: ...

    def pick(self, among: Sequence[T]) -> T:
        return among[self.whole(0, len(among) - 1)]

    def chance(self, percent: int) -> bool:
        # A shrunk example has zeros: everything that is by chance is left out.
        return self.whole(0, 99) >= 100 - percent

    def some(self, among: Sequence[T], least: int, most: int) -> list[T]:
        count = self.whole(min(least, len(among)), min(most, len(among)))
        left = list(range(len(among)))
        places = sorted(left.pop(self.whole(0, len(left) - 1)) for _ in range(count))
        return [among[place] for place in places]


class Seeded(_Base):
    """The same choices for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def whole(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


class Drawn(_Base):
    """Choices drawn by hypothesis."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def whole(self, low: int, high: int) -> int:
        return int(self._draw(_between(low, high))) if low < high else low


_KNOWN: dict[tuple[int, int], st.SearchStrategy[int]] = {}


def _between(low: int, high: int) -> st.SearchStrategy[int]:
    # Building a strategy costs more than drawing from it.
    found = _KNOWN.get((low, high))
    if found is None:
        # `sampled_from` is even; `integers` prefers small numbers.
        found = st.sampled_from(range(low, high + 1))
        _KNOWN[low, high] = found
    return found
