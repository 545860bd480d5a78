"""What happened a moment ago, compiled: rates of messages, equal orders, earlier quotes; all in rings.

A ring that would drop an entry still inside the longest window that a gate asks for says so, and is made
larger from outside. Nothing inside a window is forgotten.
"""

import numpy as np

from ringfence.backends.numba_kernel.jit_numbers import NAN, inline, plain, share_of, usable
from ringfence.backends.numba_kernel.layout import (
    ANY_SYMBOL,
    ASK,
    BID,
    LAST,
    LEFT_ACCOUNT,
    LEFT_N,
    LEFT_PREVIOUS,
    LEFT_SIDE,
    LEFT_SYMBOL,
    LEFT_TS,
    LEFT_WINDOW,
    QUOTES_N,
    QUOTES_WINDOW,
    SYM_MARK,
)

__all__ = [
    "equal_orders",
    "left_full",
    "messages",
    "note_cancel",
    "note_left",
    "note_quote",
    "note_rates",
    "quotes_full",
    "window_deviation",
]


@plain
def messages(books, b, now, window, s, counts):
    """Orders and cancels of the book that left within `window` seconds; counts up to the length of the ring.

    Of symbol `s`, or of all where it is -1; with `counts` 1 orders alone.
    """
    if not abs(window) < np.inf or counts != counts:
        return NAN
    size = np.int64(books.rate_ts.shape[1])
    total = books.rate_n[b]
    low, high = np.int64(0), min(total, size)
    # Times only rise, so the first `low` back from the newest are the ones inside the window.
    while low < high:
        middle = (low + high) // 2
        ts = books.rate_ts[b, (total - 1 - middle) % size]
        if (now - ts) / 1e9 < window:
            low = middle + 1
        else:
            high = middle
    if s < 0 and counts == 0.0:
        return float(low)
    count = 0.0
    at = total % size
    for _ in range(low):
        at = at - 1 if at > 0 else size - 1
        what = np.int64(books.rate_what[b, at])
        symbol = what >> 1
        kept = (s < 0) | (symbol == s) | (symbol == ANY_SYMBOL)
        if kept & ((counts == 0.0) | (what & 1 == 0)):
            count += 1.0
    return count


@plain
def note_rate(books, b, what, now):
    """Something of the book left; `what` as in `rate_what`."""
    size = books.rate_ts.shape[1]
    total = books.rate_n[b]
    books.rate_ts[b, total % size] = now
    books.rate_what[b, total % size] = what
    books.rate_n[b] = total + 1


@plain
def note_rates(books, account, strategy, what, now):
    """Something left, in the books of an account, a strategy (-1 for none) and the firm."""
    note_rate(books, account, what, now)
    note_rate(books, np.int64(0), what, now)
    if strategy >= 0:
        note_rate(books, strategy, what, now)


@plain
def note_cancel(books, account, strategy, symbol, now):
    """Remember a cancel that left. No order equals it, so it is in no chain."""
    number = books.settings[LEFT_N]
    at = number % np.int64(books.left.shape[0])
    entry = books.left[at]
    entry[LEFT_TS] = now
    entry[LEFT_ACCOUNT] = account
    entry[LEFT_SYMBOL] = symbol
    entry[LEFT_SIDE] = 0
    entry[LEFT_PREVIOUS] = -1
    books.left_size[at, 0] = 0.0
    books.left_size[at, 1] = NAN
    books.settings[LEFT_N] = number + 1
    note_rates(books, account, strategy, 2 * symbol + 1, now)


@inline
def _hash(account, symbol, side, lots):
    key = np.uint64(account) * np.uint64(0x9E3779B97F4A7C15)
    key ^= np.uint64(symbol) * np.uint64(0xC2B2AE3D27D4EB4F)
    key ^= np.uint64(np.int64(lots)) * np.uint64(0x165667B19E3779F9)
    key ^= np.uint64(side + 2) * np.uint64(0xD6E8FEB86659FD93)
    key ^= key >> np.uint64(29)
    return key * np.uint64(0xBF58476D1CE4E5B9)


@plain
def equal_orders(books, account, symbol, side, lots, price, now, window):
    """Earlier orders of the same account, symbol, side, size and price within `window` seconds."""
    if not abs(window) < np.inf:
        return NAN
    size = np.int64(books.left.shape[0])
    bucket = _hash(account, symbol, side, lots) % np.uint64(books.left_chain.shape[0])
    number = books.left_chain[bucket]
    count = 0.0
    while number >= 0 and number >= books.settings[LEFT_N] - size:
        at = number % size
        entry = books.left[at]
        if (now - entry[LEFT_TS]) / 1e9 >= window:
            break
        if (
            entry[LEFT_ACCOUNT] == account
            and entry[LEFT_SYMBOL] == symbol
            and entry[LEFT_SIDE] == side
            and books.left_size[at, 0] == lots
        ):
            earlier = books.left_size[at, 1]
            if earlier == price or earlier != earlier:
                count += 1.0
        number = entry[LEFT_PREVIOUS]
    return count


@plain
def note_left(books, account, symbol, side, lots, price, now):
    """Remember an order that left."""
    size = np.int64(books.left.shape[0])
    number = books.settings[LEFT_N]
    at = number % size
    bucket = _hash(account, symbol, side, lots) % np.uint64(books.left_chain.shape[0])
    entry = books.left[at]
    entry[LEFT_TS] = now
    entry[LEFT_ACCOUNT] = account
    entry[LEFT_SYMBOL] = symbol
    entry[LEFT_SIDE] = side
    entry[LEFT_PREVIOUS] = books.left_chain[bucket]
    books.left_size[at, 0] = lots
    books.left_size[at, 1] = price
    books.left_chain[bucket] = number
    books.settings[LEFT_N] = number + 1


@plain
def left_full(books, now):
    """Whether what leaves next would push something out that is still inside the longest window."""
    size = np.int64(books.left.shape[0])
    number = books.settings[LEFT_N]
    if number < size:
        return False
    return now - books.left[number % size, LEFT_TS] <= books.settings[LEFT_WINDOW]


@inline
def _mid(bid, ask):
    return (bid + ask) / 2 if usable(bid) and usable(ask) else NAN


@plain
def note_quote(books, s, now):
    """Remember the symbol's present quote."""
    size = np.int64(books.quotes.shape[0])
    number = books.settings[QUOTES_N]
    at = number % size
    sym = books.sym
    books.quotes[at, 0] = now
    books.quotes[at, 1] = books.quote_chain[s]
    books.quote_prices[at, 0] = _mid(sym[s, BID], sym[s, ASK])
    books.quote_prices[at, 1] = sym[s, LAST]
    books.quote_prices[at, 2] = sym[s, SYM_MARK]
    books.quote_chain[s] = number
    books.settings[QUOTES_N] = number + 1


@plain
def quotes_full(books, now):
    """Whether the next quote would push one out that is still inside the longest window."""
    size = np.int64(books.quotes.shape[0])
    number = books.settings[QUOTES_N]
    if number < size:
        return False
    return now - books.quotes[number % size, 0] <= books.settings[QUOTES_WINDOW]


@plain
def window_deviation(books, s, reference, price, present, now, window):
    """Largest distance of a price from the references seen within `window` seconds, the present included."""
    size = np.int64(books.quotes.shape[0])
    largest = share_of(abs(price - present), present) if usable(present) else NAN
    number = books.quote_chain[s]
    while number >= 0 and number >= books.settings[QUOTES_N] - size:
        at = number % size
        if (now - books.quotes[at, 0]) / 1e9 > window:
            break
        seen = books.quote_prices[at, reference]
        if usable(seen):
            distance = share_of(abs(price - seen), seen)
            if distance > largest:
                largest = distance
        number = books.quotes[at, 1]
    return largest
