"""A witness in words: the order, the books and prices that it meets, and what either side says."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ringfence.language.decision import Decision, Outcome
from ringfence.review.directions import Witness

__all__ = ["plain_data", "witness_told"]

_BLOCKS = (Outcome.BREACH, Outcome.REDUCE, Outcome.UNKNOWN)
_MOST_LINES = 12
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
        shown = [f"{name} {_number(value)}" for name, value in (market or {}).items()]
        yield f"{symbol}: {', '.join(shown) or 'no market data'}"
    for name, book in (given.get("books") or {}).items():
        parts = [
            f"{field.replace('_', ' ')} {_number(book[field])}"
            for field in _BOOK_FIELDS
            if (book or {}).get(field) is not None
        ]
        for symbol, held in ((book or {}).get("positions") or {}).items():
            mark = f" marked {_number(held['mark'])}" if held.get("mark") is not None else ""
            parts.append(f"holds {_number(held.get('size', 0))} {symbol}{mark}")
        working = (book or {}).get("working") or []
        parts += [
            f"working {each.get('side')} {_number(each.get('size'))} {each.get('symbol')}"
            for each in working
        ]
        yield f"{name}: {', '.join(parts) or 'nothing held'}"


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
