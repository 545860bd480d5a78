"""What a guard needs of a cache of market data that several processes share."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from ringfence.runtime.asked import MarketData

__all__ = ["MarketCache"]


class MarketCache(Protocol):
    """The latest market data of each symbol, for as long as it counts as fresh. Safe to use from several threads.

    Every call raises StateUnavailableError where the cache cannot be asked in time: no data, then.
    """

    def get(self, symbol: str) -> MarketData | None:
        """The symbol's latest data; None where there is none, or it is too old."""
        ...

    def put(self, symbol: str, data: MarketData) -> None:
        """Keep data, unless what is there has a later `timestamp`.

        Raises:
            InputError: the data is no market data.
        """
        ...

    def get_many(self, symbols: Iterable[str]) -> dict[str, MarketData]:
        """As `get`, of several symbols at once; those without fresh data are missing."""
        ...

    def put_many(self, data: Mapping[str, MarketData]) -> None:
        """As `put`, of several symbols at once."""
        ...
