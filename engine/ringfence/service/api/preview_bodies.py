"""Bodies of previews: an order, or many as rows or as columns, and what would be decided of them."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from ringfence.runtime.order_columns import Coded, OrderColumns, coded, of_one
from ringfence.service.api.numbers import NO_NUMBER, MaybeNumber, Number, text_of
from ringfence.service.api.order_bodies import Name
from ringfence.service.api.problems import Fault, Problem

__all__ = [
    "COLUMN_NAMES",
    "MOST_ORDERS",
    "PreviewBody",
    "PreviewColumns",
    "PreviewOrders",
    "PreviewsBody",
    "columns_of",
]

MOST_ORDERS = 200_000
Side = Literal["buy", "sell"]
Type = Literal["limit", "market", "stop", "stop_limit"]


class PreviewBody(msgspec.Struct, forbid_unknown_fields=True):
    """An order to be previewed, on the market data that the guard has."""

    account: Name
    symbol: Name
    side: Side
    size: Number
    price: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    type: Type = "limit"
    strategy: Name = ""
    venue: Name = ""
    reduce_only: bool = False


class PreviewColumns(msgspec.Struct, forbid_unknown_fields=True):
    """Orders as columns, all as long as `size`; a value instead of a column holds for every order."""

    account: Name | list[Name]
    symbol: Name | list[Name]
    side: Side | list[Side]
    size: Annotated[list[Number], msgspec.Meta(min_length=1, max_length=MOST_ORDERS)]
    price: list[MaybeNumber] | None = None
    type: Type | list[Type] = "limit"
    strategy: Name | list[Name] = ""
    venue: Name | list[Name] = ""
    reduce_only: bool | list[bool] = False


#: Of the columns of orders.
COLUMN_NAMES = PreviewColumns.__struct_fields__


class PreviewOrders(msgspec.Struct, forbid_unknown_fields=True):
    """Orders to be previewed: a list of them, or columns, which are quicker to read."""

    orders: (
        Annotated[list[PreviewBody], msgspec.Meta(min_length=1, max_length=MOST_ORDERS)]
        | PreviewColumns
    )


class PreviewsBody(msgspec.Struct):
    """What would be decided: columns of one length, in the order of the orders.

    `code` is empty for APPROVE, `gate` where no gate decided.
    """

    policy_set: str
    decision: list[Literal["APPROVE", "REDUCE_SIZE", "REJECT"]]
    size: list[str]
    code: list[str]
    gate: list[str]


def columns_of(orders: list[PreviewBody] | PreviewColumns) -> OrderColumns:
    """Orders as the guard takes them.

    Raises:
        Problem: a size or price is no number, or columns differ in length; it names the place.
    """
    if isinstance(orders, PreviewColumns):
        return _of_columns(orders)
    return OrderColumns(
        coded([each.account for each in orders]),
        coded([each.symbol for each in orders]),
        coded([each.side for each in orders]),
        _numbers([each.size for each in orders], lambda row: f"/orders/{row}/size"),
        _numbers([each.price for each in orders], lambda row: f"/orders/{row}/price", none=True),
        coded([each.type for each in orders]),
        coded([each.strategy for each in orders]),
        coded([each.venue for each in orders]),
        coded([each.reduce_only for each in orders]),
    )


def _of_columns(orders: PreviewColumns) -> OrderColumns:
    count = len(orders.size)

    def column(name: str) -> Coded:
        given = getattr(orders, name)
        if not isinstance(given, list):
            return of_one(given, count)
        if len(given) != count:
            fault = Fault(
                f"it has {len(given)} rows, and `size` {count}", pointer=f"/orders/{name}"
            )
            raise Problem(
                "invalid-body",
                f"{fault.pointer}: {fault.detail}",
                fix="give columns of one length, or one value for all orders",
                errors=[fault],
            )
        if name in ("size", "price"):
            return _numbers(given, lambda row: f"/orders/{name}/{row}", none=name == "price")
        return coded(given)

    return OrderColumns(*(column(name) for name in OrderColumns._fields))


def _numbers(
    rows: Sequence[msgspec.Raw], place: Callable[[int], str], *, none: bool = False
) -> Coded:
    """Numbers as text; `place` tells where one stands, a JSON pointer, and `none` whether null is one."""
    values, places = coded(list(map(bytes, rows)))
    texts: list[Any] = []
    for k, content in enumerate(values):
        if none and content == b"null":
            texts.append(None)
            continue
        try:
            texts.append(text_of(content, ""))
        except Problem:
            text_of(content, place(int(np.argmax(places == k))))
    return Coded(texts, places)
