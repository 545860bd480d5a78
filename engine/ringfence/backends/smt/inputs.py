"""What a formula may read, and for what it is read: a gate's book, its parameters, one size of the order."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from ringfence.backends.smt.terms import Expr, Term
from ringfence.language.fields import FIELDS, MESSAGES

__all__ = ["BY_LEVEL", "BY_SIZE", "MAY_LACK", "Inputs", "Reading", "Size", "used_values"]

#: Fields that differ by the level of the gate's book.
BY_LEVEL = frozenset(name for name in FIELDS if name.startswith("book.")) | {
    "order.risk_reducing",
    "order.full_close",
    *MESSAGES,
}
#: Fields that differ by the size of the order.
BY_SIZE = frozenset(name for name, each in FIELDS.items() if each.rises) | {
    "order.risk_reducing",
    "order.full_close",
}
#: Without a window the present price counts alone, and no orders can be counted.
MAY_LACK = ("window",)


class Size(StrEnum):
    """The sizes that one question may speak of, in rising order; each is one lot or more."""

    GIVEN = "given"
    """A size below the one asked."""
    NEXT = "next"
    """One lot more than that."""
    MORE = "more"
    """Another size below the one asked, and above the one given."""
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Reading:
    """For whom a field is read.

    `params` are the gate's values as the reference has them (money in the set's currency); `max_age` is
    the oldest mark, in seconds, that leaves a portfolio known.
    """

    level: str
    params: Mapping[str, Any]
    max_age: float
    size: Size


class Inputs(Protocol):
    """Every order, book and market that is considered: all of them, or those of one scene.

    `memo` keeps what was built over them, for gates read the same fields and are asked more than once.
    """

    memo: dict[Any, Any]

    def read(self, name: str, reading: Reading) -> Term:
        """The value of an input field."""
        ...

    def too_small(self, size: Size) -> Expr:
        """Whether the venue would not take a reduced size (`answers.too_small`)."""
        ...

    def axioms(self) -> list[Expr]:
        """What holds of all that was read so far."""
        ...


def used_values(name: str, params: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The parameters' values that a field is computed with; None where one is missing."""
    values = []
    for used in FIELDS[name].uses:
        if used not in params and used not in MAY_LACK:
            return None
        values.append(params.get(used))
    return tuple(values)
