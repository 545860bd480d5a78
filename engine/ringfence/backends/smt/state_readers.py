"""The table of readers: each input field of a state, by its name."""

# ruff: noqa: ARG005  (one table of readers: each takes the inputs, the reading and the parameters)

import math
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import z3

from ringfence.backends.smt.inputs import Reading
from ringfence.backends.smt.scene import Past, mid_of, spread_of
from ringfence.backends.smt.state import counted
from ringfence.backends.smt.terms import (
    TRUE,
    Term,
    constant,
    largest,
    plus,
    real,
    times,
    truth,
)
from ringfence.language.fields import ORDER_TYPES
from ringfence.language.tickets import mark_of, usable

if TYPE_CHECKING:
    from ringfence.backends.smt.state_inputs import StateInputs

__all__ = ["READERS"]

UNBOUNDED = 1e300


def _extent(term: Term, sign: int) -> Term:
    """How far a known value lies above zero (`sign` 1), or below it (-1)."""
    return Term(term.known, largest([real(0), times(real(sign), term.value)]))


def _flag(value: bool) -> Term:
    return Term(TRUE, truth(value))


def _permitted(symbol: str, allow: tuple[str, ...], deny: tuple[str, ...]) -> bool:
    return any(fnmatchcase(symbol, each) for each in allow) and not any(
        fnmatchcase(symbol, each) for each in deny
    )


_Reader = Callable[["StateInputs", Reading, Mapping[str, Any]], Term]


def _pinned(value: "Callable[[StateInputs], float]") -> _Reader:
    return lambda inputs, reading, params: constant(value(inputs))


def _quote(name: str) -> _Reader:
    return _pinned(lambda inputs: getattr(inputs.state.scene.market, name))


READERS: dict[str, _Reader] = {
    "order.size": lambda i, r, p: Term(
        TRUE,
        times(real(Fraction(i.state.scene.instrument.lot_step)), z3.ToReal(i.state.lots[r.size])),
    ),
    "order.price": _pinned(lambda i: i.state.scene.price),
    "order.valuation_price": lambda i, r, p: i.by_side(
        lambda side: constant(i.state.scene.valuation(side))
    ),
    "order.notional": lambda i, r, p: i.notional(r.size),
    "order.is_buy": lambda i, r, p: Term(TRUE, i.state.buy),
    "order.type": _pinned(lambda i: float(ORDER_TYPES.index(i.state.scene.order_type))),
    "order.reduce_only": lambda i, r, p: Term(TRUE, i.state.reduce_only),
    "order.risk_reducing": lambda i, r, p: Term(TRUE, i.risk_reducing(r)),
    "order.full_close": lambda i, r, p: Term(TRUE, i.full_close(r)),
    "order.on_tick": lambda i, r, p: _flag(i.state.scene.on_tick),
    "order.on_lot_step": lambda i, r, p: _flag(True),
    "order.permitted": lambda i, r, p: _flag(
        _permitted(i.state.scene.symbol, p["allow"], p["deny"])
    ),
    "order.price_deviation": lambda i, r, p: i.by_side(
        lambda side: constant(
            i.state.scene.deviation(side, p["reference"], p.get("window", math.nan))
        )
    ),
    "order.rate": lambda i, r, p: _messages(i, r, p, "orders"),
    "order.messages": lambda i, r, p: _messages(i, r, p, p["counts"]),
    "order.symbol_messages": lambda i, r, p: _messages(i, r, p, p["counts"], symbol_only=True),
    "order.duplicates": lambda i, r, p: i.recent(p.get("window"), lambda past: past.equal),
    "instrument.lot_step": _pinned(lambda i: float(i.state.scene.instrument.lot_step)),
    "instrument.min_size": _pinned(
        lambda i: float(i.state.scene.instrument.min_size or i.state.scene.instrument.lot_step)
    ),
    "instrument.max_size": _pinned(lambda i: float(i.state.scene.instrument.max_size or UNBOUNDED)),
    "instrument.min_notional": _pinned(
        lambda i: i.state.scene.instrument.min_notional * i.state.scene.instrument.fx
    ),
    "instrument.full_close_exempt": lambda i, r, p: _flag(
        i.state.scene.instrument.full_close_exempt
    ),
    "market.bid": _quote("bid"),
    "market.ask": _quote("ask"),
    "market.last": _quote("last"),
    "market.mark": _pinned(lambda i: mark_of(i.state.scene.market)),
    "market.mid": _pinned(lambda i: mid_of(i.state.scene.market)),
    "market.age": lambda i, r, p: _extent(i.state.age, 1),
    "market.skew": lambda i, r, p: _extent(i.state.age, -1),
    "market.completeness": lambda i, r, p: i.completeness(p["required"]),
    "market.crossed": lambda i, r, p: _flag(
        usable(i.state.scene.market.bid)
        and usable(i.state.scene.market.ask)
        and i.state.scene.market.bid > i.state.scene.market.ask
    ),
    "market.spread": _pinned(lambda i: spread_of(i.state.scene.market)),
    "market.opposite_depth": lambda i, r, p: i.depth(),
    "market.volume": lambda i, r, p: i.state.volume,
    "book.equity": lambda i, r, p: i.state.books[r.level].equity,
    "book.day_start_equity": lambda i, r, p: i.day_start(r, p["basis"]),
    "book.day_loss": lambda i, r, p: i.day_loss(r, p["basis"]),
    "book.day_loss_ratio": lambda i, r, p: i.day_loss_ratio(r, p["basis"]),
    "book.drawdown": lambda i, r, p: i.drawdown(r),
    "book.positions_after": lambda i, r, p: i.positions_after(r),
    "book.exposure_after": lambda i, r, p: counted(i.exposure_after(r, p["working"])),
    "book.net_exposure_after": lambda i, r, p: counted(i.net_exposure_after(r, p["working"])),
    "book.position_after": lambda i, r, p: counted(i.position_after(r, p["working"])),
    "book.correlated_after": lambda i, r, p: counted(
        i.correlated_after(r, p["threshold"], p["min_observations"])
    ),
    "book.open_orders_after": lambda i, r, p: i.open_orders(r, symbol_only=False),
    "book.open_orders_symbol_after": lambda i, r, p: i.open_orders(r, symbol_only=True),
    "control.kill_state": lambda i, r, p: Term(TRUE, z3.ToReal(i.state.kill)),
}


def _messages(
    inputs: "StateInputs",
    reading: Reading,
    params: Mapping[str, Any],
    counts: str,
    symbol_only: bool = False,
) -> Term:
    """What left for the book within the window, and this order."""

    def matches(past: Past) -> bool:
        ours = reading.level == "firm" or getattr(past, reading.level)
        kind = counts == "messages" or not past.cancel
        return bool(ours and kind and (past.symbol or not symbol_only))

    earlier = inputs.recent(params.get("window"), matches)
    return Term(earlier.known, plus(earlier.value, real(1)))
