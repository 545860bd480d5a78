"""Kraken's spot market, over its REST interface, by way of ccxt."""

from ringfence.adapters.exchange_kraken.client import KrakenClient
from ringfence.adapters.exchange_kraken.exchange import KrakenExchange

__all__ = ["KrakenClient", "KrakenExchange"]
