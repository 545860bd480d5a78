"""Rows by their names, of which the oldest goes for each that comes: in constant memory, and without a pause.

A dictionary that loses as many entries as it takes keeps the places of the lost ones. Once all are used it makes itself anew, with room
for three times what is in it: of a hundred thousand entries that took 20 ms, in which all orders wait, and 4 MB that it never gave back.
So the names are spread over many small dictionaries, each made anew in some microseconds, mostly before it would grow.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["LatestRows"]

_Row = TypeVar("_Row")
_PARTS = 256


class LatestRows(Generic[_Row]):
    """The latest `most` rows, by name.

    Args:
        most: How many.
        given: The first ones, the oldest first.
    """

    def __init__(self, most: int, given: Iterable[tuple[str, _Row]] = ()) -> None:
        self._most = most
        self._parts: list[dict[str, _Row]] = [{} for _ in range(_PARTS)]
        # Of each part: names that left it since it was made.
        self._gone = [0] * _PARTS
        self._most_gone = max(8, most // _PARTS // 2)
        # A dictionary does not find its first name at once after many have gone.
        self._names: deque[str] = deque()
        for name, row in given:
            self.add(name, row)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._parts[hash(name) % _PARTS]

    def get(self, name: str) -> _Row | None:
        """The row of a name; None where there is none, or it is no longer there."""
        return self._parts[hash(name) % _PARTS].get(name)

    def add(self, name: str, row: _Row) -> None:
        """Take in a name that is not there; the oldest goes where there are too many."""
        self._parts[hash(name) % _PARTS][name] = row
        self._names.append(name)
        while len(self._names) > self._most:
            self._forget(self._names.popleft())

    def change(self, name: str, row: _Row) -> None:
        """Another row for a name that is there."""
        self._parts[hash(name) % _PARTS][name] = row

    def rows(self) -> Iterator[_Row]:
        """All rows, the oldest first."""
        parts = self._parts
        return (parts[hash(name) % _PARTS][name] for name in self._names)

    def _forget(self, name: str) -> None:
        at = hash(name) % _PARTS
        del self._parts[at][name]
        self._gone[at] += 1
        if self._gone[at] > self._most_gone:
            self._parts[at], self._gone[at] = dict(self._parts[at]), 0
