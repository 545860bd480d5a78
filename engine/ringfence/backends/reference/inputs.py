"""The value of every input field for one order, at one size, in one level's book."""

# ruff: noqa: ARG005  (one table of readers: each takes the inputs and the gate's parameters)

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from ringfence.backends.reference.books import BookState, Holding
from ringfence.backends.reference.numbers import QUANTA, added, counted, divide, quanta_up
from ringfence.language.differences import lost, share_of
from ringfence.language.fields import FIELDS, ORDER_TYPES
from ringfence.language.orders import (
    KILL_STATES,
    Case,
    Market,
    PastOrder,
    step_digits,
    to_decimal,
)
from ringfence.language.tickets import Ticket, mark_of, usable

__all__ = ["Inputs"]

NAN = float("nan")
UNBOUNDED = 1e300
# Without a window the present counts alone (a price), or nothing can be counted (orders).
_MAY_LACK = ("window",)


@dataclass(slots=True)
class Inputs:
    """Reads fields for `lots` of the order in the book of one level."""

    case: Case
    ticket: Ticket
    level: str
    state: BookState | None
    max_age: float
    lots: int = 0

    def read(self, name: str, params: Mapping[str, Any]) -> float:
        """The field's value; NaN where it, or a parameter that it is computed with, is missing."""
        reader = _READERS.get(name)
        if reader is None:
            raise KeyError(name)
        if any(used not in params for used in FIELDS[name].uses if used not in _MAY_LACK):
            return NAN
        value = reader(self, params)
        return float(value) if value is not None else NAN

    # The order

    @property
    def holding(self) -> Holding:
        """What the book holds of the order's symbol, marked for valuation."""
        instrument = self.ticket.instrument
        if self.state is None:
            return Holding(instrument)
        return self.state.holding(self.case.order.symbol, instrument)

    @property
    def closing_lots(self) -> int:
        """Lots of this side that only close: |q| less what already works on that side."""
        held = self.holding
        if held.lots * self.ticket.side >= 0:
            return 0
        return max(0, abs(held.lots) - (held.buys if self.ticket.side > 0 else held.sells))

    @property
    def risk_reducing(self) -> bool:
        """The only possible result is a smaller position."""
        return 0 < self.lots <= self.closing_lots

    @property
    def size(self) -> float:
        return float(self.lots * self.ticket.instrument.lot_step)

    @property
    def notional(self) -> float:
        value = self.ticket.valuation_price * self.ticket.instrument.lot_multiplier
        return quanta_up(self.lots * value) / QUANTA

    # The book

    def position_after(self, working: str) -> float:
        """Exposure of the order's symbol in quanta: what is there at the mark, the increase in its
        worst case at the larger of mark and valuation price."""
        held, ticket = self.holding, self.ticket
        buy, sell = (self.lots, 0) if ticket.side > 0 else (0, self.lots)
        before, after = held.worst_lots(working), held.worst_lots(working, buy, sell)
        existing = held.exposure(working) if before else 0.0
        mark = held.mark if usable(held.mark) else mark_of(ticket.market)
        price = max(mark, ticket.valuation_price) if usable(mark) else ticket.valuation_price
        return existing + quanta_up((after - before) * (price * ticket.instrument.lot_multiplier))

    def others(self, amount: Callable[[Holding], float]) -> float:
        """Sum over all other symbols of the book."""
        holdings = self.state.holdings if self.state else {}
        return added(
            amount(each) for symbol, each in holdings.items() if symbol != self.case.order.symbol
        )

    def exposure_after(self, working: str) -> float:
        return self.position_after(working) + self.others(lambda each: each.exposure(working))

    def net_exposure_after(self, working: str) -> float:
        """max(|net + buys + order|, |net - sells|), or by `gross` with nothing freed."""
        held, ticket = self.holding, self.ticket
        mark = held.mark if usable(held.mark) else mark_of(ticket.market)
        price = max(mark, ticket.valuation_price) if usable(mark) else ticket.valuation_price
        order = quanta_up(self.lots * (price * ticket.instrument.lot_multiplier))
        everything = list(self.state.holdings.values()) if self.state else []
        net = added(each.value for each in everything)
        up = added(quanta_up(e.buys * e.lot_value) for e in everything if e.buys)
        down = added(quanta_up(e.sells * e.lot_value) for e in everything if e.sells)
        up, down = (up + order, down) if ticket.side > 0 else (up, down + order)
        if math.isnan(net + up + down):
            # `max` of Python passes over a NaN that does not come first.
            return NAN
        if working == "gross":
            return max(max(net, 0.0) + up, max(-net, 0.0) + down)
        return max(abs(net + up), abs(net - down))

    def correlated_after(self, threshold: float, min_observations: float) -> float:
        """Sum over the symbols that move with the order's; hedges are left out."""
        total = self.position_after("worst-case")
        symbol, side = self.case.order.symbol, self.ticket.side
        for other, held in (self.state.holdings if self.state else {}).items():
            if other == symbol:
                continue
            low, high = sorted((symbol, other))
            rho, count = self.case.correlations.get((low, high), (1.0, 0.0))
            if not count >= min_observations or not math.isfinite(rho):
                rho = 1.0
            if rho >= threshold:
                total += held.one_sided(side)
            elif -rho >= threshold:
                total += held.one_sided(-side)
        return total

    def positions_after(self) -> float:
        count = self.others(lambda each: 1.0 if each.worst_lots("worst-case") else 0.0)
        held = self.holding
        buy, sell = (self.lots, 0) if self.ticket.side > 0 else (0, self.lots)
        return count + (1.0 if held.worst_lots("worst-case", buy, sell) else 0.0)

    def day_start(self, basis: str) -> float:
        book = self.state.book if self.state else None
        if book is None:
            return NAN
        equity, balance = book.day_start_equity, book.day_start_balance
        if basis == "balance":
            return balance
        if basis == "max":
            return max(equity, balance) if equity == equity and balance == balance else NAN
        return equity

    def day_loss(self, basis: str) -> float:
        if self.state is None:
            return NAN
        book = self.state.book
        return lost(self.day_start(basis), book.equity, book.deposits)

    def drawdown(self) -> float:
        book = self.state.book if self.state else None
        if book is None or not book.peak_equity > 0 or not math.isfinite(book.equity):
            return NAN
        return divide(lost(book.peak_equity, book.equity), book.peak_equity)

    def within(self, window: float) -> list[PastOrder]:
        """What left within the window."""
        return [each for each in self.case.recent_orders if each.age < window]

    def equal_orders(self, window: float) -> float:
        """Earlier orders of the account that equal this one."""
        if not math.isfinite(window):
            return NAN
        order, price = self.case.order, self.ticket.price
        return float(
            sum(
                past.message == "order"
                and (past.account, past.symbol, past.side)
                == (order.account, order.symbol, order.side)
                and to_decimal(past.size) == to_decimal(order.size)
                and (past.price == price or past.price != past.price)
                for past in self.within(window)
            )
        )

    def messages(self, window: float, counts: str, symbol_only: bool = False) -> float:
        """What left for this level's book, this order included."""
        if not math.isfinite(window):
            return NAN
        order, level = self.case.order, self.level
        earlier = sum(
            (level == "firm" or getattr(past, level) == getattr(order, level))
            and (counts == "messages" or past.message == "order")
            and (not symbol_only or past.symbol == order.symbol)
            for past in self.within(window)
        )
        return float(earlier + 1)

    # Market data

    def completeness(self, required: tuple[str, ...]) -> float:
        """Share of the required fields present and sane, never above what the feed itself says."""
        market = self.ticket.market
        share = sum(usable(getattr(market, each)) for each in required) / len(required)
        return min(share, market.completeness) if math.isfinite(market.completeness) else share

    def price_deviation(self, reference: str, window: float) -> float:
        """The farthest of the present reference and those seen within the window; unknown without
        the present one. An earlier quote that lacks the reference showed none, and is passed over.
        """
        market, ticket = self.ticket.market, self.ticket
        price = ticket.price if usable(ticket.price) else ticket.valuation_price
        present = _reference(market, reference)
        if not usable(present):
            return NAN
        earlier = [
            seen
            for quote in market.history
            if quote.age <= window and usable(seen := _reference(quote, reference))
        ]
        found = [share_of(abs(price - against), against) for against in (present, *earlier)]
        return max(found) if all(map(math.isfinite, found)) else NAN

    def permitted(self, allow: tuple[str, ...], deny: tuple[str, ...]) -> bool:
        symbol = self.case.order.symbol
        return any(fnmatchcase(symbol, each) for each in allow) and not any(
            fnmatchcase(symbol, each) for each in deny
        )

    def kill_state(self) -> float:
        order = self.case.order
        keys = ["firm", f"account/{order.account}", f"symbol/{order.symbol}"]
        keys += [f"strategy/{order.strategy}"] if order.strategy else []
        keys += [f"venue/{order.venue}"] if order.venue else []
        return float(
            max(KILL_STATES.index(self.case.kill_switch.get(key, "active")) for key in keys)
        )

    def portfolio(self, value: Callable[[], float]) -> float:
        """A field that is unknown without a book, or while a held symbol's mark is stale."""
        if self.state is None or self.state.stale(self.max_age):
            return NAN
        return value()


def _reference(quote: Market, kind: str) -> float:
    if kind == "last":
        return quote.last
    return _mid(quote) if kind == "mid" else mark_of(quote)


def _mid(market: Market) -> float:
    if usable(market.bid) and usable(market.ask):
        return (market.bid + market.ask) / 2
    return NAN


def _multiple_of(value: float, step: Decimal | None) -> bool:
    if step is None:
        return True
    number = to_decimal(value)
    if number is None:
        return False
    # Past 15 digits a float64 no longer says which decimal was meant: off the tick.
    if Fraction(number) * 10 ** step_digits(step)[1] >= 10**15:
        return False
    # Fractions are exact at any magnitude; a decimal remainder fails past 28 digits.
    return Fraction(number) % Fraction(step) == 0


def _money(inputs: Inputs, value: Callable[[], float]) -> float:
    return inputs.portfolio(lambda: counted(value()) / QUANTA)


def _min_size(inputs: Inputs) -> float:
    instrument = inputs.ticket.instrument
    return float(instrument.min_size or instrument.lot_step)


def _positive(value: float) -> float:
    return value if math.isfinite(value) and value >= 0 else NAN


def _opposite_depth(inputs: Inputs) -> float:
    market = inputs.ticket.market
    return market.ask_depth if inputs.ticket.side > 0 else market.bid_depth


def _day_loss_ratio(inputs: Inputs, basis: str) -> float:
    start = inputs.day_start(basis)
    return divide(inputs.day_loss(basis), start) if start > 0 else NAN


def _open_orders(inputs: Inputs, symbol_only: bool) -> float:
    if inputs.state is None:
        return NAN
    count = inputs.holding.orders + 1.0
    return count if symbol_only else count + inputs.others(lambda each: float(each.orders))


def _mid_spread(market: Market) -> float:
    return share_of(market.ask - market.bid, _mid(market))


def _flat_or_full(inputs: Inputs) -> bool:
    return inputs.risk_reducing and inputs.lots == abs(inputs.holding.lots)


def _crossed(market: Market) -> bool:
    return usable(market.bid) and usable(market.ask) and market.bid > market.ask


_READERS: dict[str, Callable[[Inputs, Mapping[str, Any]], float | bool | None]] = {
    "order.size": lambda i, p: i.size,
    "order.price": lambda i, p: i.ticket.price,
    "order.valuation_price": lambda i, p: i.ticket.valuation_price,
    "order.notional": lambda i, p: i.notional,
    "order.is_buy": lambda i, p: i.ticket.side > 0,
    "order.type": lambda i, p: ORDER_TYPES.index(i.ticket.type),
    "order.reduce_only": lambda i, p: i.ticket.reduce_only,
    "order.risk_reducing": lambda i, p: i.risk_reducing,
    "order.full_close": lambda i, p: _flat_or_full(i),
    "order.on_tick": lambda i, p: i.ticket.type == "market"
    or not usable(i.ticket.price)
    or _multiple_of(i.ticket.price, i.ticket.instrument.tick_size),
    # An order off the lot step never gets this far: `validity` refuses it.
    "order.on_lot_step": lambda i, p: True,
    "order.permitted": lambda i, p: i.permitted(p["allow"], p["deny"]),
    "order.price_deviation": lambda i, p: i.price_deviation(p["reference"], p.get("window", NAN)),
    "order.rate": lambda i, p: i.messages(p.get("window", NAN), "orders"),
    "order.messages": lambda i, p: i.messages(p.get("window", NAN), p["counts"]),
    "order.symbol_messages": lambda i, p: i.messages(
        p.get("window", NAN), p["counts"], symbol_only=True
    ),
    "order.duplicates": lambda i, p: i.equal_orders(p.get("window", NAN)),
    "instrument.lot_step": lambda i, p: float(i.ticket.instrument.lot_step),
    "instrument.min_size": lambda i, p: _min_size(i),
    "instrument.max_size": lambda i, p: float(i.ticket.instrument.max_size or UNBOUNDED),
    "instrument.min_notional": lambda i, p: i.ticket.instrument.min_notional
    * i.ticket.instrument.fx,
    "instrument.full_close_exempt": lambda i, p: i.ticket.instrument.full_close_exempt,
    "market.bid": lambda i, p: i.ticket.market.bid,
    "market.ask": lambda i, p: i.ticket.market.ask,
    "market.last": lambda i, p: i.ticket.market.last,
    "market.mark": lambda i, p: mark_of(i.ticket.market),
    "market.mid": lambda i, p: _mid(i.ticket.market),
    "market.age": lambda i, p: (
        max(0.0, i.ticket.market.age) if i.ticket.market.age == i.ticket.market.age else NAN
    ),
    "market.skew": lambda i, p: (
        max(0.0, -i.ticket.market.age) if i.ticket.market.age == i.ticket.market.age else NAN
    ),
    "market.completeness": lambda i, p: i.completeness(p["required"]),
    "market.crossed": lambda i, p: _crossed(i.ticket.market),
    "market.spread": lambda i, p: _mid_spread(i.ticket.market),
    "market.opposite_depth": lambda i, p: _positive(_opposite_depth(i)),
    "market.volume": lambda i, p: _positive(i.ticket.market.volume),
    "book.equity": lambda i, p: i.portfolio(lambda: i.state.book.equity if i.state else NAN),
    "book.day_start_equity": lambda i, p: i.day_start(p["basis"]),
    "book.day_loss": lambda i, p: i.portfolio(lambda: i.day_loss(p["basis"])),
    "book.day_loss_ratio": lambda i, p: i.portfolio(lambda: _day_loss_ratio(i, p["basis"])),
    "book.drawdown": lambda i, p: i.portfolio(i.drawdown),
    "book.positions_after": lambda i, p: NAN if i.state is None else i.positions_after(),
    "book.exposure_after": lambda i, p: _money(i, lambda: i.exposure_after(p["working"])),
    "book.net_exposure_after": lambda i, p: _money(i, lambda: i.net_exposure_after(p["working"])),
    "book.position_after": lambda i, p: _money(i, lambda: i.position_after(p["working"])),
    "book.correlated_after": lambda i, p: _money(
        i, lambda: i.correlated_after(p["threshold"], p["min_observations"])
    ),
    "book.open_orders_after": lambda i, p: _open_orders(i, symbol_only=False),
    "book.open_orders_symbol_after": lambda i, p: _open_orders(i, symbol_only=True),
    "control.kill_state": lambda i, p: i.kill_state(),
}
