"""Cases: sound ones that often sit exactly at a limit, and ones with every kind of bad data."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from ringfence.language.fields import ORDER_TYPES
from ringfence.language.gates import to_ns
from ringfence.language.orders import (
    Book,
    Case,
    Instrument,
    Market,
    OrderRequest,
    PastOrder,
    Position,
    WorkingOrder,
)
from strategies.choosing import Chooser, Drawn
from strategies.policies import ACCOUNTS, MOMENTS, STRATEGIES, SYMBOLS, VENUES

__all__ = ["cases"]

NAN, INF = float("nan"), float("inf")
BAD_PRICES = (NAN, 0.0, -1.0, INF, -INF, 1e300, 5e-324, 1e18)
PRICES = {"BTC/USD": 50_000.0, "ETH/USD": 100.0, "SOL/EUR": 0.611, "XRP/USD": 10.0}
# A lot is worth little beside the limits, mostly; otherwise there is nothing to reduce to.
STEPS = {
    "BTC/USD": ("0.0001", "0.00001", "0.00000001", "0.0003"),
    "ETH/USD": ("0.1", "0.25", "0.0001", "0.3"),
    "SOL/EUR": ("1", "5", "0.01", "10"),
    "XRP/USD": ("0.1", "1", "0.5", "0.00000001"),
}
WILD_STEPS = ("1", "1000", "0.3", "1e-8", "7", "1e6")


@st.composite
def cases(draw: Any) -> Case:
    """A case; about two in three are sound in every part."""
    choose = Drawn(draw)
    hostile = choose.chance(30)
    clock = to_ns(choose.pick(MOMENTS)) + choose.pick((0, 1, -1, 500_000_000))
    instruments = {symbol: _instrument(choose, symbol, hostile) for symbol in SYMBOLS}
    market = {
        symbol: _market(choose, symbol, hostile)
        for symbol in SYMBOLS
        if not (hostile and choose.chance(5))
    }
    account = choose.pick(ACCOUNTS) if not (hostile and choose.chance(5)) else "nobody"
    strategy = choose.pick(STRATEGIES)
    symbol = choose.pick(SYMBOLS) if not (hostile and choose.chance(4)) else "NEW/USD"
    books = {
        name: _book(choose, instruments, hostile)
        for name in (f"account/{account}", f"strategy/{strategy}", "firm")
        if not (hostile and choose.chance(6))
    }
    book = books.get(f"account/{account}") or Book()
    if book.positions and choose.chance(40):
        symbol = choose.pick(sorted(book.positions))
    instrument = instruments.get(symbol) or Instrument(symbol, Decimal("0.1"))
    order = _order(choose, instrument, book, hostile)
    order.account, order.strategy, order.venue = account, strategy, choose.pick(VENUES)
    return Case(
        order=order,
        clock_ns=clock,
        instruments=instruments,
        market=market,
        books=books,
        kill_switch=_kill_switch(choose, order) if choose.chance(10) else {},
        correlations=_correlations(choose, hostile),
        recent_orders=tuple(
            _past(choose, order, hostile) for _ in range(choose.pick((0, 0, 1, 4)))
        ),
        fx={("EUR", "USD"): choose.pick((1.25, 1.0, 1.0873))} if choose.chance(30) else {},
    )


def _instrument(choose: Chooser, symbol: str, hostile: bool) -> Instrument:
    step = Decimal(choose.pick(WILD_STEPS if choose.chance(8) else STEPS[symbol]))
    base, _, quote = symbol.partition("/")
    if hostile and choose.chance(5):
        quote = choose.pick(("", "JPY"))
    return Instrument(
        symbol=symbol,
        lot_step=step,
        min_size=choose.pick((None, None, step, 3 * step)),
        max_size=choose.pick((None, None, None, 10_000 * step)),
        tick_size=choose.pick((None, Decimal("0.001"), Decimal("0.5"), Decimal("0.00000001"))),
        multiplier=choose.pick((1.0, 1.0, 1.0, 1.0, 10.0, 0.01, 0.1)),
        base=base,
        quote=quote,
        min_notional=choose.pick((0.0, 0.0, 5.0, 1_000.0)),
        full_close_exempt=choose.chance(50),
    )


def _market(choose: Chooser, symbol: str, hostile: bool) -> Market:
    price = PRICES[symbol]
    width = choose.pick((0.0, 0.0, 0.0, 0.001, 0.01))
    market = Market(
        bid=price * (1 - width),
        ask=price * (1 + width),
        last=price,
        mark=choose.pick((NAN, price, price * 1.01)),
        age=choose.pick((0.5, 0.0, 0.5, 1.0, 5.0)),
        completeness=choose.pick((NAN, 1.0, 0.95)),
        bid_depth=choose.pick((1000.0, 100.0, 1e12)),
        ask_depth=choose.pick((1000.0, 100.0, 1e12)),
        volume=choose.pick((10_000.0, 100.0, 1e12)),
    )
    if choose.chance(30):
        market.history = tuple(_earlier(choose, price, hostile) for _ in range(choose.whole(1, 3)))
    if hostile and choose.chance(50):
        names = ("bid", "ask", "last", "mark", "bid_depth", "ask_depth", "volume")
        for name in choose.some(names, 1, 3):
            setattr(market, name, choose.pick(BAD_PRICES))
    if hostile and choose.chance(15):
        market.age = choose.pick((NAN, 5.0000001, 3600.0, -1.0, -5.0, INF, -INF, 1e300))
    if hostile and choose.chance(10):
        market.completeness = choose.pick((0.0, 0.5, 2.0, -1.0, INF))
    if hostile and choose.chance(10):
        market.bid, market.ask = market.ask * 1.5, market.bid
    return market


def _earlier(choose: Chooser, price: float, hostile: bool) -> Market:
    seen = price * choose.pick((1.0, 1.01, 0.95, 1.05, 2.0))
    quote = Market(bid=seen, ask=seen, last=seen, age=choose.pick((0.5, 1.0, 5.0, 60.0, 3600.0)))
    if hostile and choose.chance(30):
        setattr(quote, choose.pick(("bid", "ask", "last", "mark")), choose.pick(BAD_PRICES))
    return quote


def _book(choose: Chooser, instruments: dict[str, Instrument], hostile: bool) -> Book:
    equity = choose.pick((100_000.0, 1_000_000.0, 10_000.0, 100_000.0, 50_000.0, 1e12))
    book = Book(
        equity=equity,
        day_start_equity=equity * choose.pick((1.0, 1.0, 1.05, 1.25, 0.9)),
        day_start_balance=equity * choose.pick((1.0, 1.1, 0.95)),
        peak_equity=equity * choose.pick((1.0, 1.0, 1.1, 2.0)),
        deposits=choose.pick((0.0, 0.0, 500.0, -500.0)),
    )
    if hostile and choose.chance(30):
        names = ("equity", "day_start_equity", "day_start_balance", "peak_equity", "deposits")
        for name in choose.some(names, 1, 2):
            setattr(book, name, choose.pick((NAN, 0.0, -5.0, INF, -INF, 1e300, 5e-324, 1e18)))
    for symbol in choose.some(SYMBOLS, 0, choose.pick((0, 0, 1, 2, 4))):
        position = _position(choose, instruments[symbol], hostile)
        if choose.chance(60):
            position.mark = PRICES[symbol]
        if hostile and choose.chance(10):
            position.mark = choose.pick(BAD_PRICES)
        book.positions[symbol] = position
    for number in range(choose.pick((0, 0, 1, 3))):
        book.working.append(_working(choose, instruments, number, hostile))
    return book


def _position(choose: Chooser, instrument: Instrument, hostile: bool) -> Position:
    lots = choose.pick((1, 10, 3, 0)) if choose.chance(30) else _worth(choose, instrument, _HELD)
    size = lots * choose.pick((1, -1)) * instrument.lot_step
    if hostile and choose.chance(20):
        size += instrument.lot_step * choose.pick((Decimal("0.5"), Decimal("-0.25")))
    if hostile and choose.chance(10):
        size = choose.pick((1, -1)) * instrument.lot_step * Decimal(choose.pick(_HUGE))
    return Position(size=size, entry_price=choose.pick((100.0, NAN)))


_HELD = (100, 500, 1_000, 5_000, 10_000)
_ASKED = (1_000, 500, 10_000, 20_000, 5_000, 100_000)
_HUGE = ("1e15", "9007199254740992", "9007199254740993", "1e17", "1e40")


def _worth(choose: Chooser, instrument: Instrument, amounts: Sequence[int]) -> int:
    """The lots, one at least, that a round amount of money buys at the usual price."""
    price = Decimal(str(PRICES.get(instrument.symbol, 1.0)))
    each = price * instrument.lot_step * Decimal(str(instrument.multiplier))
    return max(1, int(choose.pick(amounts) / each))


def _working(
    choose: Chooser, instruments: dict[str, Instrument], number: int, hostile: bool
) -> WorkingOrder:
    symbol = choose.pick((*SYMBOLS, *(("GONE/USD",) if hostile else ())))
    step = instruments[symbol].lot_step if symbol in instruments else Decimal("0.1")
    size = step * choose.pick((1, 2, 5, 10, 100))
    if hostile and choose.chance(10):
        size = step * Decimal(choose.pick((*_HUGE, "0.5", "1.5")))
    price = PRICES.get(symbol, 1.0)
    return WorkingOrder(
        order_id=f"working-{number}",
        symbol=symbol,
        side=choose.pick(("buy", "sell")),
        size=size,
        price=choose.pick((price, price * 0.9, NAN)) if not hostile else choose.pick(BAD_PRICES),
    )


def _order(choose: Chooser, instrument: Instrument, book: Book, hostile: bool) -> OrderRequest:
    symbol = instrument.symbol
    side, kind = choose.pick(("buy", "sell")), choose.pick(ORDER_TYPES)
    reference = PRICES.get(symbol, 1.0)
    price: Any = reference * choose.pick((1.0, 1.0, 1.0, 1.0, 1.05, 0.95, 1.01, 1.000001))
    size: Any = instrument.lot_step * choose.pick((1, 2, 3, 10, 7, 100, 1000, 12_345))
    held = book.positions.get(symbol)
    closing = held is not None and held.size != 0 and choose.chance(40)
    if held is not None and closing:
        # Closing in part, in full, one lot too many (a flip), twice.
        side = "sell" if held.size > 0 else "buy"
        extra = choose.pick((0, 0, 1, -1))
        size = abs(held.size) * choose.pick((1, 1, 2)) + extra * instrument.lot_step
    elif choose.chance(60):
        # What a round amount of money, a common limit, buys exactly; a lot more; some times as much.
        lots = _worth(choose, instrument, _ASKED) * choose.pick((1, 1, 2, 5, 20))
        size = (lots + choose.pick((0, 0, 0, 1))) * instrument.lot_step
    reduce_only = choose.chance(25 if closing else 1)
    if hostile and choose.chance(15):
        size = choose.pick(_bad_sizes(instrument.lot_step))
    if hostile and choose.chance(10):
        price = choose.pick((*BAD_PRICES, None, "abc", "1e999999", Decimal("NaN"), 10**400))
    if hostile and choose.chance(3):
        side = choose.pick(("hold", "", "BUY"))
    if hostile and choose.chance(3):
        kind = "iceberg"
    return OrderRequest(
        account="",
        symbol=symbol,
        side=side,
        size=choose.pick((size, str(size))),
        price=None if kind == "market" and choose.chance(80) else choose.pick((price, str(price))),
        type=kind,
        reduce_only=reduce_only,
        timestamp=choose.pick((None, None, 0, to_ns(MOMENTS[1]))),
    )


def _bad_sizes(step: Decimal) -> Sequence[Any]:
    return (
        *(step / 2, step * Decimal("1.5"), Decimal(0), -step, step * 10**15, step * (2**53 + 1)),
        *(NAN, INF, "", "abc", None, True, "1e999999", Decimal("NaN"), 10**400, 1e-320),
    )


def _kill_switch(choose: Chooser, order: OrderRequest) -> dict[str, str]:
    keys = (
        *("firm", f"account/{order.account}", f"strategy/{order.strategy}"),
        *(f"venue/{order.venue}", f"symbol/{order.symbol}", "account/other"),
    )
    return {key: choose.pick(("reducing", "active", "halted")) for key in choose.some(keys, 1, 2)}


def _correlations(choose: Chooser, hostile: bool) -> dict[tuple[str, str], tuple[float, float]]:
    found = {}
    names = sorted(SYMBOLS)
    for place, low in enumerate(names):
        for high in names[place + 1 :]:
            if choose.chance(50):
                rho = choose.pick((0.0, 0.7, 1.0, 0.5, -0.7, -1.0, 0.6999))
                count = choose.pick((500.0, INF, 30.0, 29.0, 0.0))
                if hostile and choose.chance(10):
                    rho, count = choose.pick(((NAN, 500.0), (0.0, NAN), (INF, INF)))
                found[low, high] = (rho, count)
    return found


def _past(choose: Chooser, order: OrderRequest, hostile: bool) -> PastOrder:
    same = choose.chance(60)
    size: Any = order.size if same else Decimal(7)
    if not isinstance(size, Decimal):
        try:
            size = Decimal(str(size))
        except ArithmeticError:
            size = Decimal(1)
    price = order.price if isinstance(order.price, float) else NAN
    return PastOrder(
        account=order.account if choose.chance(80) else "other",
        symbol=order.symbol if same else choose.pick(SYMBOLS),
        side=order.side if choose.chance(80) else "buy",
        size=size,
        price=price if same else choose.pick((NAN, 1.0)),
        age=(
            choose.pick((0.5, 0.0, 1.0, 5.0, 60.0))
            if not hostile
            else choose.pick((NAN, -1.0, INF, 0.5))
        ),
        strategy=order.strategy if choose.chance(70) else "other",
        venue=order.venue,
        message="cancel" if choose.chance(30) else "order",
    )
