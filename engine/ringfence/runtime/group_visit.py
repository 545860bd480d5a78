"""A look into the books of a group that no guard speaks for, and what it does not use of its slice, given back.

Nothing is decided here whether the group still lives: whoever visits writes into the group's own log, and only
where it stands as the visitor has read it. A guard of the group that comes back finds its slice lowered before
it decides anything.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ringfence.backends.numba_kernel import layout
from ringfence.language.linking import LinkedSet
from ringfence.runtime.evaluator import Evaluator
from ringfence.runtime.firm_slices import NO_SLICE, FirmSlices, FirmState, Slice
from ringfence.runtime.guard_books import Event, GuardBooks
from ringfence.runtime.shared_books import SharedBooks
from ringfence.runtime.slice_use import spare, use_of

__all__ = ["Prices", "prices_of", "visit"]

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
Prices = Mapping[str, list[Any]]
Build = Callable[[dict[str, Any] | None], GuardBooks]


def prices_of(books: GuardBooks) -> Prices:
    """Time and numbers of every symbol's market data."""
    arrays = books.ledger.arrays
    times = arrays.books.sym_ts.tolist()
    return {
        name: [times[s], *(arrays.books.sym[s, at].item() for at in _QUOTE)]
        for name, s in arrays.symbols.items()
    }


def visit(
    slices: FirmSlices,
    group: str,
    origin: str,
    state: FirmState,
    prices: Prices,
    linked: LinkedSet,
    build: Build,
    now_ns: int,
) -> bool:
    """Tell the store what a group holds, and give back what it does not use.

    Args:
        slices: The store.
        group: The group to look at.
        origin: Names the visitor in the group's log; no other visitor has the same.
        state: What the store said of it.
        prices: The visitor's.
        linked: The policy set.
        build: Makes books of a snapshot.
        now_ns: The time.

    Returns:
        Whether something was given back.

    Raises:
        StateError: the group's log or the store cannot be asked.
    """
    known, log = state.groups[group].slice, slices.log(group, origin)
    try:
        if known is None and log.start() is None:
            # It never began, and what it takes from now on the store knows.
            slices.renew(group, NO_SLICE, lease_ms=0, is_over=False)
            return False
        visited = SharedBooks(log, build, _tell_nobody, 1)
        now = visited.ready(now_ns)
        _bring_prices(visited, prices, now)
        books = visited.books
        use = use_of(Evaluator(books.limits_of(linked), books.ledger.arrays), books, now)
        gave = known is not None and _give_back(visited, known, use.most, state.unit, now)
        # Nobody else keeps the log short.
        visited.renew()
        # What the log has, whatever was tried.
        slices.renew(group, visited.books.slice, lease_ms=0, is_over=not use.loss <= 1.0)
        return gave
    finally:
        log.close()


def _give_back(visited: SharedBooks, known: Slice, use: float, unit: int, now: int) -> bool:
    books = visited.books
    # What the store gave out and the log never heard of goes back whole.
    taken = known.joined(books.slice)
    unheard = taken.capital - books.slice.capital, taken.share - books.slice.share
    capital, share = spare(books, use, _KEPT) if books.slice_unit else (0, 0)
    held = taken.less(capital + unheard[0], share + unheard[1])
    return held != books.slice and visited.keep_here(["slice", now, *held, unit])


def _tell_nobody(event: Event) -> None:
    del event


def _bring_prices(visited: SharedBooks, prices: Prices, now: int) -> None:
    """Value what the group holds at the visitor's prices, where those are newer."""
    arrays = visited.books.ledger.arrays
    names = list(arrays.symbols)
    count = int(arrays.books.book_n[0, layout.HELD])
    for s in arrays.books.held[0, :count].tolist():
        ours = prices.get(names[s])
        if ours is not None and ours[0] > int(arrays.books.sym_ts[s]):
            visited.keep(["mark", now, names[s], *ours])
