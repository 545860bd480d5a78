"""Books of a case: positions and working orders in lots, valued in quanta of money."""

import math
from dataclasses import dataclass, field, replace

from ringfence.backends.reference.numbers import quanta_down, quanta_up
from ringfence.language.instruments import convert
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import (
    Book,
    Case,
    Instrument,
    held_lots,
)
from ringfence.language.tickets import mark_of, usable, working_price

__all__ = ["BookState", "Holding", "build_book"]

NAN = float("nan")


@dataclass(slots=True)
class Holding:
    """One symbol in a book: signed lots, unfilled buys and sells, and what one lot is worth."""

    instrument: Instrument
    lots: int = 0
    buys: int = 0
    sells: int = 0
    orders: int = 0
    mark: float = NAN
    age: float = 0.0

    @property
    def lot_value(self) -> float:
        """Money per lot at the mark."""
        return self.mark * self.instrument.lot_multiplier

    def worst_lots(self, working: str, buy: int = 0, sell: int = 0) -> int:
        """Largest position, in lots, that open orders can lead to, with more lots added to a side.

        `worst-case`: max(|q + B|, |q - S|). `gross` (CME): orders against the position free nothing.
        """
        up, down = self.buys + buy, self.sells + sell
        if working == "gross":
            return max(max(self.lots, 0) + up, max(-self.lots, 0) + down)
        return max(abs(self.lots + up), abs(self.lots - down))

    def exposure(self, working: str = "worst-case") -> float:
        """Worst-case exposure in quanta, rounded up; NaN without a mark."""
        lots = self.worst_lots(working)
        return quanta_up(lots * self.lot_value) if lots else 0.0

    def one_sided(self, side: int) -> float:
        """Exposure in quanta if all orders of one side fill: long for +1, short for -1."""
        lots = self.lots + self.buys if side > 0 else self.sells - self.lots
        return quanta_up(lots * self.lot_value) if lots > 0 else 0.0

    @property
    def value(self) -> float:
        """Signed value of the position in quanta, rounded down."""
        return quanta_down(self.lots * self.lot_value) if self.lots else 0.0


@dataclass(slots=True)
class BookState:
    """A book with its holdings."""

    book: Book
    holdings: dict[str, Holding] = field(default_factory=dict)

    def holding(self, symbol: str, instrument: Instrument) -> Holding:
        """The holding of a symbol, an empty one where there is none."""
        return self.holdings.get(symbol) or Holding(instrument)

    def stale(self, max_age: float) -> bool:
        """Whether a held symbol has no mark, or one older than `max_age` seconds."""
        return any(
            not usable(each.mark) or (math.isfinite(max_age) and not each.age <= max_age)
            for each in self.holdings.values()
            if each.lots or each.buys or each.sells
        )


def build_book(book: Book, case: Case, linked: LinkedSet) -> BookState:
    """Gather positions and working orders per symbol, valued in the policy set's currency."""
    state = BookState(book)
    for symbol, position in book.positions.items():
        holding = _holding(state, symbol, case, linked)
        holding.lots = held_lots(position.size, holding.instrument.lot_step)
        if usable(position.mark):
            holding.mark = position.mark
    for order in book.working:
        holding = _holding(state, order.symbol, case, linked)
        lots = held_lots(order.size, holding.instrument.lot_step)
        holding.orders += 1
        if order.side == "buy":
            holding.buys += lots
        else:
            holding.sells += lots
    for symbol, holding in state.holdings.items():
        if not holding.lots and not usable(holding.mark):
            holding.mark = working_price(book.working, symbol)
    return state


def _holding(state: BookState, symbol: str, case: Case, linked: LinkedSet) -> Holding:
    if symbol not in state.holdings:
        market = case.market.get(symbol)
        state.holdings[symbol] = Holding(
            instrument=_instrument_of(symbol, case, linked),
            mark=mark_of(market),
            age=market.age if market is not None else 0.0,
        )
    return state.holdings[symbol]


def _instrument_of(symbol: str, case: Case, linked: LinkedSet) -> Instrument:
    """The declared instrument, or plain units where a held symbol has none; without a rate into the
    set's currency its value is unknown."""
    instrument = case.instruments.get(symbol) or Instrument(symbol)
    rate = convert({**linked.desk.fx, **case.fx}, instrument.quote, linked.currency)
    return replace(instrument, fx=NAN if rate is None else rate)
