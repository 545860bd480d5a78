"""What the benchmarks trade: fifty symbols with their trading rules, and a random walk for each."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

__all__ = ["SYMBOLS", "Symbol", "price_walks", "related"]

#: Share of its price by which a symbol moves in a day, one standard deviation.
DAILY_MOVE = 0.02
MINUTES_PER_DAY = 1440
#: Symbols that move together stand in groups of so many.
GROUP = 5


@dataclass(frozen=True, slots=True)
class Symbol:
    """An instrument: `lot_places` and `tick_places` are the decimals of its lot step and tick size."""

    name: str
    first_price: float
    lot_places: int
    tick_places: int

    @property
    def lot_step(self) -> Decimal:
        return Decimal(1).scaleb(-self.lot_places)

    @property
    def tick_size(self) -> Decimal:
        return Decimal(1).scaleb(-self.tick_places)


def _symbol(place: int) -> Symbol:
    # Prices from 3 to 50,000, spread evenly by magnitude; a lot is worth 0.1 to 1.
    price = round(3.0 * 10 ** (4.22 * ((place * 17) % 50) / 49), 2)
    return Symbol(
        name=f"C{place:02d}/USDT",
        first_price=price,
        lot_places=int(np.ceil(np.log10(price))),
        tick_places=2 if price > 100 else 4,
    )


SYMBOLS = tuple(_symbol(place) for place in range(50))


def related(one: int, other: int) -> float:
    """Correlation of two symbols, by their places: high within a group, one pair of groups opposed."""
    if one // GROUP == other // GROUP:
        return 0.85
    opposed = {one // GROUP, other // GROUP} == {0, 1}
    return -0.8 if opposed else 0.2


def price_walks(minutes: int, seed: int) -> npt.NDArray[np.float64]:
    """Prices by minute and symbol; the same minutes have the same prices however many there are."""
    steps = np.random.default_rng([seed, 0]).standard_normal((minutes, len(SYMBOLS)))
    steps *= DAILY_MOVE / np.sqrt(MINUTES_PER_DAY)
    steps[0] = 0.0
    first = np.array([symbol.first_price for symbol in SYMBOLS])
    walks: npt.NDArray[np.float64] = first * np.exp(np.cumsum(steps, axis=0))
    return walks
