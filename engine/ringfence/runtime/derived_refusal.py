"""Orders that were refused before any gate was asked: which of these a record can show to have been right."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ringfence.language.instruments import convert
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import OrderRequest, whole_lots
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import Asked, MarketData, read_market, read_order, shown
from ringfence.runtime.audit_decision import order_in

__all__ = ["OF_STATE", "derived_refusal"]

#: What is answered where nothing but the guard's state says so; a record holds none of it.
OF_STATE = "state"
_OF_ORDER = frozenset(
    (
        "INVALID_ORDER",
        "INVALID_CLIENT_ORDER_ID",
        "INVALID_SIDE",
        "INVALID_TYPE",
        "INVALID_SIZE",
        "INVALID_PRICE",
    )
)
_OF_MARKET = "INVALID_MARKET_DATA"
# Answered before the order is looked at.
_FIRST = frozenset(("STATE_UNAVAILABLE", "GUARD_CLOSED", "INTERNAL_ERROR"))
_UNREADABLE = Refusal("INVALID_ORDER", "the order or its market data cannot be read")
# What `inputs_of` writes for values that it does not look into.
_LOST = {"of another type": object(), "a whole number of too many digits": 1 << 400}


def derived_refusal(body: dict[str, Any], linked: LinkedSet) -> str | None:
    """The reason that a refused order's record gives rise to.

    Args:
        body: Of a decision that no gate was asked for.
        linked: The policy set that it names.

    Returns:
        The reason, where the record gives rise to one; `OF_STATE` where only the guard's state could say
        whether the recorded one is right; None where the record gives no reason to refuse.
    """
    code, told = str(body.get("code")), body.get("reason")
    if code in _FIRST:
        return OF_STATE
    readings = [read_order(each) for each in _orders(body)]
    refusals = [_reason(each) for each in readings if isinstance(each, Refusal)]
    if code in _OF_ORDER and _reason(_UNREADABLE) == told:
        return _reason(_UNREADABLE)
    if len(refusals) == len(readings) or (code in _OF_ORDER and refusals):
        return _best(refusals, told)
    markets = [read_market(each) for each in _markets(body)]
    refusals = [_reason(each) for each in markets if isinstance(each, Refusal)]
    if len(refusals) == len(markets) or (code == _OF_MARKET and refusals):
        return _best(refusals, told)
    if code in _OF_ORDER or code == _OF_MARKET:
        return None
    found = [_by_set(code, told, each, linked) for each in readings if isinstance(each, Asked)]
    return told if told in found else found[0]


def _by_set(code: str, told: Any, asked: Asked, linked: LinkedSet) -> str | None:
    """Refusals that hang on what the policy set declares; in older records they do not name the order's value."""
    desk = linked.desk
    instrument = desk.instruments.get(asked.symbol)
    if instrument is None:
        if code == "UNKNOWN_INSTRUMENT":
            older = "UNKNOWN_INSTRUMENT the symbol is no known instrument"
            named = f"UNKNOWN_INSTRUMENT symbol {shown(asked.symbol)} is no known instrument"
            return older if told == older else named
        # Books may hold it from another set.
        return OF_STATE
    known = {
        "UNKNOWN_INSTRUMENT": True,
        "UNKNOWN_ACCOUNT": asked.account in desk.accounts,
        "UNKNOWN_STRATEGY": asked.strategy in ("", *desk.strategies),
        "UNKNOWN_VENUE": asked.venue in ("", *desk.venues),
    }
    if known.get(code):
        return None
    if code in known:
        return OF_STATE
    if not whole_lots(asked.size, instrument.lot_step):
        rest = f"is no multiple of the lot step {instrument.lot_step}"
        older = f"SIZE_OFF_STEP the size {rest}"
        return older if told == older else f"SIZE_OFF_STEP size {shown(asked.size)} {rest}"
    if convert(desk.fx, instrument.quote, linked.currency) is None:
        return f"NO_FX_RATE no FX rate between {instrument.quote} and {linked.currency}"
    return None if code in ("SIZE_OFF_STEP", "NO_FX_RATE") else OF_STATE


def _reason(refusal: Refusal) -> str:
    return f"{refusal.code} {refusal.message}"


def _best(reasons: list[str], told: Any) -> str:
    return told if told in reasons else reasons[0]


def _orders(body: dict[str, Any]) -> Iterator[Any]:
    """What the order may have been: of some values only their text was recorded."""
    order = order_in(body)
    if not order:
        yield None
        return
    yield from _made(OrderRequest, order)
    for name in ("size", "price"):
        if isinstance(order.get(name), str):
            yield from _made(OrderRequest, {**order, name: _decimal(order[name])})


def _markets(body: dict[str, Any]) -> Iterator[Any]:
    inputs = body.get("inputs")
    market = inputs.get("market") if isinstance(inputs, dict) else None
    if isinstance(market, dict):
        yield from _made(MarketData, market)
    else:
        # Text stands for something that was no `MarketData`.
        yield market


def _made(kind: Any, fields: dict[str, Any]) -> Iterator[Any]:
    values = [
        fields,
        {
            name: _LOST.get(value, value) if _is_text(value) else value
            for name, value in fields.items()
        },
        {name: _unescaped(value) if _is_text(value) else value for name, value in fields.items()},
    ]
    for each in values:
        try:
            yield kind(**each)
        except TypeError:
            yield None


def _is_text(value: Any) -> bool:
    return type(value) is str


def _unescaped(text: str) -> str:
    """Text as it was before what is not ASCII was written as escapes."""
    if "\\" not in text or not text.isascii():
        return text
    try:
        return text.encode("ascii").decode("unicode_escape")
    except UnicodeDecodeError:
        return text


def _decimal(text: str) -> Any:
    try:
        return Decimal(text)
    except ArithmeticError:
        return text
