"""What a ledger is told, read: sizes, amounts of money, prices, sides."""

from decimal import Decimal
from typing import Any

from ringfence.errors import LedgerError
from ringfence.language.orders import COUNTABLE, to_decimal

__all__ = ["read_account", "read_amount", "read_number", "read_side", "read_size"]

QUANTA = 10**6


def read_number(value: Any) -> float:
    """A price or fee as float64; NaN where it is no number."""
    if isinstance(value, float):
        return value
    number = None if value is None else to_decimal(value)
    return float("nan") if number is None else float(number)


def read_amount(value: Any) -> float:
    """An amount of money, in units of its currency.

    Raises:
        LedgerError: it is none, or more than float64 counts in millionths.
    """
    number = to_decimal(value)
    if number is None or abs(number) * QUANTA > COUNTABLE:
        raise LedgerError(
            f"`{value}` is no amount of money that can be counted",
            fix="give a number, of less than nine billion",
        )
    return float(number)


def read_size(value: Any) -> Decimal:
    """A size in units of the base.

    Raises:
        LedgerError: it is no number above zero.
    """
    number = to_decimal(value)
    if number is None or number <= 0:
        raise LedgerError(
            f"size `{value}` is not a number above zero",
            fix="give it in units of the base, without a sign",
        )
    return number


def read_side(value: str) -> str:
    """`buy` or `sell`.

    Raises:
        LedgerError: it is neither.
    """
    if value not in ("buy", "sell"):
        raise LedgerError(f"side `{value}` is neither buy nor sell", fix="give `buy` or `sell`")
    return value


def read_account(name: str) -> str:
    """The name of an account.

    Raises:
        LedgerError: it is empty.
    """
    if not name:
        raise LedgerError("an order needs the name of its account", fix="name the account")
    return name
