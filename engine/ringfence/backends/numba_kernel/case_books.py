"""The books of a `Case` as arrays: the firm's, the order's account's and its strategy's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.kernel import put_past_order, put_position
from ringfence.backends.numba_kernel.layout import Books
from ringfence.backends.numba_kernel.new_books import new_books, set_instrument
from ringfence.language.instruments import convert
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import (
    KILL_STATES,
    Book,
    Case,
    Instrument,
    Market,
    PastOrder,
    held_lots,
    to_decimal,
    whole_lots,
)
from ringfence.language.tickets import mark_of, usable, working_price

__all__ = ["CaseBooks", "case_books"]

FIRM, ACCOUNT, STRATEGY = range(3)
# No account, no symbol, no number of lots of this order.
NOBODY = -1
# A century and a half, in seconds.
LONGEST = 4.6e9
_MARKET = (
    (layout.BID, "bid"),
    (layout.ASK, "ask"),
    (layout.LAST, "last"),
    (layout.GIVEN_MARK, "mark"),
    (layout.AGE, "age"),
    (layout.COMPLETENESS, "completeness"),
    (layout.BID_DEPTH, "bid_depth"),
    (layout.ASK_DEPTH, "ask_depth"),
    (layout.VOLUME, "volume"),
)


@dataclass(slots=True)
class CaseBooks:
    """Books 0 firm, 1 account, 2 strategy; `symbols` by code, `symbol` the order's."""

    arrays: Books
    symbols: list[str]
    symbol: int


def case_books(linked: LinkedSet, case: Case) -> CaseBooks:
    """The arrays of a case."""
    order = case.order
    names = ("firm", f"account/{order.account}", f"strategy/{order.strategy}")
    given = [case.books.get(name) for name in names]
    symbols = list(
        dict.fromkeys([order.symbol, *(symbol for book in given for symbol in _symbols(book))])
    )
    past = sorted(
        (each for each in case.recent_orders if each.age < math.inf), key=lambda each: -each.age
    )
    quotes = sorted(
        (
            (s, quote)
            for s, symbol in enumerate(symbols)
            for quote in (case.market[symbol].history if symbol in case.market else ())
            if quote.age < math.inf
        ),
        key=lambda each: -each[1].age,
    )
    arrays = new_books(
        (FIRM, ACCOUNT, STRATEGY),
        len(symbols),
        account_books=[ACCOUNT],
        strategy_books=[STRATEGY],
        venues=1,
        rate_ring=1 + len(past),
        left_ring=1 + len(past),
        quotes_ring=1 + len(quotes),
    )
    arrays.settings[layout.AGES] = layout.AGES_GIVEN
    fx = {**linked.desk.fx, **case.fx}
    for s, symbol in enumerate(symbols):
        _set_symbol(arrays, s, symbol, case, fx, linked.currency)
    for b, book in enumerate(given):
        _set_book(arrays, b, book, symbols, case)
    _set_switches(arrays, case)
    _set_past(arrays, past, case)
    _set_quotes(arrays, quotes, case.clock_ns)
    return CaseBooks(arrays, symbols, 0)


def _symbols(book: Book | None) -> list[str]:
    if book is None:
        return []
    return [*book.positions, *(order.symbol for order in book.working)]


def _set_symbol(
    arrays: Books,
    s: int,
    symbol: str,
    case: Case,
    fx: Mapping[tuple[str, str], float],
    currency: str,
) -> None:
    # A held symbol without an instrument counts in plain units; without a rate its value is unknown.
    instrument = case.instruments.get(symbol) or Instrument(symbol)
    set_instrument(arrays, s, instrument, convert(fx, instrument.quote, currency))
    market = case.market.get(symbol)
    row = arrays.sym[s]
    for column, name in _MARKET:
        row[column] = getattr(market, name) if market is not None else math.nan
    row[layout.SYM_MARK] = mark_of(market)
    row[layout.HELD_AGE] = market.age if market is not None else 0.0


def _set_book(arrays: Books, b: int, book: Book | None, symbols: list[str], case: Case) -> None:
    if book is None:
        arrays.book_n[b, layout.EXISTS] = 0
        return
    row = arrays.book[b]
    row[layout.EQUITY] = book.equity
    row[layout.DAY_EQUITY] = book.day_start_equity
    row[layout.DAY_BALANCE] = book.day_start_balance
    row[layout.PEAK] = book.peak_equity
    row[layout.DEPOSITS] = book.deposits
    for symbol in dict.fromkeys(_symbols(book)):
        lot_step = (case.instruments.get(symbol) or Instrument(symbol)).lot_step
        mark = mark_of(case.market.get(symbol))
        position = book.positions.get(symbol)
        lots = 0
        if position is not None:
            lots = held_lots(position.size, lot_step)
            mark = position.mark if usable(position.mark) else mark
        buys = sells = orders = 0
        for order in book.working:
            if order.symbol != symbol:
                continue
            orders += 1
            if order.side == "buy":
                buys += held_lots(order.size, lot_step)
            else:
                sells += held_lots(order.size, lot_step)
        if not lots and not usable(mark):
            mark = working_price(book.working, symbol)
        put_position(arrays, b, symbols.index(symbol), lots, buys, sells, orders, mark)


def _set_switches(arrays: Books, case: Case) -> None:
    order = case.order

    def state(key: str, named: str = "named") -> int:
        return KILL_STATES.index(case.kill_switch.get(key, "active")) if named else 0

    arrays.kill_book[FIRM] = state("firm")
    arrays.kill_book[ACCOUNT] = state(f"account/{order.account}")
    arrays.kill_book[STRATEGY] = state(f"strategy/{order.strategy}", order.strategy)
    arrays.kill_venue[0] = state(f"venue/{order.venue}", order.venue)
    arrays.kill_symbol[0] = state(f"symbol/{order.symbol}")


def _set_past(arrays: Books, past: list[PastOrder], case: Case) -> None:
    """Orders and cancels that left earlier, the oldest first."""
    order = case.order
    instrument = case.instruments.get(order.symbol) or Instrument(order.symbol)
    for each in past:
        ts, is_cancel = case.clock_ns - _nanoseconds(each.age), each.message == "cancel"
        symbol = 0 if each.symbol == order.symbol else layout.NO_SYMBOL
        for b, counts in (
            (FIRM, True),
            (ACCOUNT, each.account == order.account),
            (STRATEGY, each.strategy == order.strategy),
        ):
            if counts:
                arrays.rate_ts[b, arrays.rate_n[b]] = ts
                arrays.rate_what[b, arrays.rate_n[b]] = 2 * symbol + is_cancel
                arrays.rate_n[b] += 1
        if is_cancel:
            continue
        size = to_decimal(each.size)
        lots = whole_lots(size, instrument.lot_step) if size is not None else None
        put_past_order(
            arrays,
            ACCOUNT if each.account == order.account else NOBODY,
            symbol,
            1 if each.side == "buy" else -1,
            NOBODY if lots is None else lots,
            each.price,
            ts,
        )


def _set_quotes(arrays: Books, quotes: list[tuple[int, Market]], now: int) -> None:
    """Quotes seen earlier, the oldest first."""
    for number, (s, quote) in enumerate(quotes):
        mid = math.nan
        if usable(quote.bid) and usable(quote.ask):
            mid = (quote.bid + quote.ask) / 2
        arrays.quotes[number] = (now - _nanoseconds(quote.age), arrays.quote_chain[s])
        arrays.quote_prices[number] = (mid, quote.last, mark_of(quote))
        arrays.quote_chain[s] = number
    arrays.settings[layout.QUOTES_N] = len(quotes)


def _nanoseconds(age: float) -> int:
    """Age in whole nanoseconds, as far as they can be taken from a time."""
    return round(max(-LONGEST, min(LONGEST, age)) * 1e9)
