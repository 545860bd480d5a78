"""Desks for tests: open in this process, on the shipped policies, with the clock of the machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ringfence import MarketData
from ringfence.runtime.credentials import API_SECRET_KEY, JWT_SECRET_KEY, load_credentials
from ringfence.service.desk import Desk, open_desk
from ringfence.service.settings import ServiceSettings

PRICES = {"BTC/USDT": 50_000.0, "ETH/USDT": 3_000.0}


@contextmanager
def desk_in(folder: Path, policies: Path = Path("policies")) -> Iterator[Desk]:
    """A desk with money, for as long as the block runs."""
    settings = ServiceSettings(environment="testing", policies=policies.resolve(), data=folder)
    credentials = load_credentials(
        (API_SECRET_KEY, JWT_SECRET_KEY), {"RINGFENCE_ENVIRONMENT": "testing"}
    )
    opened = open_desk(settings, credentials)
    for book in ("account/alpha", "account/beta", "strategy/taker"):
        opened.guard.on_balance(book, "opening", 6_000_000)
    yield opened
    opened.close()


def mark_all(desk: Desk) -> None:
    """Tell prices of now."""
    for symbol, price in PRICES.items():
        desk.guard.on_mark(symbol, MarketData(price - 1, price + 1, price, time.time_ns()))
