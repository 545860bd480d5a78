"""Books that gates halt while a replay goes on, compiled."""

import numpy as np

from ringfence.backends.numba_kernel.jit_numbers import plain
from ringfence.backends.numba_kernel.layout import (
    AGES,
    AGES_NONE,
    COLUMN,
    CONFIRM,
    CONFIRM_AT,
    CONFIRMING,
    END,
    EXISTS,
    FIRST_GATE_REFUSAL,
    FLAGS,
    HALTING,
    HALTS,
    HALTS_AT,
    HELD,
    LEVEL,
    START,
    Q,
)

__all__ = ["release_halts", "settle_halts"]

# The state of a switch that lets nothing through.
_HALTED = 2
_PASS, _BREACH = 1, 3
_UNTIL_DAY = 1


@plain
def has_ticked(books, events, at, b, now):
    """Whether every symbol that a book holds has newer data than any had when the breach was met before."""
    before = events.confirm_ts[at, b]
    if books.settings[AGES] == AGES_NONE:
        # Each order's own price is the mark.
        events.confirm_ts[at, b] = now
        return now > before
    newest, is_newer = before, True
    for k in range(books.book_n[b, HELD]):
        s = books.held[b, k]
        if books.pos[b, s, Q] != 0.0:
            is_newer &= books.sym_ts[s] > before
            newest = max(newest, books.sym_ts[s])
    if is_newer:
        events.confirm_ts[at, b] = newest
    return is_newer


@plain
def is_confirmed(books, events, entry, b, now):
    """Whether a breach that an order meets halts the book; counted where it takes several ticks."""
    if entry[CONFIRM] <= 1:
        return True
    at, is_held = np.int64(entry[CONFIRM_AT]), False
    for k in range(books.book_n[b, HELD]):
        is_held |= books.pos[b, books.held[b, k], Q] != 0.0
    if not is_held:
        # No price of what it holds can be wrong.
        return True
    if has_ticked(books, events, at, b, now):
        events.cursor[CONFIRMING] += events.confirm_n[at, b] == 0
        events.confirm_n[at, b] += 1
    return events.confirm_n[at, b] >= entry[CONFIRM]


@plain
def forget(events, entry, b):
    """Count ticks anew."""
    at = np.int64(entry[CONFIRM_AT])
    if entry[CONFIRM] > 1 and events.confirm_n[at, b] != 0:
        events.cursor[CONFIRMING] -= 1
        events.confirm_n[at, b] = 0


@plain
def settle_halts(books, bindings, results, events, i, now, account_code, strategy_code, venue, s):
    """After an order was decided: halt the books whose gates say so, and note when."""
    if 0 < results.code[i] < FIRST_GATE_REFUSAL:
        # What cannot be read or valued tells nothing of a book.
        return
    cursor, P = events.cursor, bindings
    which = np.int64(
        P.bind[
            P.account_class[account_code] * P.strides[0]
            + P.strategy_class[strategy_code] * P.strides[1]
            + P.venue_class[venue] * P.strides[2]
            + P.symbol_class[s]
        ]
    )
    for e in range(P.lists[which, START], P.lists[which, END]):
        entry = P.entry[e]
        if entry[FLAGS] & HALTS == 0:
            continue
        level, column = entry[LEVEL], np.int64(entry[COLUMN])
        b = np.int64(0)
        if level == 1:
            b = np.int64(books.account_book[account_code])
        elif level == 2:
            b = np.int64(books.strategy_book[strategy_code])
        if books.book_n[b, EXISTS] == 0:
            # What belongs to no book halts none.
            continue
        outcome = results.outcome[column, i]
        if outcome == _PASS:
            forget(events, entry, b)
        elif (
            outcome == _BREACH
            and books.kill_book[b] != _HALTED
            and is_confirmed(books, events, entry, b, now)
        ):
            forget(events, entry, b)
            books.kill_book[b] = _HALTED
            at = cursor[HALTS_AT]
            events.halts[at, 0], events.halts[at, 1], events.halts[at, 2] = now, b, column
            cursor[HALTS_AT] += 1


@plain
def release_halts(books, events):
    """At the start of a trading day: somebody has looked into what was halted, where halts last until then."""
    if events.cursor[HALTING] == _UNTIL_DAY:
        for b in range(books.kill_book.shape[0]):
            books.kill_book[b] = 0
