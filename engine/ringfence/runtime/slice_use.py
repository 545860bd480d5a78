"""How much of its slice a group uses: asked of the gates, with orders of no lots, which show the book as it is."""

import math
from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple

from ringfence.backends.numba_kernel import layout
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import Asked
from ringfence.runtime.evaluator import Evaluator, Found
from ringfence.runtime.firm_slices import PARTS
from ringfence.runtime.guard_books import GuardBooks
from ringfence.runtime.sliced_limits import is_sliced, loss_gates

__all__ = ["Use", "lack_of", "spare", "use_of"]

_REDUCE, _BREACH, _EXEMPT, _UNKNOWN = 2, 3, 4, 5
_SIDES = ((1, "buy"), (-1, "sell"))
_MARKET = 1
_NAN = math.nan
# Less than this is not worth a move.
_LEAST = PARTS // 256


class Use(NamedTuple):
    """Measures as shares of their limits, the largest of them; NaN where one is unknown.

    Attributes:
        most: Of all gates of the firm that are held to the slice.
        loss: Of those that stop it for what it lost.
    """

    most: float
    loss: float


def use_of(
    evaluator: Evaluator, books: GuardBooks, now_ns: int, *, every_symbol: bool = True
) -> Use:
    """What the firm's gates find in these books.

    Args:
        evaluator: Bound to the books, with the limits that they are held to.
        books: The group's books.
        now_ns: The time.
        every_symbol: Ask about each symbol that is held; otherwise about one, for what is measured of the
            whole book.
    """
    symbols = _held(books)
    if not symbols:
        if _is_untouched(books):
            return Use(0.0, 0.0)
        symbols = _priced(books)[:1]
    if not every_symbol:
        symbols = symbols[:1]
    losses = loss_gates(evaluator.linked)
    most = loss = 0.0
    asked = False
    for found in _probes(evaluator, books, symbols, now_ns):
        if found is None:
            return Use(_NAN, _NAN)
        asked = True
        for label, use in _uses(found):
            most = _larger(most, use)
            if label in losses:
                loss = _larger(loss, use)
    return Use(most, loss) if asked else Use(_NAN, _NAN)


def spare(books: GuardBooks, use: float, margin: float) -> tuple[int, int]:
    """Parts of capital and of share that the books can do without.

    With a share x of both gone, what was used by u is used by at most u / (1 - x), so x <= 1 - u. What the
    day and the peak are measured from shrinks by the same money; so x is taken of the smallest of them.
    """
    x = 1.0 - use - margin
    row = books.ledger.arrays.books.book[0]
    least = min(
        float(row[at]) for at in (layout.EQUITY, layout.DAY_EQUITY, layout.DAY_BALANCE, layout.PEAK)
    )
    if not (x > 0.0 and 0.0 < least < math.inf):
        return 0, 0
    held = books.slice
    capital = min(held.capital, int(x * least * 1e6 / books.slice_unit))
    share = int(x * held.share)
    return (capital, share) if max(capital, share) >= _LEAST else (0, 0)


def lack_of(found: Found, *, nothing: bool) -> float:
    """By how much its slice fell short of an order: what is measured as a share of the limit; inf where that is
    unknown, and 0 where a larger slice would not help, for others refuse or reduce the order as much.

    `nothing`: the group holds no capital, so that shares of it are unknown.
    """
    answer, route = found.answer, found.route
    own = other = math.inf
    lack = 0.0
    for bound, column in zip(route.bounds, route.columns, strict=True):
        if bound.gate.mode != "enforce":
            continue
        outcome, is_firm = answer.outcomes[column], is_sliced(bound.gate)
        if outcome == _BREACH or (outcome == _UNKNOWN and is_firm and nothing):
            room = -1.0
        elif outcome == _UNKNOWN:
            return 0.0
        elif outcome == _REDUCE:
            room = float(answer.headrooms[column])
        else:
            continue
        if is_firm:
            own = min(own, room)
            share = _share_of(answer.measures[column], answer.limits[column])
            lack = max(lack, share if outcome != _UNKNOWN else math.inf)
        else:
            other = min(other, room)
    return lack if own < other else 0.0


def _share_of(measure: float, limit: float) -> float:
    if measure <= 0.0:
        return 0.0
    return measure / limit if limit > 0.0 else math.inf


def _held(books: GuardBooks) -> list[str]:
    arrays = books.ledger.arrays
    names = list(arrays.symbols)
    count = int(arrays.books.book_n[0, layout.HELD])
    return [names[int(s)] for s in arrays.books.held[0, :count]]


def _priced(books: GuardBooks) -> list[str]:
    arrays = books.ledger.arrays
    return [
        name
        for name, s in arrays.symbols.items()
        if name in arrays.instruments and arrays.books.sym[s, layout.SYM_MARK] > 0.0
    ]


def _is_untouched(books: GuardBooks) -> bool:
    """Whether nothing was ever gained or lost: then nothing is used, priced or not."""
    row = books.ledger.arrays.books.book[0]
    equity = float(row[layout.EQUITY])
    return all(
        equity == float(row[at]) for at in (layout.PEAK, layout.DAY_EQUITY, layout.DAY_BALANCE)
    )


def _probes(
    evaluator: Evaluator, books: GuardBooks, symbols: Iterable[str], now_ns: int
) -> Iterator[Found | None]:
    """Each symbol on either side, for all names whose gates differ; None where it cannot be asked."""
    arrays, linked = books.ledger.arrays, evaluator.linked
    names: list[tuple[str, ...]] = []
    for dimension, known in enumerate((arrays.accounts, arrays.strategies, arrays.venues)):
        alike: dict[int, str] = {}
        for name in known:
            alike.setdefault(linked.mask(dimension, name), name)
        names.append(tuple(alike.values()))
    for account, strategy, venue, symbol in product(*names, symbols):
        for side, word in _SIDES:
            size = arrays.lot_step(symbol)
            asked = Asked(
                *(account, strategy, venue, symbol, side, word, _MARKET, "market", size, _NAN),
                exact_price=None,
                reduce_only=False,
                client_order_id="",
            )
            route = evaluator.route(asked)
            found = route if isinstance(route, Refusal) else evaluator.ask(route, asked, 0, now_ns)
            yield None if isinstance(found, Refusal) else found


def _uses(found: Found) -> Iterator[tuple[str, float]]:
    answer, route = found.answer, found.route
    for bound, column in zip(route.bounds, route.columns, strict=True):
        gate, outcome = bound.gate, answer.outcomes[column]
        if gate.mode != "enforce" or outcome == _EXEMPT or not is_sliced(gate):
            continue
        measure, limit = answer.measures[column], answer.limits[column]
        yield gate.label, _NAN if outcome == _UNKNOWN else _share_of(measure, limit)


def _larger(one: float, other: float) -> float:
    return _NAN if one != one or other != other else max(one, other)
