"""Numbers as a person writes them: with their unit, thousands apart, and no digit that means nothing."""

import math
from decimal import Decimal

from ringfence.language.orders import KILL_STATES, Instrument

__all__ = ["UNBOUNDED", "Words", "plain_number"]

#: Stands for no maximum.
UNBOUNDED = 1e300


def plain_number(value: float) -> str:
    """`4,040,000`, `0.6110` as `0.611`: up to twelve significant digits; `unknown` for NaN."""
    if not math.isfinite(value):
        return "unknown"
    if value != 0 and not 1e-6 <= abs(value) < 1e15:
        return f"{value:.6g}"
    places = max(0, 12 - max(1, math.floor(math.log10(abs(value))) + 1)) if value else 0
    text = f"{value:,.{min(places, 9)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


class Words:
    """Amounts of one order: money in the policy set's currency, sizes in the base, prices in the quote.

    Args:
        currency: Of the policy set.
        instrument: The order's.
    """

    def __init__(self, currency: str, instrument: Instrument | None) -> None:
        self.currency = currency
        self._base = instrument.base if instrument is not None else ""
        self._quote = instrument.quote if instrument is not None else ""

    def amount(self, value: float, unit: str, choices: tuple[str, ...] = ()) -> str:
        """A value in a unit of the language, such as `4,040,000 USDT`, `95%`, `5s`."""
        if not math.isfinite(value):
            return "unknown"
        if value >= UNBOUNDED:
            return "no bound"
        match unit:
            case "money":
                return self.money(value)
            case "ratio":
                return f"{plain_number(value * 100)}%"
            case "quantity":
                return f"{plain_number(value)} {self._base}".rstrip()
            case "price":
                return self.price(value)
            case "duration":
                return f"{plain_number(value)}s"
            case "state":
                known = value in (0.0, 1.0, 2.0)
                return f"{value:g} ({KILL_STATES[int(value)]})" if known else plain_number(value)
            case "boolean":
                return "true" if value else "false"
            case "choice" if 0 <= value < len(choices):
                return choices[int(value)]
        return plain_number(value)

    def money(self, value: float) -> str:
        """An amount in the policy set's currency."""
        return f"{plain_number(value)} {self.currency}".rstrip()

    def price(self, value: float) -> str:
        """A price of the order's symbol."""
        if not math.isfinite(value):
            return "unknown"
        return f"{plain_number(value)} {self._quote}".rstrip()

    def size(self, size: Decimal) -> str:
        """A size of the order's symbol with every digit: one that is rounded may be none that can be sent."""
        return f"{size.normalize():,f} {self._base}".rstrip()

    @staticmethod
    def lots(lots: int, instrument: Instrument) -> str:
        """Lots as a size in the base of an instrument; sign kept."""
        size = (Decimal(lots) * instrument.lot_step).normalize()
        return f"{size:,f} {instrument.base}".rstrip()

    def valued(self, lots: int, price: float, instrument: Instrument) -> str:
        """The arithmetic of a position: `1 BTC x 50,000 USDT`, with multiplier and rate where not 1."""
        if not math.isfinite(price):
            return f"{self.lots(lots, instrument)} x an unknown price"
        parts = [self.lots(lots, instrument), f"{plain_number(price)} {instrument.quote}".rstrip()]
        if instrument.multiplier != 1.0:
            parts.append(f"multiplier {plain_number(instrument.multiplier)}")
        if instrument.fx != 1.0:
            rate = plain_number(instrument.fx)
            parts.append(f"rate {rate} {self.currency}/{instrument.quote}")
        return " x ".join(parts)
