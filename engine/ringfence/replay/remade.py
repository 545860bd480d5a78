"""One row of a dry run made again: everything that its decision depended on, as a `Case`.

A dry run keeps its decisions, not its books. They are made again by the same engine, which replays the same
sources up to that row; an order of no size goes before it, so that time, marks and money have moved when
the books are read. What the engine then decides has to be what the table says, bit for bit.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Books
from ringfence.errors import InputError
from ringfence.language.fields import ORDER_TYPES
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Case, Market
from ringfence.replay.batches import OrderBatch
from ringfence.replay.decided import DECISIONS, OUTCOMES, DecidedBatch
from ringfence.replay.dry_run import Request, own_view
from ringfence.replay.engine import Engine
from ringfence.replay.sources import Inputs, open_inputs
from ringfence.runtime.asked import Asked
from ringfence.runtime.derived_case import asked_order, derived_case
from ringfence.runtime.evidence_read import Shown, ShownBook
from ringfence.runtime.recent_evidence import CANCEL, OF_SYMBOL

__all__ = ["Remade", "remake"]

_NAN = math.nan
_LEVELS = ("firm", "account", "strategy")


@dataclass(frozen=True, slots=True)
class Remade:
    """A row made again.

    Attributes:
        case: What its decision depended on.
        order_id: Of the order.
        row: What the engine decides, named as the columns of the table are.
        columns: By the place of each gate that binds the order, the column that tells of it.
    """

    case: Case
    order_id: str
    row: dict[str, Any]
    columns: tuple[str, ...]


def remake(
    request: Request,
    linked: LinkedSet,
    mode: str,
    position: int,
    progress: Callable[[int, int], None] | None = None,
) -> Remade:
    """Replay up to a row, and return what its decision depended on.

    Args:
        request: Of the dry run.
        linked: The policy set of the side that is asked about.
        mode: `propagated` or `frozen`.
        position: Of the row, from 0.
        progress: Told how many orders are done, of how many.

    Raises:
        InputError: a source cannot be used, or has no such row.
        PolicyError: a mapping has faults.
    """
    with ExitStack() as stack:
        inputs = stack.enter_context(
            open_inputs(
                request.orders,
                fills=request.fills,
                marks=request.marks,
                balances=request.balances,
                mapping=request.mapping,
                marks_mapping=request.marks_mapping,
                batch_rows=request.batch_rows,
                survey=True,
            )
        )
        engine = Engine(
            linked,
            own_view(inputs),
            mode=mode,
            equity=request.equity,
            halts_until=request.halts_until,
        )
        for batch in inputs.orders:
            at = position - batch.start
            if at >= len(batch):
                engine.decide(batch)
                if progress is not None:
                    progress(batch.start + len(batch), position + 1)
                continue
            if at:
                engine.decide(_part(batch, 0, at))
            return _remade(engine, linked, inputs, _part(batch, at, at + 1))
    raise InputError(
        f"the orders have no row {position + 1}: they are not those of the dry run",
        "run the dry run again",
    )


def _part(batch: OrderBatch, start: int, end: int) -> OrderBatch:
    """Some orders of a batch, in arrays of their own."""
    arrays = {
        name: np.array(getattr(batch, name)[start:end])
        for name in OrderBatch.__slots__
        if name not in ("start", "order_id")
    }
    return OrderBatch(
        start=batch.start + start, order_id=batch.order_id.slice(start, end - start), **arrays
    )


def _remade(engine: Engine, linked: LinkedSet, inputs: Inputs, one: OrderBatch) -> Remade:
    engine.decide(replace(one, size=np.zeros(1)))
    case = _case(engine, linked, inputs, one)
    row = _row(engine, engine.decide(one))
    order = case.order
    bounds = linked.bind(order.account, order.strategy, order.venue, order.symbol)
    seen: dict[tuple[str, str], int] = {}
    columns = []
    for bound in bounds:
        key = (bound.gate.name, bound.gate.level)
        seen[key] = seen.get(key, 0) + 1
        prefix = "" if key[1] == "account" else f"{key[1]}."
        columns.append(f"{prefix}{key[0]}" + (f"#{seen[key]}" if seen[key] > 1 else ""))
    return Remade(case, str(one.order_id[0].as_py()), row, tuple(columns))


def _row(engine: Engine, decided: DecidedBatch) -> dict[str, Any]:
    code, gate = int(decided.code[0]), int(decided.gate[0])
    row: dict[str, Any] = {
        "decision": DECISIONS[decided.decision[0]],
        "size": float(decided.size[0]),
        "code": engine.codes[code] if code >= 0 else None,
        "gate": engine.columns[gate].name if gate >= 0 else None,
    }
    for place, column in enumerate(engine.columns):
        row[f"{column.name}.outcome"] = OUTCOMES[decided.outcome[place, 0]]
        for name in ("measure", "limit"):
            value = float(getattr(decided, name)[place, 0])
            row[f"{column.name}.{name}"] = None if math.isnan(value) else value
    return row


# The case


def _case(engine: Engine, linked: LinkedSet, inputs: Inputs, one: OrderBatch) -> Case:
    asked, now = _asked(inputs, one), int(one.ts[0])
    order = asked_order(asked)
    desk = linked.desk
    if asked.symbol not in desk.instruments:
        return Case(order, now, desk.instruments, {}, {}, correlations=desk.correlations)
    books, symbol = engine.books, int(one.symbol[0])
    shown = _shown(engine, one, asked, now)
    case = derived_case(linked, asked, now, shown, reducing=False)
    # The age of each symbol's own mark, where the evidence of a live order knows the oldest alone.
    names = engine.names.symbols
    held = {each for book in shown.books for each in book.symbols} - {asked.symbol}
    market = {
        **case.market,
        **{each: Market(age=_age(books, names.index(each), now)) for each in held},
    }
    market[asked.symbol] = replace(market[asked.symbol], age=_age(books, symbol, now))
    return replace(case, order=order, market=market)


def _age(books: Books, symbol: int, now: int) -> float:
    """Seconds since the symbol's mark; without timed marks every price is fresh."""
    if books.settings[layout.AGES] != layout.AGES_TIMED:
        return 0.0
    at = int(books.sym_ts[symbol])
    return _NAN if at == -(2**63) else (now - at) / 1e9


def _asked(inputs: Inputs, one: OrderBatch) -> Asked:
    orders, kind, side = inputs.orders, int(one.type[0]), int(one.side[0])
    size, price = float(one.size[0]), float(one.price[0])
    return Asked(
        account=list(orders.accounts)[one.account[0]],
        strategy=list(orders.strategies)[one.strategy[0]],
        venue=list(orders.venues)[one.venue[0]],
        symbol=list(inputs.symbols)[one.symbol[0]],
        side=side,
        side_name="buy" if side > 0 else "sell",
        kind=kind,
        type=ORDER_TYPES[kind],
        size=Decimal(repr(size)),
        price=price,
        exact_price=None if math.isnan(price) else Decimal(repr(price)),
        reduce_only=bool(one.reduce_only[0]),
        client_order_id="",
    )


def _shown(engine: Engine, one: OrderBatch, asked: Asked, now: int) -> Shown:
    books, symbol = engine.books, int(one.symbol[0])
    places = (0, int(books.account_book[one.account[0]]), int(books.strategy_book[one.strategy[0]]))
    shown = [
        _shown_book(engine, level, place, now)
        for level, place in enumerate(places)
        if books.book_n[place, layout.EXISTS]
    ]
    window = int(books.settings[layout.LEFT_WINDOW])
    left = {
        level: _left(books, place, now, window, symbol)
        for level, place in enumerate(places)
        if window and books.book_n[place, layout.EXISTS]
    }
    times, prices = _quotes(books, symbol, now)
    return Shown(
        market=np.array(books.sym[symbol]),
        market_ns=now,
        kill_venue=0,
        kill_symbol=0,
        books=shown,
        rates={level: rows.times for level, rows in left.items()},
        kinds={level: rows.kinds for level, rows in left.items()},
        equal=_equal(books, places[1], one, asked, now),
        quote_times=times,
        quote_prices=prices,
        cut=False,
    )


def _shown_book(engine: Engine, level: int, place: int, now: int) -> ShownBook:
    books = engine.books
    held = books.held[place, : int(books.book_n[place, layout.HELD])].tolist()
    return ShownBook(
        level=level,
        row=np.array(books.book[place]),
        kill=int(books.kill_book[place]),
        symbols=[engine.names.symbols[s] for s in held],
        pos=np.array(books.pos[place, held]).reshape(len(held), layout.POS_WIDTH),
        orders=books.pos_orders[place, held].tolist(),
        oldest=now,
    )


class _Left(NamedTuple):
    """What left of a book, the oldest first: when, and what it was (bits `CANCEL` and `OF_SYMBOL`)."""

    times: layout.Longs
    kinds: layout.Bytes


def _left(books: Books, place: int, now: int, window: int, symbol: int) -> _Left:
    """What left of the book within the window."""
    ring, total = books.rate_ts[place], int(books.rate_n[place])
    count = min(total, len(ring))
    at = np.arange(total - count, total) % len(ring)
    at = at[now - ring[at] <= window]
    what = books.rate_what[place, at]
    kinds = (what & 1) * CANCEL + (what >> 1 == symbol) * OF_SYMBOL
    return _Left(ring[at], kinds.astype(np.uint8))


def _equal(books: Books, account: int, one: OrderBatch, asked: Asked, now: int) -> layout.Longs:
    """Times of earlier orders that equal this one, the oldest first."""
    total, size = int(books.settings[layout.LEFT_N]), len(books.left)
    at = np.arange(max(0, total - size), total) % size
    entries, sizes = books.left[at], books.left_size[at]
    sym = books.sym[int(one.symbol[0])]
    lots = float(one.size[0]) * sym[layout.LOT_SCALE] / sym[layout.LOT_UNITS]
    same = (
        (now - entries[:, layout.LEFT_TS] <= books.settings[layout.LEFT_WINDOW])
        & (entries[:, layout.LEFT_ACCOUNT] == account)
        & (entries[:, layout.LEFT_SYMBOL] == int(one.symbol[0]))
        & (entries[:, layout.LEFT_SIDE] == asked.side)
        & (np.abs(sizes[:, 0] - lots) < 0.5)
        & ((sizes[:, 1] == asked.price) | np.isnan(sizes[:, 1]))
    )
    times: layout.Longs = entries[same, layout.LEFT_TS]
    return times


def _quotes(books: Books, symbol: int, now: int) -> tuple[layout.Longs, layout.Floats]:
    """The symbol's quotes within the longest window, the oldest first: times, and middle, last and mark."""
    size, found = len(books.quotes), []
    number, oldest = int(books.quote_chain[symbol]), int(books.settings[layout.QUOTES_N]) - size
    window = int(books.settings[layout.QUOTES_WINDOW])
    while number >= max(0, oldest) and window:
        at = number % size
        if now - books.quotes[at, 0] > window:
            break
        found.append(at)
        number = int(books.quotes[at, 1])
    found.reverse()
    return np.array(books.quotes[found, 0]), np.array(books.quote_prices[found])
