"""A replay in plain Python, for tests: a `Case` for each order, and the reference decides it.

Books are dictionaries of lots, and everything that a decision needs is added up afresh.
"""

import math
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from ringfence.backends.reference import decide
from ringfence.backends.reference.numbers import QUANTA, quanta_down, quanta_up
from ringfence.language.instruments import convert
from ringfence.language.orders import (
    Book,
    Case,
    Market,
    OrderRequest,
    PastOrder,
    Position,
    WorkingOrder,
)
from ringfence.language.tickets import mark_of, usable, valuation_price

NAN = float("nan")
# Longer than any window of a test's policies, in ns.
RECENT = 4 * 3600 * 10**9
# Such orders tell nothing of a book.
UNASKED = frozenset(
    (
        "UNKNOWN_INSTRUMENT", "INVALID_SIDE", "INVALID_TYPE", "INVALID_SIZE", "SIZE_OFF_STEP", "NO_FX_RATE",
        "INVALID_PRICE", "NO_PRICE",
    )
)  # fmt: skip


@dataclass
class PlainBook:
    """Cash, deposits and the last known equity in quanta, positions in lots, other money as it is."""

    cash: float = 0.0
    known: float = 0.0
    opened: bool = False
    day_start: float = NAN
    peak: float = NAN
    deposits: float = 0.0
    lots: dict = field(default_factory=dict)
    marks: dict = field(default_factory=dict)


@dataclass
class Working:
    order: dict
    asked: int
    approved: int
    filled: int = 0
    history: Decimal = Decimal(0)


class PlainReplay:
    """Takes events as dictionaries in time order; `decide` returns the reference's decision.

    Events at one time come in this order: the day, money, marks, then fills and ends of earlier orders.
    """

    def __init__(
        self, linked, *, accounts, strategies, days, frozen, fills, marks, halts_until="day"
    ):
        self.linked, self.frozen, self.has_fills, self.has_marks = linked, frozen, fills, marks
        names = ["firm", *(f"account/{a}" for a in accounts)]
        names += [f"strategy/{s}" for s in strategies if s]
        self.books = {name: PlainBook() for name in names}
        self.days = sorted(days)
        self.market, self.seen, self.quotes = {}, {}, []
        self.working, self.left = {}, []
        self.halts_until, self.halted, self.halts = halts_until, set(), []
        self.waits, self.last_ticks = {}, {}

    # Money

    def _instrument(self, symbol):
        each = self.linked.desk.instruments[symbol]
        return replace(each, fx=convert(self.linked.desk.fx, each.quote, self.linked.currency))

    def _lot(self, symbol):
        return self._instrument(symbol).lot_multiplier

    def equity(self, book):
        """In money; NaN where the book was never opened or a held symbol has no mark."""
        if not book.opened or any(not usable(self._mark(book, s)) for s in self._held(book)):
            return NAN
        return self._quanta(book) / QUANTA

    def _quanta(self, book):
        worth = book.cash
        for symbol, lots in book.lots.items():
            if lots:
                worth += quanta_down(lots * (self._mark(book, symbol) * self._lot(symbol)))
        return worth

    def _held(self, book):
        name = next(name for name, each in self.books.items() if each is book)
        held = {symbol for symbol, lots in book.lots.items() if lots}
        for each in self.working.values():
            if name in self._books_of(each.order):
                held.add(each.order["symbol"])
        return held

    def _mark(self, book, symbol):
        return book.marks.get(symbol, NAN)

    def _follow_peak(self, name):
        book = self.books[name]
        equity = self.equity(book)
        if equity == equity:
            book.known = self._quanta(book)
            book.peak = max(book.peak, equity)

    def money(self, book, kind, amount):
        moved = [book] + (["firm"] if book.startswith("account/") else [])
        for name in moved:
            each = self.books[name]
            if kind == "opening":
                each.cash += quanta_down(amount)
                each.opened = True
                each.known = self._quanta(each)
                each.day_start = each.peak = self.equity(each)
            elif each.opened:
                quanta = quanta_down(amount) if kind == "deposit" else -quanta_up(amount)
                before, after = each.known / QUANTA, (each.known + quanta) / QUANTA
                each.cash += quanta
                each.known += quanta
                each.deposits += quanta
                # Without units, where equity is not above zero, the peak starts anew.
                held = before > 0 and after > 0
                each.peak = max(after, each.peak * (after / before)) if held else after

    def day(self):
        for book in self.books.values():
            book.day_start, book.deposits = self.equity(book), 0.0
        if self.halts_until == "day":
            self.halted.clear()

    # Market

    def mark(self, ts, symbol, bid, ask, last, bid_depth=NAN, ask_depth=NAN, volume=NAN):
        quote = Market(
            bid=bid, ask=ask, last=last, bid_depth=bid_depth, ask_depth=ask_depth, volume=volume
        )
        self.market[symbol], self.seen[symbol] = quote, ts
        self.quotes.append((ts, symbol, quote))
        for name, book in self.books.items():
            if symbol in self._held(book):
                book.marks[symbol] = mark_of(quote)
                self._follow_peak(name)

    def _market(self, now, symbol):
        if symbol not in self.market:
            return Market(age=NAN if self.has_marks else 0.0)
        history = tuple(
            replace(quote, age=(now - ts) / 1e9)
            for ts, each, quote in self.quotes
            if each == symbol and now - ts < RECENT
        )
        age = (now - self.seen[symbol]) / 1e9 if self.has_marks else 0.0
        return replace(self.market[symbol], age=age, history=history)

    # Orders

    def _books_of(self, order):
        names = ["firm", f"account/{order['account']}"]
        return names + ([f"strategy/{order['strategy']}"] if order["strategy"] else [])

    def _move(self, order, lots, price, fee):
        symbol, side = order["symbol"], 1 if order["side"] == "buy" else -1
        for name in self._books_of(order):
            book = self.books[name]
            amount = lots * (price * self._lot(symbol))
            book.cash += -quanta_up(amount) if side > 0 else quanta_down(amount)
            book.cash -= fee
            book.lots[symbol] = book.lots.get(symbol, 0) + side * lots
            if not usable(self._mark(book, symbol)):
                mark = mark_of(self.market.get(symbol))
                book.marks[symbol] = mark if usable(mark) else price
            self._forget_marks()
            self._follow_peak(name)

    def _forget_marks(self):
        for book in self.books.values():
            held = self._held(book)
            book.marks = {symbol: mark for symbol, mark in book.marks.items() if symbol in held}

    def fill(self, key, size, price, fee, last):
        each = self.working.get(key)
        if each is None:
            return
        each.history += size
        share = min(Fraction(1), Fraction(each.history) / Fraction(each.order["size"]))
        filled = int(share * each.approved)
        fx = self._instrument(each.order["symbol"]).fx
        paid = quanta_up(fee * (each.approved / each.asked) * fx)
        lots, each.filled = filled - each.filled, filled
        if lots or paid:
            self._move(each.order, lots, price, paid)
        if last or each.filled == each.approved:
            self.end(key)

    def end(self, key, cancelled_at=None):
        each = self.working.pop(key, None)
        if each is not None:
            if cancelled_at is not None:
                self.left.append({**each.order, "ts": cancelled_at, "message": "cancel"})
            self._forget_marks()
            for name in self.books:
                # What it worked on may have been the one symbol without a mark.
                self._follow_peak(name)

    def decide(self, order):
        """The reference's decision; the books then follow it."""
        now, symbol = order["ts"], order["symbol"]
        price = order["price"]
        if not self.has_marks and price == price:
            trigger = order["type"].startswith("stop")
            if not (trigger and usable(mark_of(self.market.get(symbol)))):
                self._own_price(order, price)
        decision = decide(self.linked, self._case(order, now))
        if not self.frozen and decision.code not in UNASKED:
            self._halt(order, decision)
        instrument = self.linked.desk.instruments.get(symbol)
        if instrument is None or decision.code == "NO_FX_RATE":
            return decision
        asked = order["size"] / instrument.lot_step
        going = asked if self.frozen else decision.size / instrument.lot_step
        if going and asked == int(asked):
            self._send(order, int(asked), int(going))
        return decision

    def _halt(self, order, decision):
        """Halt the books whose gates say so."""
        names = [order[each] for each in ("account", "strategy")]
        bounds = self.linked.bind(*names, order.get("venue", ""), order["symbol"])
        for bound, found in zip(bounds, decision.gates, strict=True):
            gate, level = bound.gate, bound.gate.level
            target = level if level == "firm" else f"{level}/{order[level]}"
            if gate.on_breach != "halt" or gate.mode != "enforce" or target not in self.books:
                continue
            key = (gate.label, target)
            if found.outcome == "pass":
                self.waits.pop(key, None)
            elif (
                found.outcome == "breach"
                and target not in self.halted
                and self._is_confirmed(gate.confirm_ticks, key, order["ts"])
            ):
                self.waits.pop(key, None)
                self.halted.add(target)
                self.halts.append((order["ts"], target, gate.name))

    def _is_confirmed(self, ticks, key, now):
        holds = [symbol for symbol, lots in self.books[key[1]].lots.items() if lots]
        if ticks == 1 or not holds:
            return True
        met, last = self.waits.get(key, (0, self.last_ticks.get(key, 0)))
        times = [self.seen[symbol] for symbol in holds] if self.has_marks else [now]
        if min(times) > last:
            met, last = met + 1, max(times)
        self.waits[key], self.last_ticks[key] = (met, last), last
        return met >= ticks

    def _own_price(self, order, price):
        symbol = order["symbol"]
        self.market[symbol] = Market(bid=price, ask=price, last=price)
        self.quotes.append((order["ts"], symbol, self.market[symbol]))
        for name in self._books_of(order):
            book = self.books[name]
            if symbol in self._held(book):
                book.marks[symbol] = price
                self._follow_peak(name)

    def _send(self, order, asked, going):
        price, symbol = order["price"], order["symbol"]
        if not self.has_fills:
            if not usable(price):
                side = 1 if order["side"] == "buy" else -1
                market = self.market.get(symbol, Market())
                price = valuation_price(side, order["type"], price, market)
            if usable(price):
                self.left.append(order)
                self._move(order, going, price, 0.0)
            return
        self.left.append(order)
        self.working[order["key"]] = Working(order, asked, going)
        for name in self._books_of(order):
            book = self.books[name]
            if not usable(self._mark(book, symbol)):
                book.marks[symbol] = mark_of(self.market.get(symbol))

    def _case(self, order, now):
        past = tuple(
            PastOrder(
                account=each["account"],
                symbol=each["symbol"],
                side=each["side"],
                size=each["size"],
                price=each["price"],
                age=(now - each["ts"]) / 1e9,
                strategy=each["strategy"],
                message=each.get("message", "order"),
            )
            for each in self.left
            if now - each["ts"] < RECENT
        )
        price = order["price"]
        return Case(
            order=OrderRequest(
                account=order["account"],
                symbol=order["symbol"],
                side=order["side"],
                size=order["size"],
                price=None if math.isnan(price) else price,
                type=order["type"],
                strategy=order["strategy"],
                venue=order.get("venue", ""),
                reduce_only=order["reduce_only"],
            ),
            clock_ns=now,
            instruments=self.linked.desk.instruments,
            market={symbol: self._market(now, symbol) for symbol in self.linked.desk.instruments},
            books={name: self._book(name, book) for name, book in self.books.items()},
            correlations=self.linked.desk.correlations,
            recent_orders=past,
            fx=self.linked.desk.fx,
            kill_switch=dict.fromkeys(self.halted, "halted"),
        )

    def _book(self, name, book):
        def size(symbol, lots):
            return lots * self.linked.desk.instruments[symbol].lot_step

        return Book(
            equity=self.equity(book),
            day_start_equity=book.day_start,
            peak_equity=book.peak,
            deposits=book.deposits / QUANTA,
            # Those that are only worked on as well: their mark is the book's own.
            positions={
                symbol: Position(size(symbol, book.lots.get(symbol, 0)), mark=self._mark(book, symbol))
                for symbol in self._held(book)
            },
            working=[
                WorkingOrder(
                    str(key), each.order["symbol"], each.order["side"],
                    size(each.order["symbol"], each.approved - each.filled),
                    self._mark(book, each.order["symbol"]),
                )
                for key, each in self.working.items()
                if name in self._books_of(each.order)
            ],
        )  # fmt: skip
