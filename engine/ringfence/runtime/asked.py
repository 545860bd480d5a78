"""Orders and market data as a guard takes them: read once, of exact built-in types, or refused.

An object of another type runs code of its own when it is compared or formatted, and can be something else
the next time it is looked at. None is looked at twice, and none but the types named here is looked into.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from ringfence.language.fields import ORDER_TYPES
from ringfence.language.orders import OrderRequest
from ringfence.language.tickets import Refusal

__all__ = [
    "KINDS",
    "LONGEST_NUMBER",
    "SIDES",
    "Asked",
    "MarketData",
    "inputs_of",
    "market_inputs",
    "read_known",
    "read_market",
    "read_number",
    "read_order",
    "read_request_id",
    "shown",
    "without_nan",
]

NAN = float("nan")
LONGEST_NAME = 200
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,100}")
# Digits of a size or price: what float64 counts, and room for zeros on both sides.
LONGEST_NUMBER = 60
_NUMBERS = (Decimal, float, int, str)
_USUAL = frozenset((float, type(None)))
_INFINITE = float("inf")
# Numbers above zero by their text: most traders send the same ones again and again.
_KNOWN_NUMBERS = 4096
_known: dict[str, tuple[Decimal, float]] = {}
#: By their words.
SIDES = {"buy": 1, "sell": -1}
KINDS = {name: code for code, name in enumerate(ORDER_TYPES)}
_FIELDS = (
    "account",
    "strategy",
    "venue",
    "symbol",
    "side",
    "type",
    "size",
    "price",
    "reduce_only",
    "client_order_id",
    "timestamp",
)
_PRICES = ("bid", "ask", "last", "bid_depth", "ask_depth", "volume")


@dataclass(slots=True)
class MarketData:
    """Market data of one symbol; None or NaN where a number is missing.

    Attributes:
        bid, ask, last: Prices in the quote currency.
        timestamp: Its time, nanoseconds since 1970 UTC.
        bid_depth, ask_depth, volume: Sizes in units of the base.
    """

    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    timestamp: int = 0
    bid_depth: float | None = None
    ask_depth: float | None = None
    volume: float | None = None


class Asked(NamedTuple):
    """An order's fields, read once; `size` is above zero, `price` NaN where there is none."""

    account: str
    strategy: str
    venue: str
    symbol: str
    side: int
    side_name: str
    kind: int
    type: str
    size: Decimal
    price: float
    exact_price: Decimal | None
    reduce_only: bool
    client_order_id: str


def read_request_id(given: Any) -> str:
    """The name of the request that brought an order; empty where it is no short word of letters, digits and `._:-`.

    It changes no decision, so that a bad one is left out, and no reason to refuse.
    """
    return given if type(given) is str and _REQUEST_ID.fullmatch(given) else ""


def read_order(given: Any) -> Asked | Refusal:
    """Read an order, or say why it cannot be."""
    if type(given) is not OrderRequest:
        return Refusal("INVALID_ORDER", "the order is no `OrderRequest`")
    account, strategy, venue, symbol = given.account, given.strategy, given.venue, given.symbol
    side_name, kind_name, client_order_id = given.side, given.type, given.client_order_id
    size, price, timestamp = given.size, given.price, given.timestamp
    # Whoever made it may not have kept to its type.
    reduce_only: Any = given.reduce_only
    if not (
        type(account) is str
        and type(strategy) is str
        and type(venue) is str
        and type(symbol) is str
        and type(side_name) is str
        and type(kind_name) is str
        and type(client_order_id) is str
    ):
        return Refusal("INVALID_ORDER", "a name of the order is no text")
    if client_order_id and not (
        len(client_order_id) <= LONGEST_NAME
        and client_order_id.isascii()
        and client_order_id.isprintable()
    ):
        return Refusal(
            "INVALID_CLIENT_ORDER_ID",
            f"the client order id is not printable ASCII of at most {LONGEST_NAME} characters",
        )
    if type(reduce_only) is not bool:
        return Refusal("INVALID_ORDER", "`reduce_only` is neither true nor false")
    if timestamp is not None and type(timestamp) is not int:
        return Refusal("INVALID_ORDER", "the timestamp is no whole number of nanoseconds")
    if side_name == "buy":
        side = 1
    elif side_name == "sell":
        side = -1
    else:
        return Refusal("INVALID_SIDE", f"side {shown(side_name)} is neither buy nor sell")
    kind = KINDS.get(kind_name)
    if kind is None:
        return Refusal("INVALID_TYPE", f"order type {shown(kind_name)} is not supported")
    exact, _ = (_known.get(size) if type(size) is str else None) or _positive(size)
    if exact is None:
        return Refusal("INVALID_SIZE", f"size {shown(size)} is not a number above zero")
    exact_price, number = (_known.get(price) if type(price) is str else None) or _positive(price)
    # Not a number, infinite, zero or below: a comparison that fails for all of them.
    if not 0.0 < number < _INFINITE and (price is not None or kind_name != "market"):
        return Refusal("INVALID_PRICE", f"price {shown(price)} is not a number above zero")
    return _new(
        Asked,
        (
            account,
            strategy,
            venue,
            symbol,
            side,
            side_name,
            kind,
            kind_name,
            exact,
            number,
            exact_price,
            reduce_only,
            client_order_id,
        ),
    )


def read_known(
    names: tuple[str, str, str, str],
    side: str,
    kind: str,
    size: str,
    price: str | None,
    *,
    reduce_only: bool,
) -> Asked | Refusal:
    """As `read_order`, quickly where numbers were read before; types must be known to be right.

    Args:
        names: Account, strategy, venue, symbol.
        side, kind, size, price, reduce_only: As of an `OrderRequest`.
    """
    exact, exact_price = _known.get(size), _known.get(price or "")
    if exact is None or exact_price is None or kind not in KINDS or side not in SIDES:
        account, strategy, venue, symbol = names
        return read_order(
            OrderRequest(
                account,
                symbol,
                side,
                size,
                price,
                type=kind,
                strategy=strategy,
                venue=venue,
                reduce_only=reduce_only,
            )
        )
    return _new(
        Asked,
        (
            *names,
            SIDES[side],
            side,
            KINDS[kind],
            kind,
            exact[0],
            exact_price[1],
            exact_price[0],
            reduce_only,
            "",
        ),
    )


# Quicker than the call of the class, which binds each argument to its name.
_new: Callable[[type[Asked], tuple[Any, ...]], Asked] = tuple.__new__


def read_number(text: str | None) -> tuple[Decimal | None, float]:
    """A size or price as `read_order` reads it: exactly and as float64; None and NaN where it is not above zero."""
    return (_known.get(text) if text is not None else None) or _positive(text)


def _positive(value: Any) -> tuple[Decimal | None, float]:
    """A finite number above zero, exactly and as float64; None and NaN for anything else."""
    exact = value if type(value) is Decimal else _decimal(value)
    if exact is None or not exact.is_finite() or exact <= 0:
        return None, NAN
    number = float(exact)
    if type(value) is str:
        if len(_known) >= _KNOWN_NUMBERS:
            _known.clear()
        _known[value] = exact, number
    return exact, number


def read_market(given: Any) -> tuple[int, tuple[float, ...]] | Refusal | None:
    """Time and numbers (bid, ask, last, depths, volume) of market data; None where none is given."""
    if given is None:
        return None
    if type(given) is not MarketData:
        return Refusal("INVALID_MARKET_DATA", "the market data is no `MarketData`")
    timestamp = given.timestamp
    # An int64; a time before 1970 is none.
    if type(timestamp) is not int or not 0 <= timestamp < 2**63:
        return Refusal("INVALID_MARKET_DATA", "the timestamp is no whole number of nanoseconds")
    numbers = (
        given.bid,
        given.ask,
        given.last,
        given.bid_depth,
        given.ask_depth,
        given.volume,
    )
    if _USUAL.issuperset(map(type, numbers)):
        return timestamp, tuple([NAN if number is None else number for number in numbers])
    read = []
    for name, number in zip(_PRICES, numbers, strict=True):
        if type(number) is float:
            read.append(number)
        elif number is None:
            read.append(NAN)
        elif type(number) in _NUMBERS:
            read.append(_price(number))
        else:
            return Refusal("INVALID_MARKET_DATA", f"`{name}` is no number")
    return timestamp, tuple(read)


def without_nan(numbers: Iterable[float]) -> list[float | None]:
    """Numbers of market data for an event: None where one is missing, which JSON has a word for."""
    return [number if number == number else None for number in numbers]


def _decimal(value: Any) -> Decimal | None:
    kind = type(value)
    try:
        if kind is str:
            return Decimal(value) if len(value) <= LONGEST_NUMBER else None
        if kind is float:
            return Decimal(repr(value))
        if kind is int:
            return Decimal(value) if value.bit_length() <= 3 * LONGEST_NUMBER else None
    except InvalidOperation:
        return None
    return value if kind is Decimal else None


def _price(value: Any) -> float:
    if type(value) is float:
        return value
    if value is None:
        return NAN
    exact = _decimal(value)
    return NAN if exact is None or not exact.is_finite() else float(exact)


def shown(value: Any) -> str:
    """A value for a reason: exact text and numbers as they are, cut; of all else, that it is none."""
    if type(value) in _NUMBERS:
        if type(value) is int and value.bit_length() > 3 * LONGEST_NUMBER:
            return "of too many digits"
        return f"`{ascii(str(value))[1:-1][:LONGEST_NUMBER]}`"
    return "`None`" if value is None else "of another type"


def inputs_of(given: Any, market: Any) -> dict[str, Any]:
    """What was passed in, for an audit record, as far as it can be told without running its code."""
    order: Any = "no `OrderRequest`"
    if type(given) is OrderRequest:
        order = {name: _plain(getattr(given, name, None)) for name in _FIELDS}
    return {"order": order, "market": None if market is None else market_inputs(market)}


def market_inputs(market: Any) -> Any:
    """Market data that was passed in, as `inputs_of` tells it."""
    if type(market) is not MarketData:
        return "no `MarketData`"
    return {name: _plain(getattr(market, name, None)) for name in (*_PRICES, "timestamp")}


def _plain(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is float:
        return value
    if kind is int:
        return value if value.bit_length() <= 63 else "a whole number of too many digits"
    if kind is str or kind is Decimal:
        # Text of a Decimal is not cut, but its digits can be many.
        return str(value)[:1_000].encode("ascii", "backslashreplace").decode("ascii")
    return "of another type"
