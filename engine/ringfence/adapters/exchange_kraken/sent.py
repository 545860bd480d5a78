"""Orders that were sent, by the names under which they went out."""

import threading
from dataclasses import dataclass

from ringfence.runtime.exchanges import ExchangeOrder
from ringfence.runtime.latest_rows import LatestRows

__all__ = ["LATEST", "NAMES", "Sent", "SentOrders", "terms_of"]

#: So many of the latest orders are known with what they said: by far more than Kraken takes until the longest
#: deadline, a minute, has passed. What came of older ones Kraken itself can tell for good.
LATEST = 5_000
#: Of so many it is known that there was one.
NAMES = 100_000


@dataclass(slots=True)
class Sent:
    """What is remembered of an order; `size` and `terms` are text, to the digit.

    Attributes:
        deadline_ns: It arrives no later than this, in ns since 1970, UTC.
        txid: Kraken's name of it, once that is known.
        refused: Why Kraken did not take it; empty where it did, or nobody knows.
    """

    client_order_id: str
    size: str
    terms: str
    deadline_ns: int
    txid: str = ""
    refused: str = ""


class SentOrders:
    """The latest orders, and the names of many more; thread-safe, and of a bounded size from the start."""

    def __init__(self, latest: int = LATEST, names: int = NAMES) -> None:
        # Whoever only imports a gateway does not wait for it.
        import numpy as np

        self._lock = threading.Lock()
        self._latest = LatestRows[Sent](latest)
        self._marks = np.zeros(names, np.uint64)
        self._next = 0

    def get(self, name: str) -> Sent | None:
        """The order of a name; None where there was none, or it is none of the latest."""
        with self._lock:
            return self._latest.get(name)

    def add(self, name: str, sent: Sent) -> bool:
        """Let an order stand for a name; False, and nothing changes, where one was sent under it before.

        Names are told apart by 64 bits: a new one passes for an old one once in some 10^14 times, and its order then stays here.
        """
        # Zero stands for no name.
        mark = hash(name) & 0xFFFFFFFFFFFFFFFF or 1
        with self._lock:
            if name in self._latest or (self._marks == mark).any():
                return False
            self._latest.add(name, sent)
            self._marks[self._next] = mark
            self._next = (self._next + 1) % len(self._marks)
            return True


def terms_of(order: ExchangeOrder) -> str:
    """All but the size of what two tellings of one order agree in."""
    price = "" if order.price is None else format(order.price, "f")
    if "." in price:
        # The same price with more zeros is the same price.
        price = price.rstrip("0").rstrip(".")
    return f"{order.symbol} {order.side} {order.type} {price}"
