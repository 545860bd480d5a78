"""What gates look at beside the books: recent orders, cancels and quotes, in rings that grow."""

import math
from dataclasses import astuple, dataclass

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Books
from ringfence.backends.numba_kernel.limits import Limits
from ringfence.backends.numba_kernel.new_books import NEVER
from ringfence.language.fields import MESSAGES
from ringfence.language.linking import LinkedSet

__all__ = ["NO_NEEDS", "Needs", "fitted", "grow_left", "grow_quotes", "needs_of", "window_ns"]

_LONGEST = 2.0**62
_LEFT, _QUOTES, _CHAINS = 1 << 10, 1 << 12, 1 << 16


@dataclass(frozen=True, slots=True)
class Needs:
    """What the gates of a policy set look at beside the accounts' books.

    Attributes:
        firm, strategy: Whether a gate measures such books.
        rates: Whether a gate counts the orders, or orders and cancels, of a book.
        left_ns, quotes_ns: Longest window of what left, and of quotes, in ns; 0 for none.
    """

    firm: bool
    strategy: bool
    rates: bool
    left_ns: int
    quotes_ns: int

    def joined(self, other: "Needs") -> "Needs":
        """What either needs: a ring that is longer than a gate asks for changes no answer."""
        return Needs(*map(max, astuple(self), astuple(other)))

    @property
    def looks_back(self) -> bool:
        """Whether a gate looks at earlier orders or quotes."""
        return self.rates or self.left_ns > 0 or self.quotes_ns > 0


NO_NEEDS = Needs(firm=False, strategy=False, rates=False, left_ns=0, quotes_ns=0)


def needs_of(linked: LinkedSet, limits: Limits) -> Needs:
    """What this policy set's gates look at."""
    fields = {slot.rule.key: slot.fields for slot in limits.slots}
    levels = {gate.level for gate in linked.gates}
    left, quotes, rates = 0, 0, False
    for gate in linked.gates:
        used = fields.get(gate.rule.key, frozenset())
        window = max((window_ns(row.values.get("window")) for row in gate.rows), default=0)
        counts = not used.isdisjoint(MESSAGES)
        rates = rates or counts
        if counts or "order.duplicates" in used:
            left = max(left, window, 1)
        if "order.price_deviation" in used:
            quotes = max(quotes, window)
    return Needs("firm" in levels, "strategy" in levels, rates, left, quotes)


def window_ns(seconds: object) -> int:
    """A window as ns, never shorter than the kernel takes it; 0 for none."""
    if not isinstance(seconds, int | float) or not seconds >= 0:
        return 0
    # One more than the rounding of seconds in the kernel could make of it.
    return math.ceil(min(float(seconds) * 1e9, _LONGEST)) + 1


def fitted(books: Books, needs: Needs) -> Books:
    """The books with rings for what the gates look at, empty where there were none, and their windows set."""
    if needs.left_ns and books.left.shape[0] == 1:
        books.settings[layout.LEFT_N] = 0
        books = books._replace(
            left=np.zeros((_LEFT, layout.LEFT_WIDTH), np.int64),
            left_size=np.zeros((_LEFT, 2)),
            left_chain=np.full(_CHAINS, -1, np.int64),
        )
    if needs.rates and books.rate_ts.shape[1] == 1:
        # As long as the ring of all that left: a book's count within the window is then never cut short.
        shape = (books.rate_ts.shape[0], books.left.shape[0])
        books = books._replace(
            rate_ts=np.full(shape, NEVER, np.int64), rate_what=np.zeros(shape, np.int32)
        )
        books.rate_n[:] = 0
    if needs.quotes_ns and books.quotes.shape[0] == 1:
        books.settings[layout.QUOTES_N] = 0
        books = books._replace(
            quotes=np.zeros((_QUOTES, 2), np.int64), quote_prices=np.zeros((_QUOTES, 3))
        )
    books.settings[layout.LEFT_WINDOW] = needs.left_ns
    books.settings[layout.QUOTES_WINDOW] = needs.quotes_ns
    return books


def grow_left(books: Books) -> Books:
    """The books with rings of recent orders twice as long.

    Entries are found by `number % length`, and chains hold numbers: the chains stay as they are.
    """
    size = books.left.shape[0]
    left = np.zeros((2 * size, layout.LEFT_WIDTH), np.int64)
    left_size = np.zeros((2 * size, 2))
    numbers = _kept(int(books.settings[layout.LEFT_N]), size)
    left[numbers % (2 * size)] = books.left[numbers % size]
    left_size[numbers % (2 * size)] = books.left_size[numbers % size]
    books = books._replace(left=left, left_size=left_size)
    length = books.rate_ts.shape[1]
    if length == 1:
        return books
    shape = (books.rate_ts.shape[0], 2 * size)
    rate_ts, rate_what = np.full(shape, NEVER, np.int64), np.zeros(shape, np.int32)
    for b, count in enumerate(books.rate_n.tolist()):
        numbers = _kept(count, length)
        at, before = numbers % (2 * size), numbers % length
        rate_ts[b, at], rate_what[b, at] = books.rate_ts[b, before], books.rate_what[b, before]
    return books._replace(rate_ts=rate_ts, rate_what=rate_what)


def grow_quotes(books: Books) -> Books:
    """The books with a ring of quotes twice as long."""
    size = books.quotes.shape[0]
    quotes, prices = np.zeros((2 * size, 2), np.int64), np.zeros((2 * size, 3))
    numbers = _kept(int(books.settings[layout.QUOTES_N]), size)
    quotes[numbers % (2 * size)] = books.quotes[numbers % size]
    prices[numbers % (2 * size)] = books.quote_prices[numbers % size]
    return books._replace(quotes=quotes, quote_prices=prices)


def _kept(count: int, size: int) -> layout.Longs:
    """Numbers of the entries that a ring still holds."""
    return np.arange(max(0, count - size), count, dtype=np.int64)
