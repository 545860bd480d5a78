"""What a venue says of an account, against the books."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence.errors import InputError
from ringfence.language.instruments import to_decimal

if TYPE_CHECKING:
    from ringfence.runtime.book_view import BookView

__all__ = ["Difference", "VenueSnapshot", "differences"]


@dataclass(frozen=True, slots=True)
class VenueSnapshot:
    """An account as the venue sees it.

    Attributes:
        account: The account.
        positions: Signed size by symbol, in units of the base; a symbol that is absent is not held.
        open_orders: Unfilled size by order id (`GuardDecision.id`); an order that is absent is not open.
        cash: In the policy set's currency; None where it is not compared.
        cash_tolerance: So much may the cash differ.
    """

    account: str
    positions: Mapping[str, Any] = field(default_factory=dict)
    open_orders: Mapping[str, Any] = field(default_factory=dict)
    cash: Any = None
    cash_tolerance: Any = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that books and venue do not agree in; sizes in units of the base, money in its currency.

    `kind` is `position`, `order` or `cash`; `subject` the symbol or the order's id; None stands for
    something that is unknown or not there.
    """

    account: str
    kind: str
    subject: str
    ours: Decimal | None
    theirs: Decimal | None


def differences(book: "BookView", snapshot: VenueSnapshot) -> tuple[Difference, ...]:
    """Everything that differs, positions first.

    Raises:
        InputError: the snapshot holds something that is no number.
    """
    return tuple(_differences(book, snapshot))


def _differences(book: "BookView", snapshot: VenueSnapshot) -> Iterator[Difference]:
    held = {symbol: each.size for symbol, each in book.positions.items()}
    theirs = {symbol: _number(size) for symbol, size in snapshot.positions.items()}
    for symbol in sorted({*held, *theirs}):
        pair = held.get(symbol, Decimal(0)), theirs.get(symbol, Decimal(0))
        if pair[0] != pair[1]:
            yield Difference(snapshot.account, "position", symbol, *pair)
    working = {order.order_id: order.size for order in book.open_orders}
    opened = {name: _number(size) for name, size in snapshot.open_orders.items()}
    for name in sorted({*working, *opened}):
        if working.get(name) != opened.get(name):
            yield Difference(snapshot.account, "order", name, working.get(name), opened.get(name))
    if snapshot.cash is not None:
        ours, said = to_decimal(book.cash), _number(snapshot.cash)
        if ours is None or abs(ours - said) > _number(snapshot.cash_tolerance):
            yield Difference(snapshot.account, "cash", book.name, ours, said)


def _number(value: Any) -> Decimal:
    number = to_decimal(value)
    if number is None:
        raise InputError(
            f"`{value}` in the venue's snapshot is no number",
            "give sizes and cash as decimal numbers",
        )
    return number
