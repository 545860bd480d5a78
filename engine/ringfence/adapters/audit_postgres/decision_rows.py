"""A decision's record as a row of the table `decisions`."""

import json
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import msgspec

from ringfence.runtime.audit_stored import Stored

__all__ = ["COLUMNS", "decision_row"]

#: In the order of a row.
COLUMNS = (
    *("chain", "seq", "ts_ns", "id", "account", "strategy", "venue", "symbol", "side", "type"),
    *("asked", "price", "decision", "code", "reason", "size", "policy_set", "request_id"),
)
_OF_ORDER = ("account", "strategy", "venue", "symbol", "side", "type")
# An index takes no long text; a number of so many digits is none that was meant.
_MOST_LETTERS = 256
_MOST_DIGITS = 60

_Text = Annotated[str, msgspec.Meta(max_length=_MOST_LETTERS)] | None
_Number = (
    Annotated[str, msgspec.Meta(max_length=_MOST_DIGITS, pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
    | float
    | None
)


class _Order(msgspec.Struct):
    account: _Text = None
    strategy: _Text = None
    venue: _Text = None
    symbol: _Text = None
    side: _Text = None
    type: _Text = None
    size: _Number = None
    price: _Number = None


class _Inputs(msgspec.Struct):
    order: _Order | None = None


class _Body(msgspec.Struct):
    # Only what becomes a column: the rest is passed over, which is many times as fast as reading it.
    id: _Text = None
    order: _Order | None = None
    inputs: _Inputs | None = None
    decision: _Text = None
    code: _Text = None
    reason: _Text = None
    size: _Number = None
    policy_set: _Text = None
    request_id: _Text = None


_DECODER = msgspec.json.Decoder(_Body)
_NO_ORDER = _Order()


def decision_row(chain: str, record: Stored) -> tuple[Any, ...]:
    """The row, in the order of `COLUMNS`.

    Text is cut to what an index takes; a number that is none is None.
    """
    try:
        body = _DECODER.decode(record.body)
    except msgspec.MsgspecError:  # not as a guard writes it
        body = _whatever(json.loads(record.body))
    order = body.order or (body.inputs.order if body.inputs is not None else None) or _NO_ORDER
    return (
        chain,
        record.sequence,
        record.ts_ns,
        body.id,
        order.account,
        order.strategy,
        order.venue,
        order.symbol,
        order.side,
        order.type,
        order.size,
        order.price,
        body.decision,
        body.code,
        body.reason,
        body.size,
        body.policy_set,
        body.request_id,
    )


def _whatever(body: dict[str, Any]) -> _Body:
    inputs = body.get("inputs")
    order = body.get("order", inputs.get("order") if isinstance(inputs, dict) else None)
    return _Body(
        id=_text(body.get("id")),
        decision=_text(body.get("decision")),
        code=_text(body.get("code")),
        reason=_text(body.get("reason")),
        policy_set=_text(body.get("policy_set")),
        request_id=_text(body.get("request_id")),
        size=_number(body.get("size")),
        order=_order(order if isinstance(order, dict) else {}),
    )


def _order(order: dict[str, Any]) -> _Order:
    return _Order(
        **{name: _text(order.get(name)) for name in _OF_ORDER},
        size=_number(order.get("size")),
        price=_number(order.get("price")),
    )


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value))[:_MOST_LETTERS]


def _number(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or len(number.as_tuple().digits) > _MOST_DIGITS:
        return None
    return f"{number:f}" if abs(number.adjusted()) <= _MOST_DIGITS else None
