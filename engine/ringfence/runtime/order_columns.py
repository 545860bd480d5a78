"""Many orders as columns: of each column the values that occur, and for each row the place of its value.

Names, sizes and prices of many orders are few, or come again and again; each is then read once.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Coded", "OrderColumns", "PreviewedColumns", "coded", "of_one"]

Places = npt.NDArray[np.int32]


class Coded(NamedTuple):
    """A column: row k holds `values[places[k]]`."""

    values: list[Any]
    places: Places

    def rows(self) -> list[Any]:
        """The value of each row."""
        values = self.values
        return [values[k] for k in self.places.tolist()]


class OrderColumns(NamedTuple):
    """Orders as columns of one length; the types of the values must be known to be right.

    Sizes and prices are text, and None where there is no price; all else as of an `OrderRequest`.
    """

    account: Coded
    symbol: Coded
    side: Coded
    size: Coded
    price: Coded
    type: Coded
    strategy: Coded
    venue: Coded
    reduce_only: Coded

    @property
    def rows(self) -> int:
        """How many orders."""
        return len(self.account.places)


class PreviewedColumns(NamedTuple):
    """What would be decided of many orders: decisions, sizes as text, codes of reasons, and deciding gates.

    Codes are empty for APPROVE, gates where no gate decided.
    """

    decision: Coded
    size: Coded
    code: Coded
    gate: Coded


class Size(NamedTuple):
    """A size, as an evaluator takes it."""

    size: Decimal


def coded(rows: Sequence[Any]) -> Coded:
    """Code a column that is given row by row; values must be hashable, and of one type."""
    values = list(dict.fromkeys(rows))
    place = {value: k for k, value in enumerate(values)}
    return Coded(values, np.fromiter(map(place.__getitem__, rows), np.int32, len(rows)))


def of_one(value: Any, count: int) -> Coded:
    """A column with one value in all of its rows."""
    return Coded([value], np.zeros(count, np.int32))


def recoded(values: Iterable[Any], places: npt.NDArray[Any]) -> Coded:
    """A column whose values may be equal to one another, as one where each stands once."""
    given = list(values)
    known: dict[Any, int] = {}
    to = np.fromiter((known.setdefault(each, len(known)) for each in given), np.int32, len(given))
    return Coded(list(known), to[places] if given else np.zeros(len(places), np.int32))
