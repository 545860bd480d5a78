"""A look into the books of a group that no guard speaks for, and what it does not use of its slice, given back.

Nothing is decided here whether the group still lives: whoever visits writes into the group's own log, and only
where it stands as the visitor has read it. A guard of the group that comes back finds its slice lowered before
it decides anything.
"""

from collections.abc import Callable
from typing import Any

from ringfence.backends.numba_kernel import layout
from ringfence.language.linking import LinkedSet
from ringfence.runtime.evaluator import Evaluator
from ringfence.runtime.firm_slices import NO_SLICE, FirmSlices, FirmState, Slice
from ringfence.runtime.guard_books import Event, GuardBooks
from ringfence.runtime.shared_books import SharedBooks
from ringfence.runtime.slice_use import spare, use_of

__all__ = ["visit"]

# Against rounding only: nobody is there who would need it.
_KEPT = 1 / 1024
_QUOTE = (
    layout.BID,
    layout.ASK,
    layout.LAST,
    layout.BID_DEPTH,
    layout.ASK_DEPTH,
    layout.VOLUME,
)
Build = Callable[[dict[str, Any] | None], GuardBooks]


def visit(
    slices: FirmSlices,
    group: str,
    origin: str,
    state: FirmState,
    own: GuardBooks,
    linked: LinkedSet,
    build: Build,
    now_ns: int,
) -> bool | None:
    """Tell the store what a group holds, and give back what it does not use.

    Args:
        slices: The store.
        group: The group to look at.
        origin: Names the visitor in the group's log.
        state: What the store said of it.
        own: The visitor's books, for prices that are newer.
        linked: The policy set.
        build: Makes books of a snapshot.
        now_ns: The time.

    Returns:
        Whether something was given back; None where the group was only heard of.

    Raises:
        StateError: the group's log or the store cannot be asked.
    """
    known, log = state.groups[group], slices.log(group, origin)
    if known.slice is None and log.start() is None:
        # It never began, and what it takes from now on the store knows.
        log.close()
        slices.renew(group, NO_SLICE, lease_ms=0, is_over=False)
        return None
    visited = SharedBooks(log, build, _tell_nobody, 1)
    try:
        return _look(slices, group, visited, known.slice, own, linked, state.unit, now_ns)
    finally:
        visited.release()


def _look(
    slices: FirmSlices,
    group: str,
    visited: SharedBooks,
    known: Slice | None,
    own: GuardBooks,
    linked: LinkedSet,
    unit: int,
    now_ns: int,
) -> bool | None:
    now = visited.ready(now_ns)
    _bring_prices(visited, own, now)
    books = visited.books
    evaluator = Evaluator(books.limits_of(linked), books.ledger.arrays)
    use = use_of(evaluator, books, now)
    is_over = not use.loss <= 1.0
    if known is None:
        slices.renew(group, books.slice, lease_ms=0, is_over=is_over)
        return None
    # What the store gave out and the log never heard of goes back whole.
    taken = known.joined(books.slice)
    unheard = taken.capital - books.slice.capital, taken.share - books.slice.share
    capital, share = spare(books, use.most, _KEPT) if books.slice_unit else (0, 0)
    held = taken.less(capital + unheard[0], share + unheard[1])
    if held == books.slice:
        slices.renew(group, held, lease_ms=0, is_over=is_over)
        return False
    if not visited.keep_here(["slice", now, *held, unit]):
        return False
    slices.renew(group, held, lease_ms=0, is_over=is_over)
    return True


def _tell_nobody(event: Event) -> None:
    del event


def _bring_prices(visited: SharedBooks, own: GuardBooks, now: int) -> None:
    """Value what the group holds at the visitor's prices, where those are newer."""
    theirs, ours = visited.books.ledger.arrays, own.ledger.arrays
    names = list(theirs.symbols)
    count = int(theirs.books.book_n[0, layout.HELD])
    for s in theirs.books.held[0, :count].tolist():
        code = ours.symbols.get(names[s])
        if code is not None and ours.books.sym_ts[code] > theirs.books.sym_ts[s]:
            row = ours.books.sym[code].tolist()
            visited.keep(
                ["mark", now, names[s], int(ours.books.sym_ts[code]), *(row[at] for at in _QUOTE)]
            )
