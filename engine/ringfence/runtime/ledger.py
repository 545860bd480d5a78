"""The ledger: books per account, strategy and firm, moved by orders, fills, marks, money and days.

It runs the compiled functions that a replay runs. One caller at a time: whoever checks an order and
reserves it does both under one lock of his own.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.book_moves import book_moves
from ringfence.errors import LedgerError
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import COUNTABLE, Book, Instrument, whole_lots
from ringfence.runtime.book_arrays import FIRM, NO_BOOK, BookArrays
from ringfence.runtime.book_view import BookView, OpenOrder, view_book
from ringfence.runtime.known_orders import REMEMBERED, KnownOrder, KnownOrders
from ringfence.runtime.told_values import (
    read_account,
    read_amount,
    read_number,
    read_side,
    read_size,
)
from ringfence.runtime.trading_day import TradingDay

__all__ = ["Ledger", "Notice", "trading_day_of"]

NAN = float("nan")
_QUANTA = 1e6
_DAY = ("00:00", "UTC")


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that was booked, or left out, but should not have happened.

    Codes: `OVER_FILL`, `FILL_AFTER_END`, `OFF_STEP_FILL`, `UNKNOWN_INSTRUMENT_FILL`, `LATE_FILL`,
    `LATE_MARK`.
    """

    code: str
    subject: str
    message: str


class Ledger:
    """Books of one process, in one currency; inside, money is whole millionths of it.

    What cannot have happened as told (an unknown order, two fills that contradict each other) raises and
    moves nothing. What did happen moves the books even where it should not have, and leaves a notice: a
    fill beyond the order's size or after its end. A fill in a symbol without an instrument, or of no whole
    number of lots, moves the position, and the money of its books is unknown from then on, so that they
    take no new risk until a ledger is made anew.

    Args:
        instruments: Trading rules by symbol.
        currency: Of all money in the books.
        fx: Rates, as `("EUR", "USD") -> 1.08`.
        day: Time `HH:MM` and IANA zone at which a trading day starts.
        accounts, strategies: Whose books are there from the start; others appear when they are named.
        remembered: How many ended orders are still known, for fills that come late or twice.

    Attributes:
        next_day_ns: Start of the next trading day (since 1970, UTC); None before the first `advance`.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        currency: str,
        *,
        fx: Mapping[tuple[str, str], float] | None = None,
        day: tuple[str, str] = _DAY,
        accounts: Iterable[str] = (),
        strategies: Iterable[str] = (),
        remembered: int = REMEMBERED,
    ) -> None:
        self.arrays = BookArrays(currency, fx or {})
        self.notices: deque[Notice] = deque(maxlen=1_000)
        self.counts: Counter[str] = Counter()
        self._moves = book_moves()
        self._reserve = self._moves.reserve
        self._day = TradingDay(*day)
        self.next_day_ns: int | None = None
        self._firm_alone = False
        self.orders = KnownOrders(remembered)
        for instrument in instruments.values():
            self.arrays.declare(instrument)
        for account in accounts:
            self.arrays.account(account)
        for strategy in strategies:
            self.arrays.strategy(strategy)

    @classmethod
    def of(cls, linked: LinkedSet) -> "Ledger":
        """A ledger with the instruments, rates, names and trading day of a policy set."""
        desk = linked.desk
        return cls(
            desk.instruments,
            linked.currency,
            fx=desk.fx,
            day=trading_day_of(linked),
            accounts=desk.accounts,
            strategies=desk.strategies,
        )

    @property
    def clock_state(self) -> tuple[int | None, bool]:
        """Start of the next trading day (ns; None before the first `advance`), and whether the firm's
        book was opened by itself: what a ledger that resumes needs besides its arrays and orders.
        """
        return self.next_day_ns, self._firm_alone

    @clock_state.setter
    def clock_state(self, state: tuple[int | None, bool]) -> None:
        self.next_day_ns, self._firm_alone = state

    def adopt(
        self,
        linked: LinkedSet,
        now_ns: int,
        before_change: Callable[[], None] | None = None,
    ) -> None:
        """Take over the instruments, rates and trading day of a policy set; the present day ends as the new
        one would.

        Raises:
            LedgerError: a symbol is held under other rules; nothing has changed.
        """
        desk = linked.desk
        self.arrays.redeclare(desk.instruments.values(), desk.fx, before_change)
        self._day = TradingDay(*trading_day_of(linked))
        if self.next_day_ns is not None:
            self.next_day_ns = self._day.next_start(now_ns)

    def declare(self, instrument: Instrument) -> None:
        """Add an instrument, or renew one that no book holds.

        Raises:
            LedgerError: it is held under other rules.
        """
        self.arrays.declare(instrument)

    # Money

    def open(self, book: str, equity: Any) -> None:
        """Give a book the money it starts with; an account's counts in the firm's book as well.

        Before, a book's equity is unknown. The firm's book may be opened by itself, before any account:
        then the money of accounts does not move it.

        Raises:
            LedgerError: no such book, no amount of money, or the book is open.
        """
        amount, b = read_amount(equity), self.arrays.book(book)
        if self._is_open(b):
            raise LedgerError(f"`{book}` is open already", fix="deposit or withdraw the difference")
        if b == 0:
            self._firm_alone = True
        self._moves.open_with(self.arrays.pack.address, b, amount, self._firm_too(book))

    def deposit(self, book: str, amount: Any) -> None:
        """Add money to an open book, rounded down; neither drawdown nor the day's loss changes.

        Raises:
            LedgerError: the book is not open, the amount is not above zero, or the firm's book follows
                its accounts.
        """
        b, money = self._for_money(book, amount)
        self._moves.deposit(self.arrays.pack.address, b, money, self._firm_too(book))

    def withdraw(self, book: str, amount: Any) -> None:
        """Take money out of an open book, rounded up; otherwise as `deposit`."""
        b, money = self._for_money(book, amount)
        self._moves.withdraw(self.arrays.pack.address, b, money, self._firm_too(book))

    def shift_capital(self, amount: Any) -> None:
        """Let the firm's book, opened by itself, have more capital or less, below zero.

        It is lent to other books of the same firm or comes back from them. Equity, peak and the day's start all
        move by the amount: summed over those books they stay what they were, so that money which goes takes no
        loss along. (`withdraw` moves the peak in proportion, and so would heal the sum's drawdown.)

        Raises:
            LedgerError: the firm's book follows its accounts, or no amount of money.
        """
        money = read_amount(amount)
        if not self._firm_alone:
            raise LedgerError(
                "the firm's book follows its accounts", fix="open it by itself, before any account"
            )
        row = self.arrays.books.book[0]
        peak = float(row[layout.PEAK])
        self._moves.open_with(self.arrays.pack.address, 0, money, 0)
        if peak == peak:
            row[layout.PEAK] = round((peak + money) * _QUANTA) / _QUANTA

    def start_peak(self, book: str, peak: float) -> None:
        """Let drawdown count from another peak from now on.

        Args:
            book: `firm`, `account/NAME` or `strategy/NAME`.
            peak: Equity at which the units stand at it, in the books' currency. An equity above it is the peak.

        Raises:
            LedgerError: there is no such book, or its equity is unknown.
        """
        b = self.arrays.book_codes.get(book)
        equity = NAN if b is None else float(self.arrays.books.book[b, layout.EQUITY])
        if b is None or not math.isfinite(equity):
            raise LedgerError(f"`{book}` has no known equity", fix="see to its money and its marks")
        self.arrays.books.book[b, layout.PEAK] = max(peak, equity)

    def _for_money(self, book: str, amount: Any) -> tuple[int, float]:
        money, b = read_amount(amount), self.arrays.book_codes.get(book)
        if b is None or not self._is_open(b):
            raise LedgerError(f"`{book}` is not open", fix="open it with what it holds")
        if not money > 0:
            raise LedgerError(
                f"`{amount}` is no amount above zero", fix="give what moves, without a sign"
            )
        if b == 0 and not self._firm_alone:
            raise LedgerError(
                "the firm's book follows its accounts", fix="move the money of an account"
            )
        return b, money

    def _firm_too(self, book: str) -> int:
        return int(book.startswith("account/") and not self._firm_alone)

    def _is_open(self, b: int) -> bool:
        return bool(self.arrays.books.book[b, layout.KNOWN])

    # Orders

    def reserve(
        self, order_id: str, account: str, strategy: str, symbol: str, side: str, size: Any
    ) -> None:
        """Count an approved order as working; again with the same content it changes nothing.

        Args:
            order_id: Its name, never used twice.
            account, strategy: Whose books it works in, besides the firm's; `strategy` may be empty.
            symbol: A symbol with an instrument.
            side: `buy` or `sell`.
            size: In units of the base, a whole number of lots.

        Raises:
            LedgerError: the content cannot be read, or the name stands for another order or one that ended.
        """
        lots = self._whole(symbol, size)
        self.take(
            KnownOrder(order_id, read_account(account), strategy, symbol, read_side(side), lots)
        )

    def take(self, order: KnownOrder) -> None:
        """As `reserve`, of an order that is read already."""
        if self.orders.has(order):
            return
        self._reserve(*self._places(order), order.lots)
        self.orders.add(order)

    def leave(self, order: KnownOrder, price: float, now_ns: int) -> None:
        """Remember that an order left, for gates that count what leaves; `price` is its own or NaN."""
        self._moves.leave(*self._places(order), float(order.lots), price, now_ns)

    def leave_cancel(self, order_id: str, now_ns: int) -> None:
        """Remember that the cancel of a working order left, for gates that count messages; `cancel` follows."""
        pack, account, strategy, s, _ = self._places(self.orders.working[order_id])
        self._moves.cancel(pack, account, strategy, s, now_ns)

    def note_quote(self, symbol: str, now_ns: int) -> None:
        """Remember a symbol's present quote, for gates that look at earlier ones."""
        self._moves.quote(self.arrays.pack.address, self.arrays.symbol(symbol), now_ns)

    def fill(self, order_id: str, cumulative_size: Any, price: Any, fee: Any = 0) -> Decimal:
        """Book a fill, once for each (order, size filled until then).

        Args:
            order_id: The order.
            cumulative_size: Filled in all by now, in units of the base.
            price: Of what is new, in the quote currency.
            fee: For what is new, in the quote currency; below zero for a rebate.

        Returns:
            What is new, in units of the base; 0 for a report that was counted before.

        Raises:
            LedgerError: the order is unknown or forgotten (book it with `fill_direct`), the size is not
                above zero, or the same size was reported with another price or fee.
        """
        order = self.orders.find(order_id)
        size = read_size(cumulative_size)
        told = read_number(price), read_number(fee)
        before = order.reported(size)
        if before is not None:
            if repr(before) != repr(told):
                raise LedgerError(
                    f"`{order_id}`, filled to {size}, was reported at {before} and now at {told}",
                    fix="book a correction with `fill_direct`",
                )
            return Decimal(0)
        lots, told_fee = self._filled_lots(order_id, order.symbol, size, told[1])
        order.report(size, told)
        has_ended = order_id not in self.orders.working
        new = self._fill(order, lots, told[0], told_fee)
        if has_ended:
            self.orders.keep(order)
        return new

    def _fill(self, order: KnownOrder, lots: int, price: float, fee: float) -> Decimal:
        works = order.order_id in self.orders.working
        step = lots - order.filled
        if step <= 0:
            # Its lots came with a later report; its fee did not.
            self._note(
                "LATE_FILL", order.order_id, f"filled to {lots} lots, {order.filled} counted"
            )
            step = 0
        working = min(step, order.rest) if works else 0
        if step and not works:
            self._note("FILL_AFTER_END", order.order_id, f"{step} lots after the order's end")
        elif step > working:
            self._note(
                "OVER_FILL", order.order_id, f"{step - working} lots beyond the order's size"
            )
        ends = works and step > 0 and lots >= order.lots
        self._moves.fill(*self._places(order), float(step), float(working), price, fee, int(ends))
        order.filled += step
        if ends:
            self.orders.end(order)
        return step * self.arrays.lot_step(order.symbol)

    def fill_direct(
        self,
        account: str,
        strategy: str,
        symbol: str,
        side: str,
        size: Any,
        price: Any,
        fee: Any = 0,
    ) -> None:
        """Book a fill of no reserved order: an opening position, a trade made elsewhere.

        Args: as `reserve` and `fill`; `size` is what was filled. Called twice it counts twice.

        Raises:
            LedgerError: the content cannot be read.
        """
        side, filled = read_side(side), read_size(size)
        told = read_number(price), read_number(fee)
        name = read_account(account)
        lots, told_fee = self._filled_lots(name, symbol, filled, told[1])
        places = self._places(KnownOrder("", name, strategy, symbol, side, lots))
        self._moves.fill(*places, float(lots), 0.0, told[0], told_fee, 0)

    def cancel(self, order_id: str) -> bool:
        """Release what the order still reserves, cancelled or expired; False where it had ended before.

        Raises:
            LedgerError: the order is unknown or forgotten.
        """
        order = self.orders.find(order_id)
        if order_id not in self.orders.working:
            return False
        self._moves.release(*self._places(order), float(order.rest))
        self.orders.end(order)
        return True

    def _places(self, order: KnownOrder) -> tuple[int, int, int, int, int]:
        """Pack, account's book, strategy's book, symbol and side; new names get theirs first."""
        arrays = self.arrays
        account, strategy = arrays.account(order.account), NO_BOOK
        if order.strategy:
            strategy = arrays.strategy(order.strategy)
        s = arrays.symbol(order.symbol)
        return arrays.pack.address, account, strategy, s, 1 if order.side == "buy" else -1

    def _whole(self, symbol: str, size: Any) -> int:
        instrument = self.arrays.instruments.get(symbol)
        if instrument is None:
            raise LedgerError(f"`{symbol}` is no known instrument", fix="declare it")
        lots = whole_lots(read_size(size), instrument.lot_step)
        if lots is None:
            raise LedgerError(
                f"size {size} is no multiple of the lot step {instrument.lot_step}",
                fix="round it down to whole lots",
            )
        return lots

    def _filled_lots(
        self, subject: str, symbol: str, size: Decimal, fee: float
    ) -> tuple[int, float]:
        """Lots of what was filled, a part of one counting whole; without sense the fee is unknown."""
        step = self.arrays.lot_step(symbol)
        if size > COUNTABLE * step:
            raise LedgerError(
                f"size {size} has more lots than can be counted",
                fix="see whether it is in units of the base, and the lot step what the venue states",
            )
        lots = int(-(-size // step))
        if symbol not in self.arrays.instruments:
            self._note("UNKNOWN_INSTRUMENT_FILL", subject, f"`{symbol}` has no instrument")
            return lots, NAN
        if lots * step != size:
            self._note("OFF_STEP_FILL", subject, f"{size} `{symbol}` is no multiple of {step}")
            return lots, NAN
        return lots, fee

    # Marks and days

    def mark(
        self,
        symbol: str,
        ts: int,
        bid: Any = NAN,
        ask: Any = NAN,
        last: Any = NAN,
        *,
        bid_depth: Any = NAN,
        ask_depth: Any = NAN,
        volume: Any = NAN,
    ) -> None:
        """Take over market data, and value every book that holds the symbol.

        The mark is the middle of an uncrossed bid and ask, then the last trade. Without either the
        equity of those books is unknown. Data older than what is there is left out, with a notice.

        Args:
            symbol: The symbol.
            ts: Time of the data, ns since 1970 UTC.
            bid, ask, last: Prices in the quote currency; None or NaN where there is none.
            bid_depth, ask_depth, volume: Sizes in units of the base.
        """
        self.mark_with(symbol, ts, (bid, ask, last, bid_depth, ask_depth, volume))

    def mark_with(self, symbol: str, ts: int, numbers: Iterable[Any]) -> None:
        """As `mark`; `numbers` are bid, ask, last, the two depths and the volume."""
        arrays = self.arrays
        s = arrays.symbol(symbol)
        if ts < arrays.times[s]:
            self._note("LATE_MARK", symbol, f"data of {ts} came after data of a later time")
            return
        read = [each if type(each) is float else read_number(each) for each in numbers]
        self._moves.mark(arrays.pack.address, s, ts, *read)

    def day_ends_by(self, now_ns: int) -> bool:
        """Whether `advance` would begin a trading day, or set the clock."""
        return self.next_day_ns is None or self.next_day_ns <= now_ns

    def advance(self, now_ns: int) -> int:
        """Let time pass up to `now_ns` (since 1970, UTC); the first call sets the clock.

        Every start of a trading day up to and including `now_ns` sets the day's figures of every book to
        what they are now. A clock that goes back changes nothing.

        Returns:
            How many trading days began.
        """
        if self.next_day_ns is None:
            self.next_day_ns = self._day.next_start(now_ns)
        days = 0
        while self.next_day_ns <= now_ns:
            self.next_day_ns = self._day.next_start(self.next_day_ns)
            days += 1
        if days:
            self._moves.reset_day(self.arrays.pack.address)
        return days

    # Reading

    @property
    def books(self) -> tuple[str, ...]:
        """Names of all books, the firm's first."""
        return tuple(name for name in self.arrays.book_codes if name != "strategy/")

    def book(self, name: str) -> BookView:
        """A book as it is now; later events do not change what is returned.

        Raises:
            LedgerError: there is no such book.
        """
        if name not in self.arrays.book_codes:
            raise LedgerError(
                f"there is no book `{name}`", fix="name `firm`, `account/NAME` or `strategy/NAME`"
            )
        return view_book(self.arrays, name, self._orders_of(name))

    def as_case_book(self, name: str) -> Book:
        """A book as the reference interpreter takes it."""
        return self.book(name).as_case_book()

    def _orders_of(self, name: str) -> Iterable[OpenOrder]:
        level, _, own = name.partition("/")
        steps = {symbol: self.arrays.lot_step(symbol) for symbol in self.arrays.symbols}
        for each in self.orders.working.values():
            if name == FIRM or own == (each.account if level == "account" else each.strategy):
                yield OpenOrder(
                    each.order_id,
                    each.account,
                    each.strategy,
                    each.symbol,
                    each.side,
                    each.rest * steps[each.symbol],
                )

    def _note(self, code: str, subject: str, message: str) -> None:
        self.counts[code] += 1
        self.notices.append(Notice(code, subject, message))


def trading_day_of(linked: LinkedSet) -> tuple[str, str]:
    """Time and zone at which a policy set's trading day starts."""
    return next((policy.day for policy in linked.policies if policy.day), _DAY)
