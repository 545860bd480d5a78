"""A scene: prices, instruments and neighbours pinned to numbers, so that all else is linear in whole lots."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from ringfence.language.differences import share_of
from ringfence.language.instruments import Instrument
from ringfence.language.orders import Market, step_digits, to_decimal
from ringfence.language.tickets import mark_of, usable, valuation_price

__all__ = ["LEVELS", "Capital", "Held", "Past", "Scene", "mid_of", "spread_of"]

LEVELS = ("account", "strategy", "firm")
NAN = math.nan


@dataclass(frozen=True, slots=True)
class Held:
    """Another symbol that a book may hold, with what one lot of it is worth and how it moves."""

    symbol: str
    lot_multiplier: float
    mark: float
    rho: float = 0.0
    observations: float = math.inf
    lot_step: Decimal = Decimal("0.00000001")

    @property
    def lot_value(self) -> float:
        """Money per lot at the mark."""
        return self.mark * self.lot_multiplier


@dataclass(frozen=True, slots=True)
class Past:
    """Messages of one age that left earlier; how many there are is for the solver to say."""

    age: float
    account: bool
    """Of the same account."""
    strategy: bool
    equal: bool
    """Orders of the same account, side, symbol, size and price."""
    symbol: bool = True
    """Of the same symbol."""
    cancel: bool = False
    """Cancels, not orders."""


@dataclass(frozen=True, slots=True)
class Capital:
    """What the day may have started from, and the peak may have been; NaN among them for unknown."""

    starts: tuple[float, ...]
    balances: tuple[float, ...]
    peaks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is pinned for one search.

    `marks` is what each level's book values the order's symbol at, where it holds it; `instrument` has
    its FX rate set. Of `market` the prices count; age, completeness, depths and volume are free.
    """

    symbol: str
    instrument: Instrument
    market: Market
    order_type: str
    price: float
    marks: Mapping[str, float]
    others: Mapping[str, tuple[Held, ...]]
    capital: Mapping[str, Capital]
    past: tuple[Past, ...] = ()
    fillers: int = 0
    """How many symbols of one tiny position a book may hold beside the others."""
    name: str = ""

    def valuation(self, side: int) -> float:
        """The price that the order is valued at."""
        return valuation_price(side, self.order_type, self.price, self.market)

    def increase_price(self, level: str, side: int) -> float:
        """What an increase of the position is valued at: the larger of mark and valuation price."""
        mark = self.marks[level]
        mark = mark if usable(mark) else mark_of(self.market)
        value = self.valuation(side)
        return max(mark, value) if usable(mark) else value

    def deviation(self, side: int, reference: str, window: float) -> float:
        """`order.price_deviation`, which the prices alone settle."""
        price = self.price if usable(self.price) else self.valuation(side)
        present = reference_of(self.market, reference)
        if not usable(present):
            return NAN
        earlier = [
            seen
            for quote in self.market.history
            if quote.age <= window and usable(seen := reference_of(quote, reference))
        ]
        found = [share_of(abs(price - against), against) for against in (present, *earlier)]
        return max(found) if all(map(math.isfinite, found)) else NAN

    @property
    def on_tick(self) -> bool:
        """Whether the price is a multiple of the tick size; a market order is sent without one."""
        step = self.instrument.tick_size
        if self.order_type == "market" or not usable(self.price) or step is None:
            return True
        number = to_decimal(self.price)
        if number is None or Fraction(number) * 10 ** step_digits(step)[1] >= 10**15:
            return False
        return Fraction(number) % Fraction(step) == 0


def mid_of(market: Market) -> float:
    """The middle of bid and ask."""
    if usable(market.bid) and usable(market.ask):
        return (market.bid + market.ask) / 2
    return NAN


def reference_of(quote: Market, kind: str) -> float:
    """A quote's reference price: `last`, `mid` or `mark`."""
    if kind == "last":
        return quote.last
    return mid_of(quote) if kind == "mid" else mark_of(quote)


def spread_of(market: Market) -> float:
    """(ask - bid) / mid."""
    middle = mid_of(market)
    return share_of(market.ask - market.bid, middle)
