"""What one question is about: who orders what, where and when, and with which numbers in the limits."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ringfence.language.instruments import Instrument, convert
from ringfence.language.linking import LinkedSet

__all__ = ["Setting", "iso_time"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One account, strategy, venue and symbol at one time, under one policy set's instruments and rates."""

    account: str
    strategy: str
    venue: str
    symbol: str
    clock_ns: int
    linked: LinkedSet

    @property
    def declared(self) -> bool:
        """Whether the instruments file holds the symbol."""
        return self.symbol in self.linked.desk.instruments

    @property
    def instrument(self) -> Instrument | None:
        """The symbol's instrument, a plain one where none is declared; None without an FX rate for it."""
        linked = self.linked
        found = linked.desk.instruments.get(self.symbol) or Instrument(
            self.symbol,
            lot_step=Decimal("0.0001"),
            min_size=Decimal("0.0001"),
            tick_size=Decimal("0.01"),
            base="UNIT",
            quote=linked.currency,
        )
        rate = convert(linked.desk.fx, found.quote, linked.currency)
        return None if rate is None else replace(found, fx=rate)

    def neighbours(self, count: int) -> Iterable[str]:
        """Names for other symbols that a book may hold, none of them declared."""
        currency = self.linked.currency or "USD"
        names = (f"OTHER{place}/{currency}" for place in range(1, count + 2))
        return [name for name in names if name != self.symbol][:count]


def iso_time(moment_ns: int) -> str:
    """A time as a policy test writes it; in whole microseconds."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment_ns // 1_000)
    return moment.isoformat().replace("+00:00", "Z")
