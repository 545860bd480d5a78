"""Kraken's pairs: their trading rules, and its several names for one symbol."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ringfence.language.instruments import Instrument

__all__ = ["Pairs", "read_pairs"]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Trading rules and Kraken's identifier by symbol, and the symbol by any of Kraken's names."""

    instruments: Mapping[str, Instrument]
    ids: Mapping[str, str]
    symbols: Mapping[str, str]

    def symbol(self, name: str) -> str:
        """Our symbol for Kraken's name; the name itself where it is not known."""
        return self.symbols.get(name, name)


def read_pairs(markets: Mapping[str, Mapping[str, Any]]) -> Pairs:
    """Read what `KrakenClient.markets` gave; pairs that are not online are left out."""
    instruments: dict[str, Instrument] = {}
    ids: dict[str, str] = {}
    symbols: dict[str, str] = {}
    for symbol, told in markets.items():
        for name in (told["id"], told.get("altname"), told.get("wsname")):
            if name:
                symbols[str(name)] = symbol
        if told.get("status", "online") != "online":
            continue
        base, _, quote = symbol.partition("/")
        ids[symbol] = str(told["id"])
        instruments[symbol] = Instrument(
            symbol,
            lot_step=Decimal(1).scaleb(-int(told["lot_decimals"])),
            min_size=Decimal(str(told["ordermin"])) if told.get("ordermin") else None,
            tick_size=(
                Decimal(str(told["tick_size"]))
                if told.get("tick_size")
                else Decimal(1).scaleb(-int(told["pair_decimals"]))
            ),
            min_notional=float(told.get("costmin") or 0),
            base=base,
            quote=quote,
        )
    return Pairs(instruments, ids, symbols)
