"""The record of a decision that gates were asked for, put together as text: it is on the way of every order.

The same bytes as `audit_codec.encode` would make of the body: JSON in ASCII, keys sorted. What orders of one
route have in common is written out once.
"""

import binascii
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii as _quoted
from math import isfinite
from typing import Any, NamedTuple

from ringfence.runtime.asked import Asked
from ringfence.runtime.audit_codec import encode

__all__ = ["RouteTexts", "decision_record", "market_text", "route_texts"]

_b64 = binascii.b2a_base64
# Keys of more that a record says stand before, between or after these two.
_MIDDLE, _LAST = "policy_set", "size"


class RouteTexts(NamedTuple):
    """Parts of a record that all orders of one route have in common, as JSON.

    Attributes:
        before_found: What stands before the gates' numbers.
        after_found: What stands after them, up to the decision's id.
        account, strategy, symbol, venue: Their names.
    """

    before_found: str
    after_found: str
    account: str
    strategy: str
    symbol: str
    venue: str


def route_texts(
    key: tuple[str, str, str, str], names: Sequence[str], columns: Sequence[int]
) -> RouteTexts:
    """The parts of a route.

    Args:
        key: Account, strategy, venue and symbol.
        names: Of the gates that bind its orders.
        columns: Where the numbers of each stand in what was found.
    """
    account, strategy, venue, symbol = map(_quoted, key)
    places = ",".join(map(str, columns))
    named = ",".join(map(_quoted, names))
    return RouteTexts(
        f'"gates":{{"columns":[{places}],"found":"',
        f'","names":[{named}]}},"id":',
        account,
        strategy,
        symbol,
        venue,
    )


def decision_record(
    head: tuple[str, str, str, str, str, str, int],
    asked: Asked,
    route: RouteTexts,
    found: bytes,
    evidence: str,
    market: Any,
    beside: Mapping[str, Any],
    request_id: str = "",
) -> bytes:
    """The record's body.

    Args:
        head: Id, decision, code, reason, size, policy set and time of the decision.
        asked: The order.
        route: Of the order.
        found: Measures, limits and outcomes, as `audit_decision` packs them.
        evidence: As JSON.
        market: Market data that was passed in, as `asked.market_inputs` tells it; None where there was none.
        beside: More that the record says; no key of it stands here already.
        request_id: Of the request that brought the order, as `asked.read_request_id` takes it; empty for none.
    """
    name, decision, code, reason, size, policy_set, decided_ns = head
    early = last = ""
    # INVARIANT: no key of `beside` comes between `reason` and this one, and nothing in it wants an escape.
    late = f'"request_id":"{request_id}",' if request_id else ""
    priced = "null" if asked.exact_price is None else f'"{asked.exact_price!s}"'
    given = "null" if market is None else market_text(market)
    for key in sorted(beside) if beside else ():
        text = f"{_quoted(key)}:{_json(beside[key])},"
        if key < _MIDDLE:
            early += text
        elif key < _LAST:
            late += text
        else:
            last += f",{text[:-1]}"
    return (
        f'{{"code":{_quoted(code)},"decided_ns":{decided_ns},"decision":"{decision}"'
        f',"evidence":{evidence},{route.before_found}{_b64(found, newline=False).decode()}'
        f'{route.after_found}{_quoted(name)},"inputs":{{"market":{given},"order":'
        f'{{"account":{route.account},"client_order_id":{_quoted(asked.client_order_id)}'
        f',"price":{priced}'
        f',"reduce_only":{"true" if asked.reduce_only else "false"},"side":"{asked.side_name}"'
        f',"size":"{asked.size!s}","strategy":{route.strategy},"symbol":{route.symbol}'
        f',"type":"{asked.type}","venue":{route.venue}}}}},{early}"policy_set":"{policy_set}"'
        f',"reason":{_quoted(reason)},{late}"size":"{size}"{last}}}'
    ).encode("ascii")


def market_text(market: Any) -> str:
    """Market data as `asked.market_inputs` tells it, in JSON; quickly where it holds finite floats, whole numbers and None alone."""
    if not isinstance(market, dict):
        return _json(market)
    parts = []
    for name in sorted(market):
        value = market[name]
        if value is None:
            parts.append(f'"{name}":null')
        elif type(value) is int or (type(value) is float and isfinite(value)):
            parts.append(f'"{name}":{value!r}')
        else:
            return _json(market)
    return f"{{{','.join(parts)}}}"


def _json(value: Any) -> str:
    return encode({"": value})[4:-1].decode("ascii")
