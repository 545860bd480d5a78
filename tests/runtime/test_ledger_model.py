"""The ledger against a plain `Decimal` model, figure by figure, after every event of random histories."""

import math
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, getcontext
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ringfence.backends.numba_kernel import layout
from ringfence.language.orders import Instrument
from ringfence.runtime.book_view import BookView
from ringfence.runtime.ledger import Ledger

pytestmark = pytest.mark.unit

ACCOUNTS, STRATEGIES = ("one", "two"), ("fast", "slow")
BOOKS = ("firm", "account/one", "account/two", "strategy/fast", "strategy/slow")
INSTRUMENTS = {
    "AAA": Instrument("AAA", lot_step=Decimal("0.001"), quote="USD"),
    "BBB": Instrument("BBB", lot_step=Decimal(1), multiplier=10.0, quote="USD"),
    "CCC": Instrument("CCC", lot_step=Decimal("0.01"), quote="EUR"),
}
FX = {("EUR", "USD"): 1.25}
# Money per lot and unit of price, in quanta.
LOT = {"AAA": Decimal("1e3"), "BBB": Decimal("1e7"), "CCC": Decimal("12500")}
RATE = {"AAA": Decimal(1), "BBB": Decimal(1), "CCC": Decimal("1.25")}
STEP = {symbol: each.lot_step for symbol, each in INSTRUMENTS.items()}
ZONE = ZoneInfo("America/New_York")
# The clocks go forward on 8 March.
BEGIN = datetime(2026, 3, 5, 12, tzinfo=UTC)

symbols = st.sampled_from(sorted(INSTRUMENTS))
lots_of = st.integers(1, 500)
prices = st.integers(1, 5_000_000).map(lambda number: Decimal(number).scaleb(-4))
amounts = st.integers(1, 10**11).map(lambda number: Decimal(number).scaleb(-7))
fees = st.integers(-(10**4), 10**5).map(lambda number: Decimal(number).scaleb(-7))
picks = st.integers(0, 1_000)


def up(quanta: Decimal) -> Decimal:
    return quanta.to_integral_value(ROUND_CEILING)


def down(quanta: Decimal) -> Decimal:
    return quanta.to_integral_value(ROUND_FLOOR)


def near(quanta: Decimal) -> Decimal:
    return quanta.to_integral_value(ROUND_HALF_EVEN)


class ModelPosition:
    def __init__(self) -> None:
        self.lots = self.buys = self.sells = 0
        self.cost = Decimal(0)
        self.mark: Decimal | None = None

    @property
    def held(self) -> bool:
        return bool(self.lots or self.buys or self.sells)

    def settle(self, mark: Decimal | None) -> None:
        self.mark = mark if self.held else None


class ModelBook:
    """Money in quanta; None where unknown."""

    def __init__(self) -> None:
        self.open = False
        self.cash = self.fees = self.realised = self.deposits = self.last = Decimal(0)
        self.peak: Decimal | None = None
        self.day_equity: Decimal | None = None
        self.day_balance: Decimal | None = None
        self.positions = {symbol: ModelPosition() for symbol in INSTRUMENTS}

    def value(self, symbol: str) -> Decimal | None:
        position = self.positions[symbol]
        if not position.held:
            return Decimal(0)
        if position.mark is None:
            return None
        return down(position.lots * position.mark * LOT[symbol])

    def exposure(self, symbol: str) -> Decimal | None:
        position = self.positions[symbol]
        if not position.held:
            return Decimal(0)
        if position.mark is None:
            return None
        most = max(abs(position.lots + position.buys), abs(position.lots - position.sells))
        return up(most * position.mark * LOT[symbol])

    def total(self, parts: list[Decimal | None]) -> Decimal | None:
        return None if None in parts else sum((p for p in parts if p is not None), Decimal(0))

    @property
    def values(self) -> Decimal | None:
        return self.total([self.value(symbol) for symbol in INSTRUMENTS])

    @property
    def costs(self) -> Decimal:
        return sum((each.cost for each in self.positions.values()), Decimal(0))

    @property
    def equity(self) -> Decimal | None:
        return self.cash + self.values if self.open and self.values is not None else None

    def settle(self) -> None:
        """After every event: the peak follows, and the last known equity."""
        if self.equity is not None:
            self.last = self.equity
            self.peak = self.equity if self.peak is None else max(self.peak, self.equity)

    def bring(self, quanta: Decimal) -> None:
        before, after = self.last, self.last + quanta
        self.cash += quanta
        self.last = after
        if self.peak is not None:
            held = before > 0 and after > 0
            self.peak = max(after, self.peak * after / before) if held else after
        self.settle()

    def start(self, quanta: Decimal) -> None:
        if self.open:
            self.bring(quanta)
            self.day_equity = None if self.day_equity is None else self.day_equity + quanta
            assert self.day_balance is not None
            self.day_balance += quanta
            return
        self.open = True
        self.cash += quanta
        self.last = quanta
        self.settle()
        self.new_day()

    def move(self, quanta: Decimal) -> None:
        self.bring(quanta)
        self.deposits += quanta

    def new_day(self) -> None:
        self.deposits = Decimal(0)
        self.day_equity = self.equity
        self.day_balance = self.cash + self.costs if self.open else None

    def fill(self, symbol: str, side: int, lots: int, price: Decimal, fee: Decimal) -> None:
        position = self.positions[symbol]
        amount = lots * price * LOT[symbol]
        cash = -up(amount) if side > 0 else down(amount)
        closing = min(lots, abs(position.lots)) if position.lots * side < 0 else 0
        part = near(position.cost * closing / abs(position.lots)) if closing else Decimal(0)
        got = near(cash * closing / lots) if closing else Decimal(0)
        self.realised += got - part if closing else 0
        position.cost -= part + (cash - got)
        position.lots += side * lots
        self.cash += cash - fee
        self.fees += fee


class ModelOrder:
    def __init__(self, key: str, account: str, strategy: str, symbol: str, side: int, lots: int):
        self.key, self.account, self.strategy, self.symbol = key, account, strategy, symbol
        self.side, self.lots, self.filled, self.works = side, lots, 0, True
        self.reports: list[tuple[Decimal, Decimal, Decimal]] = []

    @property
    def books(self) -> list[str]:
        own = [f"strategy/{self.strategy}"] if self.strategy else []
        return ["firm", f"account/{self.account}", *own]


class LedgerMachine(RuleBasedStateMachine):
    @initialize(firm_alone=st.booleans(), account=st.sampled_from(ACCOUNTS), equity=amounts)
    def begin(self, firm_alone: bool, account: str, equity: Decimal) -> None:
        getcontext().prec = 60
        self.ledger = Ledger(
            INSTRUMENTS,
            "USD",
            fx=FX,
            day=("17:00", "America/New_York"),
            accounts=ACCOUNTS,
            strategies=STRATEGIES,
        )
        self.books = {name: ModelBook() for name in BOOKS}
        self.marks: dict[str, Decimal | None] = dict.fromkeys(INSTRUMENTS)
        self.orders: list[ModelOrder] = []
        self.firm_alone = firm_alone
        self.now = BEGIN
        self.ledger.advance(self.now_ns)
        if firm_alone:
            self.open_book("firm", equity)
        self.open_book(f"account/{account}", equity)

    @property
    def now_ns(self) -> int:
        since = self.now - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 10**9

    def follow(self, book: str) -> list[ModelBook]:
        """Books that an amount of money for `book` moves."""
        firm = book.startswith("account/") and not self.firm_alone
        return [self.books[book], *([self.books["firm"]] if firm else [])]

    def open_book(self, book: str, equity: Decimal) -> None:
        self.ledger.open(book, equity)
        for each in self.follow(book):
            each.start(down(equity * 10**6))

    def can_move(self, book: str) -> bool:
        return self.books[book].open and (book != "firm" or self.firm_alone)

    @rule(book=st.sampled_from(BOOKS[1:]), equity=amounts)
    def open(self, book: str, equity: Decimal) -> None:
        if not self.books[book].open:
            self.open_book(book, equity)

    @rule(book=st.sampled_from(BOOKS), amount=amounts)
    def deposit(self, book: str, amount: Decimal) -> None:
        if self.can_move(book):
            self.ledger.deposit(book, amount)
            for each in self.follow(book):
                each.move(down(amount * 10**6))

    @rule(book=st.sampled_from(BOOKS), amount=amounts)
    def withdraw(self, book: str, amount: Decimal) -> None:
        if self.can_move(book):
            self.ledger.withdraw(book, amount)
            for each in self.follow(book):
                each.move(-up(amount * 10**6))

    @rule(
        account=st.sampled_from(ACCOUNTS),
        strategy=st.sampled_from((*STRATEGIES, "")),
        symbol=symbols,
        side=st.sampled_from((1, -1)),
        lots=lots_of,
    )
    def reserve(self, account: str, strategy: str, symbol: str, side: int, lots: int) -> None:
        order = ModelOrder(f"o{len(self.orders)}", account, strategy, symbol, side, lots)
        self.orders.append(order)
        asked = (order.key, account, strategy, symbol, "buy" if side > 0 else "sell")
        self.ledger.reserve(*asked, lots * STEP[symbol])
        self.ledger.reserve(*asked, lots * STEP[symbol])
        self.work(order, lots)

    def work(self, order: ModelOrder, lots: int) -> None:
        for name in order.books:
            position = self.books[name].positions[order.symbol]
            mark = self.marks[order.symbol] if position.mark is None else position.mark
            if order.side > 0:
                position.buys += lots
            else:
                position.sells += lots
            position.settle(mark)
            self.books[name].settle()

    @rule(pick=picks, lots=lots_of, whole=st.booleans(), price=prices, fee=fees)
    def fill(self, pick: int, lots: int, whole: bool, price: Decimal, fee: Decimal) -> None:
        if not self.orders:
            return
        order = self.orders[pick % len(self.orders)]
        lots = max(1, order.lots - order.filled) if whole else lots
        size = (order.filled + lots) * STEP[order.symbol]
        before = self.ledger.counts.copy()

        assert self.ledger.fill(order.key, size, price, fee) == lots * STEP[order.symbol]

        order.reports.append((size, price, fee))
        working = min(lots, max(0, order.lots - order.filled)) if order.works else 0
        code = "OVER_FILL" if order.works else "FILL_AFTER_END"
        assert self.ledger.counts[code] - before[code] == (working < lots)
        self.apply(order, lots, working, price, fee)
        order.filled += lots
        order.works = order.works and order.filled < order.lots

    def apply(
        self, order: ModelOrder, lots: int, working: int, price: Decimal, fee: Decimal
    ) -> None:
        for name in order.books:
            book, position = self.books[name], self.books[name].positions[order.symbol]
            mark = position.mark
            mark = self.marks[order.symbol] if mark is None else mark
            mark = price if mark is None else mark
            book.fill(order.symbol, order.side, lots, price, up(fee * RATE[order.symbol] * 10**6))
            if order.side > 0:
                position.buys -= working
            else:
                position.sells -= working
            position.settle(mark)
            book.settle()

    @rule(pick=picks)
    def report_again(self, pick: int) -> None:
        told = [(order, report) for order in self.orders for report in order.reports]
        if told:
            order, report = told[pick % len(told)]

            assert self.ledger.fill(order.key, *report) == 0

    @rule(
        account=st.sampled_from(ACCOUNTS),
        strategy=st.sampled_from(STRATEGIES),
        symbol=symbols,
        side=st.sampled_from((1, -1)),
        lots=lots_of,
        price=prices,
        fee=fees,
    )
    def fill_direct(
        self,
        account: str,
        strategy: str,
        symbol: str,
        side: int,
        lots: int,
        price: Decimal,
        fee: Decimal,
    ) -> None:
        order = ModelOrder("", account, strategy, symbol, side, lots)
        self.ledger.fill_direct(
            account,
            strategy,
            symbol,
            "buy" if side > 0 else "sell",
            lots * STEP[symbol],
            price,
            fee,
        )
        self.apply(order, lots, 0, price, fee)

    @rule(
        account=st.sampled_from(ACCOUNTS),
        strategy=st.sampled_from(STRATEGIES),
        symbol=symbols,
        price=prices,
    )
    def flatten(self, account: str, strategy: str, symbol: str, price: Decimal) -> None:
        lots = self.books[f"account/{account}"].positions[symbol].lots
        if lots:
            side = -1 if lots > 0 else 1
            self.fill_direct(account, strategy, symbol, side, abs(lots), price, Decimal(0))

    @rule(pick=picks)
    def end(self, pick: int) -> None:
        if not self.orders:
            return
        order = self.orders[pick % len(self.orders)]

        assert self.ledger.cancel(order.key) == order.works

        if order.works:
            self.work(order, order.filled - order.lots)
            order.works = False

    @rule(
        symbol=symbols, bid=prices, spread=st.integers(-50, 200), last=prices, has=st.integers(0, 7)
    )
    def mark(self, symbol: str, bid: Decimal, spread: int, last: Decimal, has: int) -> None:
        ask = bid + Decimal(spread).scaleb(-4)
        given = {"bid": bid, "ask": ask, "last": last}
        if has < 2:
            given = {}
        elif has == 2:
            del given["bid"]
        self.ledger.mark(symbol, self.now_ns, **given)
        mid = (bid + ask) / 2 if "bid" in given and 0 < bid <= ask else None
        self.marks[symbol] = given.get("last") if mid is None else mid
        for book in self.books.values():
            position = book.positions[symbol]
            position.settle(self.marks[symbol])
            book.settle()

    @rule(hours=st.integers(0, 90))
    def advance(self, hours: int) -> None:
        before, self.now = self.now, self.now + timedelta(hours=hours)
        dates = [before.date() + timedelta(days=d) for d in range(-1, 7)]
        starts = [datetime(d.year, d.month, d.day, 17, tzinfo=ZONE).astimezone(UTC) for d in dates]
        begun = sum(before < start <= self.now for start in starts)

        assert self.ledger.advance(self.now_ns) == begun

        if begun:
            for book in self.books.values():
                book.new_day()

    @invariant()
    def every_figure_of_every_book_agrees(self) -> None:
        for name, book in self.books.items():
            view = self.ledger.book(name)
            same(view.equity, book.equity)
            same(view.cash, book.cash if book.open else None)
            same(view.balance, book.cash + book.costs if book.open else None)
            same(view.realised, book.realised)
            same(view.fees, book.fees)
            same(view.unrealised, None if book.values is None else book.values - book.costs)
            same(view.day_start_equity, book.day_equity)
            same(view.day_start_balance, book.day_balance)
            same(view.deposits, book.deposits)
            exposures = [book.exposure(symbol) for symbol in INSTRUMENTS]
            same(view.exposure, book.total(exposures))
            equity, peak = book.equity, book.peak
            close(view.peak_equity, None if peak is None else peak / 10**6)
            fall = None
            if equity is not None and peak is not None and peak > 0:
                fall = max(Decimal(0), (peak - equity) / peak)
            close(view.drawdown, fall)
            lost = None
            if equity is not None and book.day_equity is not None:
                lost = max(Decimal(0), book.day_equity - (equity - book.deposits))
            same(view.day_loss, lost)
            self.positions_agree(view, book)

    def positions_agree(self, view: BookView, book: ModelBook) -> None:
        assert set(view.positions) == {s for s, each in book.positions.items() if each.held}
        for symbol, shown in view.positions.items():
            position = book.positions[symbol]
            assert shown.lots == position.lots
            assert shown.size == position.lots * STEP[symbol]
            assert shown.buys == position.buys * STEP[symbol]
            assert shown.sells == position.sells * STEP[symbol]
            close(shown.mark, position.mark)
            same(shown.value, book.value(symbol))
            same(shown.exposure, book.exposure(symbol))
            if position.lots:
                close(shown.entry_price, position.cost / position.lots / LOT[symbol])
        working = [o for o in self.orders if o.works and view.name in o.books]
        shown_orders = [(o.order_id, o.size) for o in view.open_orders]
        assert shown_orders == [(o.key, (o.lots - o.filled) * STEP[o.symbol]) for o in working]

    @invariant()
    def sums_kept_step_by_step_equal_sums_taken_afresh(self) -> None:
        arrays = self.ledger.arrays
        books, count = arrays.books, len(arrays.symbols)
        for b in arrays.book_codes.values():
            rows = books.pos[b, :count]
            sound = ~np.isnan(rows[:, [layout.VALUE, layout.LONG, layout.SHORT]]).any(axis=1)
            gross = rows[sound][:, [layout.LONG, layout.SHORT]].max(axis=1, initial=0.0).sum()
            assert books.book[b, layout.GROSS] == gross
            assert books.book[b, layout.VALUES] == rows[sound, layout.VALUE].sum()
            assert books.book[b, layout.COSTS] == rows[:, layout.COST].sum()
            assert books.book[b, layout.OPEN] == books.pos_orders[b].sum()


def same(shown: float, expected: Decimal | None) -> None:
    """The same whole number of quanta, or both unknown."""
    if expected is None:
        assert math.isnan(shown)
    else:
        assert round(shown * 10**6) == expected


def close(shown: float, expected: Decimal | None) -> None:
    """Within 1e-12, absolutely or of the number."""
    if expected is None:
        assert math.isnan(shown)
    else:
        assert math.isclose(shown, float(expected), rel_tol=1e-12, abs_tol=1e-12)


# Each run makes some thirty events, so fewer runs than of other properties.
LedgerMachine.TestCase.settings = settings(
    max_examples=max(1, settings().max_examples // 2), stateful_step_count=30
)


class TestLedgerAgainstModel(LedgerMachine.TestCase):
    pass
