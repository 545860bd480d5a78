"""The `Case` of a recorded decision, for the reference interpreter: a second opinion on plain values."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.new_books import NEVER
from ringfence.errors import InputError
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import (
    COUNTABLE,
    KILL_STATES,
    Book,
    Case,
    Instrument,
    Market,
    OrderRequest,
    PastOrder,
    Position,
    WorkingOrder,
)
from ringfence.runtime.asked import Asked
from ringfence.runtime.evidence_read import LEVELS, Shown, ShownBook
from ringfence.runtime.recent_evidence import CANCEL, OF_SYMBOL

__all__ = ["asked_order", "derived_case"]

NAN = math.nan
_REDUCING = KILL_STATES.index("reducing")
# Orders of others; no name of an account or strategy that was read has such a character.
_OTHER = "\0"
_OPPOSITE = {"buy": "sell", "sell": "buy"}


def asked_order(asked: Asked) -> OrderRequest:
    """An order that was read, as a case has it."""
    return OrderRequest(
        account=asked.account,
        symbol=asked.symbol,
        side=asked.side_name,
        size=asked.size,
        price=asked.exact_price,
        type=asked.type,
        strategy=asked.strategy,
        venue=asked.venue,
        reduce_only=asked.reduce_only,
    )


def derived_case(
    linked: LinkedSet,
    asked: Asked,
    now_ns: int,
    shown: Shown,
    *,
    reducing: bool,
) -> Case:
    """Everything that the decision depended on, as a `Case`.

    Args:
        linked: The policy set.
        asked: The order.
        now_ns: When it was judged.
        shown: What its gates looked at.
        reducing: Whether a policy lease let only orders pass that reduce risk.

    Raises:
        InputError: the policy set does not declare the symbol, or one that a book holds, or what is held has
            no size in lots.
    """
    if asked.symbol not in linked.desk.instruments:
        raise InputError(f"the policy set does not declare `{asked.symbol}`")
    order = asked_order(asked)
    instruments = linked.desk.instruments
    market = {asked.symbol: _market(shown, now_ns)}
    books: dict[str, Book] = {}
    oldest: dict[str, int] = {}
    for book in shown.books:
        name = ("firm", f"account/{asked.account}", f"strategy/{asked.strategy}")[book.level]
        books[name] = _book(book, instruments)
        for symbol in book.symbols:
            oldest[symbol] = max(oldest.get(symbol, NEVER), book.oldest)
    # No mark is older than the oldest of each book that holds the symbol.
    for symbol, ts in oldest.items():
        if symbol != asked.symbol:
            market[symbol] = Market(age=_age(now_ns, ts))
    return Case(
        order=order,
        clock_ns=now_ns,
        instruments=instruments,
        market=market,
        books=books,
        kill_switch=_switches(asked, shown, reducing),
        correlations=linked.desk.correlations,
        recent_orders=tuple(_past(asked, now_ns, shown)),
    )


def _age(now_ns: int, ts_ns: int) -> float:
    return NAN if ts_ns == NEVER else (now_ns - ts_ns) / 1e9


def _market(shown: Shown, now_ns: int) -> Market:
    row = shown.market.tolist()
    return Market(
        bid=row[layout.BID],
        ask=row[layout.ASK],
        last=row[layout.LAST],
        mark=row[layout.GIVEN_MARK],
        age=_age(now_ns, shown.market_ns),
        completeness=row[layout.COMPLETENESS],
        bid_depth=row[layout.BID_DEPTH],
        ask_depth=row[layout.ASK_DEPTH],
        volume=row[layout.VOLUME],
        history=tuple(
            # The middle alone is known, and is the middle of itself.
            Market(bid=mid, ask=mid, last=last, mark=mark, age=_age(now_ns, ts))
            for ts, (mid, last, mark) in zip(
                shown.quote_times.tolist(), shown.quote_prices.tolist(), strict=True
            )
        ),
    )


def _book(book: ShownBook, instruments: Mapping[str, Instrument]) -> Book:
    row = book.row.tolist()
    found = Book(
        equity=row[layout.EQUITY],
        day_start_equity=row[layout.DAY_EQUITY],
        day_start_balance=row[layout.DAY_BALANCE],
        peak_equity=row[layout.PEAK],
        deposits=row[layout.DEPOSITS],
    )
    for symbol, position, orders in zip(book.symbols, book.pos.tolist(), book.orders, strict=True):
        if symbol not in instruments:
            raise InputError(f"the policy set does not declare `{symbol}`, which a book holds")
        step = instruments[symbol].lot_step
        held, buys, sells = (position[at] for at in (layout.Q, layout.BUYS, layout.SELLS))
        if not all(each.is_integer() and abs(each) <= COUNTABLE for each in (held, buys, sells)):
            raise InputError(f"a book holds `{symbol}` in no whole number of lots")
        found.positions[symbol] = Position(int(held) * step, mark=position[layout.MARK])
        found.working += _working(symbol, [("buy", buys), ("sell", sells)], orders, step)
    return found


def _working(
    symbol: str, sides: Sequence[tuple[str, float]], orders: int, step: Decimal
) -> list[WorkingOrder]:
    """Orders of these lots and of this number; what each of them has left is not recorded."""
    made = [WorkingOrder("", symbol, side, int(lots) * step) for side, lots in sides if lots]
    if orders < len(made):
        raise InputError(f"fewer orders of `{symbol}` work than have lots")
    return made + [WorkingOrder("", symbol, "buy", Decimal(0))] * (orders - len(made))


def _switches(asked: Asked, shown: Shown, reducing: bool) -> dict[str, str]:
    names = ("firm", f"account/{asked.account}", f"strategy/{asked.strategy}")
    states = {names[book.level]: book.kill for book in shown.books}
    if reducing:
        states["firm"] = max(states["firm"], _REDUCING)
    states[f"symbol/{asked.symbol}"] = shown.kill_symbol
    states[f"venue/{asked.venue}"] = shown.kill_venue
    return {name: KILL_STATES[state] for name, state in states.items()}


def _past(asked: Asked, now_ns: int, shown: Shown) -> list[PastOrder]:
    """What left, so that each gate counts what it counted: of one time and kind, as many as any of them saw."""
    firm, account, strategy = (_counted(shown, level) for level in range(len(LEVELS)))
    # An equal order is one of the symbol; where nothing tells kinds apart, it is as any other.
    kind_of_equal = OF_SYMBOL if shown.kinds else 0
    equal = Counter((ts, kind_of_equal) for ts in shown.equal.tolist())
    found = []
    for key in sorted(firm | account | strategy | equal):
        (ts, kind), counts = key, (firm[key], account[key], strategy[key], equal[key])
        # An equal order is one of the account; where its orders are counted too, it is among those.
        for k in range(max(counts)):
            is_equal = k < equal[key]
            found.append(
                PastOrder(
                    account=asked.account if is_equal or k < account[key] else _OTHER,
                    symbol=asked.symbol if is_equal or kind & OF_SYMBOL else _OTHER,
                    # One of the symbol that is not equal must not seem so, whatever it differed in.
                    side=asked.side_name if is_equal else _OPPOSITE[asked.side_name],
                    size=asked.size,
                    price=asked.price if is_equal else NAN,
                    age=_age(now_ns, ts),
                    strategy=asked.strategy if k < strategy[key] else _OTHER,
                    message="cancel" if kind & CANCEL else "order",
                )
            )
    return found


def _counted(shown: Shown, level: int) -> Counter[tuple[int, int]]:
    """How many messages of a level's book left at a time, each of a kind."""
    times = shown.rates.get(level)
    if times is None:
        return Counter()
    kinds = shown.kinds.get(level)
    return Counter(
        zip(times.tolist(), [0] * len(times) if kinds is None else kinds.tolist(), strict=True)
    )
