"""Computed fields opened up into their parts, each by its formula in `docs/controls.md`."""

# ruff: noqa: ARG001  (one table of tellers: each takes the question, the parameters and the words)

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ringfence.backends.explain.amounts import Words, plain_number
from ringfence.backends.explain.asked import Question
from ringfence.backends.explain.explained import ExplainedField, Part
from ringfence.backends.explain.market_fields import MARKET_FIELDS
from ringfence.backends.explain.order_fields import ORDER_FIELDS, Told
from ringfence.backends.explain.positions import Exposures
from ringfence.language.differences import lost
from ringfence.language.fields import FIELDS

__all__ = ["open_field", "why_missing"]

#: A millionth of the currency: what each part of an exposure is rounded up to.
QUANTUM = 1e-6
# Float64's last bits of sums and products, as a share.
_LAST_BITS = 2.0**-44


def open_field(question: Question, name: str, value: float, words: Words) -> ExplainedField | None:
    """How the value of a field comes about; None where it is taken as it is.

    Args:
        question: The gate, the order and the book.
        name: Of the field.
        value: What the interpreter read.
        words: How amounts are said.
    """
    teller = _TELLERS.get(name)
    if teller is None:
        return None
    unit = FIELDS[name].unit
    told = teller(question, question.asked.params, words)
    total = math.fsum(part.value for part in told.parts) if told.is_sum else told.total
    adds_up, off_by = ("", 0.0) if total is None else _adds_up(told.parts, total, value)
    return ExplainedField(
        name=name,
        value=value,
        unit=unit.kind,
        text=words.amount(value, unit.kind, unit.choices),
        formula=told.formula,
        steps=tuple(told.steps),
        parts=tuple(told.parts),
        is_sum=told.is_sum,
        adds_up=adds_up,
        off_by=off_by,
    )


def _adds_up(parts: Sequence[Part], total: float, whole: float) -> tuple[str, float]:
    """Whether the arithmetic gives the whole; each part was rounded to a millionth, which it does not know."""
    if not (math.isfinite(whole) and math.isfinite(total)):
        return "", 0.0
    off = whole - total
    bits = _LAST_BITS * max(1.0, abs(total), math.fsum(abs(part.value) for part in parts))
    if abs(off) <= bits:
        return "exactly", off
    return ("rounded" if abs(off) <= len(parts) * QUANTUM + bits else "no"), off


def _exposure(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    exposures, working = Exposures(question, words), str(params.get("working"))
    parts = exposures.gross(working)
    return Told(
        "the sum over all symbols of their worst case at the mark; what the order adds at the larger of mark "
        "and valuation price",
        exposures.worst_case(working),
        parts,
        is_sum=True,
    )


def _position(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    exposures, working = Exposures(question, words), str(params.get("working"))
    return Told(
        "the worst case of the order's symbol at the mark; what the order adds at the larger of mark and "
        "valuation price",
        exposures.worst_case(working),
        exposures.own(working),
        is_sum=True,
    )


def _correlated(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    exposures = Exposures(question, words)
    parts, said = exposures.correlated(
        float(params.get("threshold", math.nan)), float(params.get("min_observations", math.nan))
    )
    return Told(
        "exposure in the order's symbol, and in those that move with it, on the order's side",
        [*exposures.worst_case("worst-case"), *said],
        parts,
        is_sum=True,
    )


def _net(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    held, buys, sells = Exposures(question, words).net()
    sums = [math.fsum(part.value for part in parts) for parts in (held, buys, sells)]
    net, up, down = (words.money(each) for each in sums)
    if params.get("working") == "gross":
        formula = "max(max(net, 0) + buys, max(-net, 0) + sells), this order among them"
        step = f"max(max({net}, 0) + {up}, max({words.money(-sums[0])}, 0) + {down})"
        found = max(max(sums[0], 0.0) + sums[1], max(-sums[0], 0.0) + sums[2])
    else:
        formula = "max(|net + buys|, |net - sells|), this order among the buys or sells"
        step = f"max(|{net} + {up}|, |{net} - {down}|)"
        found = max(abs(sums[0] + sums[1]), abs(sums[0] - sums[2]))
    lines = [
        f"{what} {_listed(parts)} = {total}"
        for what, parts, total in (
            ("net:", held, net),
            ("buys:", buys, up),
            ("sells:", sells, down),
        )
        if parts
    ]
    return Told(
        formula, [*lines, f"{step} = {words.money(found)}"], [*held, *buys, *sells], total=found
    )


def _listed(parts: Sequence[Part]) -> str:
    return " + ".join(part.written for part in parts)


def _positions(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    others, own = Exposures(question, words).counted()
    parts = [Part(symbol, symbol, 1.0) for symbol in others]
    parts.append(Part("this order", question.symbol, 1.0 if own else 0.0))
    named = ", ".join([*others, question.symbol] if own else others)
    return Told(
        "symbols held, or with working orders that would open a position; this order's included",
        [f"{named or 'none'}: {len(others) + own}"],
        parts,
        is_sum=True,
    )


def _open_orders(symbol_only: bool) -> Callable[[Question, Mapping[str, Any], Words], Told]:
    def told(question: Question, params: Mapping[str, Any], words: Words) -> Told:
        holdings = question.book.holdings if question.book is not None else {}
        parts = [
            Part(f"working in {symbol}", f"{held.orders} in {symbol}", float(held.orders))
            for symbol, held in holdings.items()
            if held.orders and (symbol == question.symbol or not symbol_only)
        ]
        parts.append(Part("this order", "this one", 1.0))
        return Told("working orders, this one included", [], parts, is_sum=True)

    return told


def _day_start(question: Question, params: Mapping[str, Any]) -> tuple[float, str]:
    if question.book is None:
        return math.nan, "no book"
    book, basis = question.book.book, params.get("basis")
    equity, balance = book.day_start_equity, book.day_start_balance
    if basis == "balance":
        return balance, "the balance at the day's start"
    if basis == "max":
        sound = equity == equity and balance == balance
        return (
            max(equity, balance) if sound else math.nan
        ), "the larger of equity and balance then"
    return equity, "the equity at the day's start"


def _start(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    value, what = _day_start(question, params)
    return Told("by `basis`", [f"{what} = {words.money(value)}"], total=value)


def _loss(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    if question.book is None:
        return Told("max(0, day's start - (equity - deposits since))")
    book = question.book.book
    start, what = _day_start(question, params)
    found = lost(start, book.equity, book.deposits)
    step = (
        f"max(0, {words.money(start)} - ({words.money(book.equity)} - {words.money(book.deposits)})) "
        f"= {words.money(found)}"
    )
    return Told(
        "max(0, day's start - (equity - deposits since))",
        [f"day's start: {what}", step],
        total=found,
    )


def _loss_ratio(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    told = _loss(question, params, words)
    start, _ = _day_start(question, params)
    if question.book is None:
        return Told("day loss / day's start")
    book = question.book.book
    loss = lost(start, book.equity, book.deposits)
    if not math.isfinite(loss) or not start > 0:
        return Told("day loss / day's start", [*told.steps, "the day's start is not above zero"])
    share = loss / start
    step = f"{words.money(loss)} / {words.money(start)} = {words.amount(share, 'ratio')}"
    return Told("day loss / day's start", [*told.steps, step], total=share)


def _drawdown(question: Question, params: Mapping[str, Any], words: Words) -> Told:
    formula = "max(0, (peak - equity) / peak); the peak is the equity at which the present units would stand at the peak NAV"
    if question.book is None:
        return Told(formula)
    book = question.book.book
    peak, equity = words.money(book.peak_equity), words.money(book.equity)
    sound = book.peak_equity > 0 and math.isfinite(book.equity)
    share = lost(book.peak_equity, book.equity) / book.peak_equity if sound else math.nan
    return Told(
        formula,
        [f"max(0, ({peak} - {equity}) / {peak}) = {words.amount(share, 'ratio')}"],
        total=share,
    )


def why_missing(question: Question, name: str) -> str:
    """Why a field is not known."""
    field = FIELDS[name]
    lacking = [
        each for each in field.uses if each not in question.asked.params and each != "window"
    ]
    if lacking:
        return f"the gate gives no `{lacking[0]}`"
    if field.level != "book":
        return f"{field.source}: it is missing, or no usable number"
    if question.book is None:
        return f"there is no book of the {question.level}"
    if field.portfolio:
        for symbol, held in question.book.holdings.items():
            if not (held.lots or held.buys or held.sells):
                continue
            if not (math.isfinite(held.mark) and held.mark > 0):
                return f"the book holds {symbol}, which has no mark"
            if math.isfinite(question.max_age) and not held.age <= question.max_age:
                age = f"{plain_number(held.age)}s" if held.age == held.age else "unknown"
                return (
                    f"the book holds {symbol}, whose mark is too old: its age is {age}, "
                    f"at most {plain_number(question.max_age)}s is allowed"
                )
    return "the book's money is not known, or too large to be counted"


_TELLERS: dict[str, Callable[[Question, Mapping[str, Any], Words], Told]] = {
    **ORDER_FIELDS,
    **MARKET_FIELDS,
    "book.day_start_equity": _start,
    "book.day_loss": _loss,
    "book.day_loss_ratio": _loss_ratio,
    "book.drawdown": _drawdown,
    "book.positions_after": _positions,
    "book.exposure_after": _exposure,
    "book.net_exposure_after": _net,
    "book.position_after": _position,
    "book.correlated_after": _correlated,
    "book.open_orders_after": _open_orders(symbol_only=False),
    "book.open_orders_symbol_after": _open_orders(symbol_only=True),
}
