"""The kernel's books for one replay: fresh arrays for its names."""

import math
from dataclasses import dataclass

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Books
from ringfence.backends.numba_kernel.new_books import new_books, set_instrument
from ringfence.backends.numba_kernel.rings import Needs
from ringfence.language.instruments import convert
from ringfence.language.linking import LinkedSet

__all__ = ["Names", "opened_books"]

_LEFT, _QUOTES, _CHAINS = 1 << 10, 1 << 12, 1 << 16


@dataclass(frozen=True, slots=True)
class Names:
    """Who sends orders of what; accounts that only have money stand last."""

    accounts: list[str]
    strategies: list[str]
    venues: list[str]
    symbols: list[str]

    def books(self) -> dict[str, int]:
        """The number of each book: the firm's is 0, then accounts, then strategies."""
        names = ["firm", *(f"account/{name}" for name in self.accounts)]
        names += [f"strategy/{name}" for name in self.strategies]
        return {name: place for place, name in enumerate(names)}


def opened_books(linked: LinkedSet, names: Names, needs: Needs, *, timed: bool) -> Books:
    """Fresh arrays: instruments set, nothing held, no money known.

    Args:
        linked: The policy set; its desk knows instruments and FX rates.
        names: The names of the replay.
        needs: What the gates look at.
        timed: Whether marks have a time; without marks every price is fresh.
    """
    accounts, strategies = len(names.accounts), len(names.strategies)
    left = _LEFT if needs.left_ns else 1
    books = new_books(
        [0] + [1] * accounts + [2] * strategies,
        len(names.symbols),
        account_books=range(1, 1 + accounts),
        strategy_books=range(1 + accounts, 1 + accounts + strategies),
        venues=len(names.venues),
        # As long as the ring of all orders: a book's count within the window is then never cut short.
        rate_ring=left if needs.rates else 1,
        left_ring=left,
        quotes_ring=_QUOTES if needs.quotes_ns else 1,
    )
    if needs.left_ns:
        books = books._replace(left_chain=np.full(_CHAINS, -1, np.int64))
    for place, name in enumerate(names.strategies):
        if not name:
            books.book_n[1 + accounts + place, layout.EXISTS] = 0
    books.sym[:, layout.LOT_MONEY] = math.nan
    for s, symbol in enumerate(names.symbols):
        instrument = linked.desk.instruments.get(symbol)
        if instrument is not None:
            rate = convert(linked.desk.fx, instrument.quote, linked.currency)
            set_instrument(books, s, instrument, rate)
    books.settings[layout.AGES] = layout.AGES_TIMED if timed else layout.AGES_NONE
    books.settings[layout.LEFT_WINDOW] = needs.left_ns
    books.settings[layout.QUOTES_WINDOW] = needs.quotes_ns
    return books
