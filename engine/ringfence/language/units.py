"""Units of the language: what may be added, compared and multiplied.

A unit is a vector of exponents (money, quantity, time) with a kind that keeps apart what has no
dimension (ratio, count, state, boolean, choice) and, for money, the currency. `BOOK` stands for the
currency of the book that a gate measures; a named currency does not add up with it.
"""

from dataclasses import dataclass, replace

__all__ = [
    "BOOK",
    "BOOLEAN",
    "COUNT",
    "DURATION",
    "MONEY",
    "NUMBER",
    "PRICE",
    "QUANTITY",
    "RATIO",
    "STATE",
    "Unit",
    "UnitMismatchError",
    "add_units",
    "choice",
    "divide_units",
    "money_in",
    "multiply_units",
]

BOOK = "book"


class UnitMismatchError(Exception):
    """Two units that do not go together; `str()` names both."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Exponents of money, quantity and time; `kind` tells dimensionless units apart."""

    kind: str
    money: int = 0
    quantity: int = 0
    time: int = 0
    currency: str = ""
    choices: tuple[str, ...] = ()

    @property
    def dimensionless(self) -> bool:
        """True where all exponents are zero."""
        return self.money == self.quantity == self.time == 0

    @property
    def numeric(self) -> bool:
        """True for what arithmetic accepts: not a boolean, not a choice."""
        return self.kind not in ("boolean", "choice")

    def __str__(self) -> str:
        if self.currency and self.currency != BOOK:
            return f"{self.kind} in {self.currency}"
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        return self.kind


MONEY = Unit("money", money=1, currency=BOOK)
QUANTITY = Unit("quantity", quantity=1)
PRICE = Unit("price", money=1, quantity=-1, currency=BOOK)
DURATION = Unit("duration", time=1)
RATIO = Unit("ratio")
COUNT = Unit("count")
STATE = Unit("state")
NUMBER = Unit("number")
BOOLEAN = Unit("boolean")

_NAMED = {
    (1, 0, 0): "money",
    (0, 1, 0): "quantity",
    (1, -1, 0): "price",
    (0, 0, 1): "duration",
    (0, 0, 0): "ratio",
}


def money_in(currency: str) -> Unit:
    """Money in one named currency."""
    return replace(MONEY, currency=currency)


def choice(*names: str) -> Unit:
    """One of a fixed list of names."""
    return Unit("choice", choices=names)


def add_units(left: Unit, right: Unit, verb: str = "add") -> Unit:
    """The unit of a sum, a difference, a minimum or a comparison.

    Raises:
        UnitMismatchError: the units differ, or the currencies do. A bare number goes with any
            dimensionless unit.
    """
    if not (left.numeric and right.numeric):
        raise UnitMismatchError(f"cannot {verb} {left} and {right}")
    if (left.money, left.quantity, left.time) != (right.money, right.quantity, right.time):
        raise UnitMismatchError(f"cannot {verb} {left} and {right}")
    if left.money and left.currency != right.currency:
        raise UnitMismatchError(
            f"cannot {verb} {left} and {right}: no FX rate is declared between "
            f"{_currency(left)} and {_currency(right)}"
        )
    if left.kind == "number":
        return right
    if right.kind == "number" or left.kind == right.kind:
        return left
    raise UnitMismatchError(f"cannot {verb} {left} and {right}")


def multiply_units(left: Unit, right: Unit) -> Unit:
    """The unit of a product; raises `UnitMismatchError` on booleans, choices and two currencies."""
    return _combine(left, right, 1, "multiply")


def divide_units(left: Unit, right: Unit) -> Unit:
    """The unit of a quotient; raises `UnitMismatchError` on booleans, choices and two currencies."""
    return _combine(left, right, -1, "divide")


def _combine(left: Unit, right: Unit, sign: int, verb: str) -> Unit:
    if not (left.numeric and right.numeric):
        raise UnitMismatchError(f"cannot {verb} {left} and {right}")
    if left.money and right.money and left.currency != right.currency:
        raise UnitMismatchError(f"cannot {verb} {left} and {right}")
    if right.dimensionless and not left.dimensionless:
        return left
    if left.dimensionless and not right.dimensionless and sign > 0:
        return right
    if left.dimensionless and right.dimensionless:
        if right.kind == "number":
            return left
        return right if left.kind == "number" and sign > 0 else RATIO
    powers = (
        left.money + sign * right.money,
        left.quantity + sign * right.quantity,
        left.time + sign * right.time,
    )
    currency = (left.currency or right.currency) if powers[0] else ""
    kind = _NAMED.get(powers) or f"money^{powers[0]} quantity^{powers[1]} time^{powers[2]}"
    return Unit(kind, *powers, currency=currency)


def _currency(unit: Unit) -> str:
    return "the book's currency" if unit.currency == BOOK else unit.currency
