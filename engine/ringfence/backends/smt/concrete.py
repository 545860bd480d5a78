"""A model of a scene as plain data: the `given` and `when` of a policy test."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import z3

from ringfence.backends.smt.inputs import Size
from ringfence.backends.smt.scene import LEVELS, Held
from ringfence.backends.smt.setting import Setting, iso_time
from ringfence.backends.smt.state import BookState, Holding, State
from ringfence.backends.smt.terms import Expr, Term
from ringfence.language.orders import KILL_STATES, Market

__all__ = ["plain_case"]

_STEP = Decimal("0.00000001")


def plain_case(setting: Setting, state: State, model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a model says, as `given` and `when`.

    Args:
        setting: Who orders what.
        state: The variables.
        model: Values for them.

    Returns:
        Plain data that `policy_tests.read_case` makes a case of.
    """
    return _Reader(setting, state, model).case()


class _Reader:
    def __init__(self, setting: Setting, state: State, model: Any) -> None:
        self._setting, self._state, self._model = setting, state, model
        self._scene = state.scene
        self._met: dict[str, Held] = {}
        self._fillers = 0

    def whole(self, value: Expr) -> int:
        return int(self._model.eval(value, model_completion=True).as_long())

    def holds(self, value: Expr) -> bool:
        return bool(z3.is_true(self._model.eval(value, model_completion=True)))

    def number(self, term: Term) -> float | None:
        if not self.holds(term.known):
            return None
        value: Fraction = self._model.eval(term.value, model_completion=True).as_fraction()
        return float(value)

    def case(self) -> tuple[dict[str, Any], dict[str, Any]]:
        setting, scene = self._setting, self._scene
        given: dict[str, Any] = {"clock": iso_time(setting.clock_ns)}
        if not setting.declared:
            given["instruments"] = {setting.symbol: self._instrument()}
        books = {}
        for level in LEVELS:
            owner = {"firm": "firm", "account": f"account/{setting.account}"}
            book = self._state.books[level]
            if self.holds(book.exists):
                books[owner.get(level, f"strategy/{setting.strategy}")] = self._book(level, book)
        given["market"] = {scene.symbol: self._market(scene.market)}
        for symbol in self._met:
            age = self.number(self._state.ages[symbol])
            if age != 0:
                given["market"][symbol] = {} if age is None else {"age": _seconds(age)}
        given["books"] = books
        if pairs := self._correlations():
            given["correlations"] = pairs
        if kill := self.whole(self._state.kill):
            given["control"] = {"kill_switch": {"firm": KILL_STATES[kill]}}
        if past := self._past():
            given["recent_orders"] = past
        return given, self._order()

    def _order(self) -> dict[str, Any]:
        setting, scene = self._setting, self._scene
        lots = self.whole(self._state.lots[Size.ASKED])
        when: dict[str, Any] = {
            "account": setting.account,
            **({"strategy": setting.strategy} if setting.strategy else {}),
            **({"venue": setting.venue} if setting.venue else {}),
            "symbol": scene.symbol,
            "side": "buy" if self.holds(self._state.buy) else "sell",
            "type": scene.order_type,
            "size": _text(lots * scene.instrument.lot_step),
        }
        if math.isfinite(scene.price):
            stops = scene.order_type.startswith("stop")
            when["stop_price" if stops else "price"] = _text(Decimal(repr(scene.price)))
        if self.holds(self._state.reduce_only):
            when["reduce_only"] = True
        return when

    def _instrument(self) -> dict[str, Any]:
        each = self._scene.instrument
        plain: dict[str, Any] = {"lot_step": _text(each.lot_step)}
        for name in ("min_size", "max_size", "tick_size"):
            if (value := getattr(each, name)) is not None:
                plain[name] = _text(value)
        return {**plain, "multiplier": each.multiplier, "base": each.base, "quote": each.quote}

    def _market(self, quotes: Market) -> dict[str, Any]:
        found: dict[str, Any] = {
            name: getattr(quotes, name)
            for name in ("bid", "ask", "last", "mark")
            if math.isfinite(getattr(quotes, name))
        }
        state = self._state
        for name, term in (
            ("completeness", state.completeness),
            ("bid_depth", state.bid_depth),
            ("ask_depth", state.ask_depth),
            ("volume", state.volume),
        ):
            if (value := self.number(term)) is not None:
                found[name] = value
        if (age := self.number(state.age)) is not None:
            found["age"] = _seconds(age)
        if quotes.history:
            found["recent"] = [
                {"bid": each.bid, "ask": each.ask, "last": each.last, "age": _seconds(each.age)}
                for each in quotes.history
            ]
        return found

    def _book(self, level: str, book: BookState) -> dict[str, Any]:
        found: dict[str, Any] = {"currency": self._setting.linked.currency}
        for name, term in (
            ("equity", book.equity),
            ("day_start_equity", book.start),
            ("day_start_balance", book.balance),
            ("peak_equity", book.peak),
        ):
            if (value := self.number(term)) is not None:
                found[name] = value
        if flow := self.number(book.deposits):
            found["day_flow"] = flow
        positions: dict[str, Any] = {}
        working: list[dict[str, Any]] = []
        scene = self._scene
        holdings = [(scene.symbol, scene.instrument.lot_step, scene.marks[level], book.own)]
        holdings += [(each.symbol, each.lot_step, each.mark, held) for each, held in book.others]
        for symbol, step, mark, held in holdings:
            self._holding(symbol, step, mark, held, positions, working)
        for each, held in book.others:
            if any(self.whole(part) for part in (held.lots, held.buys, held.sells)):
                self._met[each.symbol] = each
        fillers = self.whole(book.fillers)
        self._fillers = max(self._fillers, fillers)
        for place in range(fillers):
            positions[_filler(place)] = {"size": _text(_STEP), "mark": 100.0}
        return {**found, "positions": positions, "working": working}

    def _holding(
        self,
        symbol: str,
        step: Decimal,
        mark: float,
        held: Holding,
        positions: dict[str, Any],
        working: list[dict[str, Any]],
    ) -> None:
        if lots := self.whole(held.lots):
            positions[symbol] = {"size": _text(lots * step)}
            if math.isfinite(mark):
                positions[symbol]["mark"] = mark
        for side, all_lots, orders in (
            ("buy", held.buys, held.buy_orders),
            ("sell", held.sells, held.sell_orders),
        ):
            left, count = self.whole(all_lots), self.whole(orders)
            for place in range(count):
                # One lot each, and the rest in the last one.
                size = left - (count - 1) if place == count - 1 else 1
                order: dict[str, Any] = {"order_id": f"w{len(working) + 1}", "symbol": symbol}
                order |= {"side": side, "size": _text(size * step)}
                working.append({**order, **({"price": mark} if math.isfinite(mark) else {})})

    def _correlations(self) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        symbol = self._scene.symbol
        for each in self._met.values():
            pair = "|".join(sorted((symbol, each.symbol)))
            if math.isfinite(each.observations):
                pairs[pair] = {"rho": each.rho, "observations": each.observations}
            else:
                pairs[pair] = each.rho
        for place in range(self._fillers):
            pairs["|".join(sorted((symbol, _filler(place))))] = 0.0
        return pairs

    def _past(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        side = "sell" if self.holds(self._state.buy) else "buy"
        for past, number in zip(self._scene.past, self._state.past, strict=True):
            order: dict[str, Any] = {"age": _seconds(past.age)}
            if not past.account:
                order["account"] = f"not-{self._setting.account}"
            if not past.strategy:
                order["strategy"] = f"not-{self._setting.strategy}"
            if not past.equal:
                order["side"] = side
            if not past.symbol:
                order["symbol"] = f"not-{self._scene.symbol}"
            if past.cancel:
                order["message"] = "cancel"
            found += [dict(order) for _ in range(self.whole(number))]
        return found


def _filler(place: int) -> str:
    return f"HELD{place + 1}"


def _seconds(age: float) -> str:
    return f"{age:.9f}".rstrip("0").rstrip(".") + "s"


def _text(number: Decimal) -> str:
    """A decimal without exponent or zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
