"""What an explanation is told: a gate of the interpreter at one size, and what it looks at.

The numbers come from whoever decided, so that an explanation cannot show others. How they come about is
worked out here, and held against them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ringfence.language import ir
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.linking import Bound
from ringfence.language.orders import Book, Case, Instrument
from ringfence.language.rules import Check
from ringfence.language.tickets import Ticket

__all__ = ["AskedBook", "AskedGate", "AskedHolding", "Question"]


class AskedHolding(Protocol):
    """One symbol of a book: signed lots, what works on each side, and its mark."""

    instrument: Instrument
    lots: int
    buys: int
    sells: int
    orders: int
    mark: float
    age: float

    @property
    def lot_value(self) -> float:
        """Money per lot at the mark."""


class AskedBook(Protocol):
    """A book and its symbols."""

    book: Book

    @property
    def holdings(self) -> Mapping[str, AskedHolding]:
        """By symbol."""


class AskedGate(Protocol):
    """A gate with the limits in force, asked at one size: its values are the interpreter's."""

    @property
    def gate(self) -> Gate:
        """The gate."""

    @property
    def row(self) -> LimitRow:
        """The limits in force."""

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters' values; money in the policy set's currency."""

    @property
    def binding(self) -> list[Check]:
        """The checks that every parameter they need is given for."""

    def value_of(self, node: ir.Node) -> float:
        """The value of an expression."""

    def read(self, name: str) -> float:
        """The value of an input field."""


@dataclass(frozen=True, slots=True)
class Question:
    """One gate, the order at one size, and the book of the gate's level.

    Attributes:
        asked: The gate.
        bound: The gate with all limits that may be in force.
        case, ticket: The order, as given and as read.
        lots: The size that is explained.
        book: Of the gate's level; None where there is none.
        max_age: Seconds after which a held symbol's mark makes the book unknown; infinite for none.
        currency: Of the policy set.
    """

    asked: AskedGate
    bound: Bound
    case: Case
    ticket: Ticket
    lots: int
    book: AskedBook | None
    max_age: float
    currency: str

    @property
    def symbol(self) -> str:
        """Of the order."""
        return self.case.order.symbol

    @property
    def holding(self) -> AskedHolding | None:
        """What the book holds of the order's symbol."""
        return self.book.holdings.get(self.symbol) if self.book is not None else None

    @property
    def level(self) -> str:
        """Whose book the gate measures."""
        return self.asked.gate.level
