"""A witness in words: the order, the books and prices that it meets, and what either side says."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ringfence.language.decision import Decision, Outcome
from ringfence.replay.wording import plural
from ringfence.review.directions import Witness

__all__ = ["plain_data", "witness_told"]

_BLOCKS = (Outcome.BREACH, Outcome.REDUCE, Outcome.UNKNOWN)
_MOST_LINES, _MOST_PARTS = 12, 3
_BOOK_FIELDS = ("currency", "equity", "day_start_equity", "peak_equity")


def witness_told(witness: Witness | None) -> dict[str, Any] | None:
    """A witness as `schemas/plan.v1.schema.json` has it; None where there is none."""
    if witness is None:
        return None
    return {
        "order": order_words(witness.when),
        "books": list(_book_lines(witness.given))[:_MOST_LINES],
        "given": plain_data(witness.given),
        "when": plain_data(witness.when),
        "base": _answer(witness.base),
        "head": _answer(witness.head),
    }


def order_words(when: Mapping[str, Any]) -> str:
    """`buy 5 BTC/USD at 50,000 for account alpha, strategy taker`."""
    price = when.get("price")
    at = f"at {_number(price)}" if price is not None else "at market"
    kind = f" ({when['type']})" if when.get("type") not in (None, "limit", "market") else ""
    who = [f"account {when.get('account', '')}"]
    who += [f"{name} {when[name]}" for name in ("strategy", "venue") if when.get(name)]
    return f"{when.get('side', '')} {_number(when.get('size'))} {when.get('symbol', '')} {at}{kind} for {', '.join(who)}"


def _book_lines(given: Mapping[str, Any]) -> Iterator[str]:
    if given.get("clock"):
        yield f"at {given['clock']}"
    for symbol, market in (given.get("market") or {}).items():
        if market:
            shown = [f"{name} {_number(value)}" for name, value in market.items()]
            yield f"{symbol}: {', '.join(shown)}"
    for name, book in (given.get("books") or {}).items():
        yield f"{name}: {', '.join(_book_parts(book or {})) or 'nothing held'}"


def _book_parts(book: Mapping[str, Any]) -> Iterator[str]:
    for field in _BOOK_FIELDS:
        if book.get(field) is not None:
            yield f"{field.replace('_', ' ')} {_number(book[field])}"
    held = sorted((book.get("positions") or {}).items(), key=lambda each: -_worth(each[1]))
    for symbol, position in held[:_MOST_PARTS]:
        mark = f" marked {_number(position['mark'])}" if position.get("mark") is not None else ""
        yield f"holds {_number(position.get('size', 0))} {symbol}{mark}"
    if len(held) > _MOST_PARTS:
        yield plural(len(held) - _MOST_PARTS, "smaller position")
    working: dict[str, list[float]] = {}
    for order in book.get("working") or []:
        key = f"{order.get('side')} {{}} {order.get('symbol')}"
        working.setdefault(key, []).append(_plain(order.get("size")))
    for key, sizes in list(working.items())[:_MOST_PARTS]:
        of = f" in {len(sizes)} orders" if len(sizes) > 1 else ""
        yield f"working {key.format(_number(sum(sizes)))}{of}"
    if len(working) > _MOST_PARTS:
        yield f"and {len(working) - _MOST_PARTS} more such"


def _worth(position: Mapping[str, Any]) -> float:
    return abs(_plain(position.get("size")) * (_plain(position.get("mark")) or 1.0))


def _plain(value: Any) -> float:
    try:
        number = float(str(value))
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _number(value: Any) -> str:
    try:
        number = float(str(value))
    except ValueError:
        return str(value)
    return f"{number:,.10g}" if math.isfinite(number) else str(value)


def _answer(decision: Decision) -> dict[str, Any]:
    blocking = [
        f"{each.policy}/{each.gate}"
        for each in decision.gates
        if each.outcome in _BLOCKS and each.mode == "enforce"
    ]
    return {
        "decision": decision.decision.value,
        "size": str(decision.size),
        "reason": decision.reason,
        "gates": blocking,
    }


def plain_data(value: Any) -> Any:
    """The same as JSON can hold it: what is not finite, or no plain value, becomes text."""
    match value:
        case Mapping():
            return {str(key): plain_data(each) for key, each in value.items()}
        case list() | tuple():
            return [plain_data(each) for each in value]
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
    return str(value)
