"""A book as it was at one moment: figures in money of the ledger's currency, NaN where unknown."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from ringfence.backends.numba_kernel import layout
from ringfence.language.differences import lost
from ringfence.language.orders import COUNTABLE, Book, Position, WorkingOrder
from ringfence.runtime.book_arrays import BookArrays

__all__ = ["BookView", "OpenOrder", "PositionView", "view_book"]

QUANTA = 1e6
NAN = float("nan")


class OpenOrder(NamedTuple):
    """An approved order that works; `size` is what is still unfilled, in units of the base."""

    order_id: str
    account: str
    strategy: str
    symbol: str
    side: str
    size: Decimal


@dataclass(frozen=True, slots=True)
class PositionView:
    """What a book holds of one symbol.

    Attributes:
        lots: Signed lots; `size` is the same in units of the base.
        entry_price: Average cost in the quote currency, without fees; NaN where nothing is held.
        mark: Price that values it, in the quote currency.
        value: Signed value at the mark, rounded down.
        unrealised: Value less cost.
        buys, sells: Unfilled size of open orders, in units of the base.
        exposure: Worst case of position and open orders at the mark, rounded up.
    """

    symbol: str
    lots: int
    size: Decimal
    entry_price: float
    mark: float
    value: float
    unrealised: float
    buys: Decimal
    sells: Decimal
    exposure: float


@dataclass(frozen=True, slots=True)
class BookView:
    """One book.

    Attributes:
        equity: Cash and the value of all positions.
        balance: Cash and the cost of all positions: what the book would have without open gains.
        cash: What the book started with, moved money, and everything paid and got.
        realised: Gains of closed parts, without fees.
        unrealised: Value less cost of all positions.
        fees: Fees paid, rebates taken off.
        day_start_equity, day_start_balance: At the day's start.
        peak_equity: The equity at which the present units would stand at their highest value.
        deposits: Deposits less withdrawals since the day's start.
        drawdown: Fall from the peak, a pure number.
        day_loss: What the day lost, deposits left out; never below zero.
        exposure: Sum of the positions' exposures.
        positions: By symbol; also of symbols with open orders only.
        open_orders: In the order of their approval.
    """

    name: str
    equity: float
    balance: float
    cash: float
    realised: float
    unrealised: float
    fees: float
    day_start_equity: float
    day_start_balance: float
    peak_equity: float
    deposits: float
    drawdown: float
    day_loss: float
    exposure: float
    positions: Mapping[str, PositionView]
    open_orders: tuple[OpenOrder, ...]

    def as_case_book(self) -> Book:
        """The same as a `Book` of a `Case`, on which every backend can decide."""
        return Book(
            equity=self.equity,
            day_start_equity=self.day_start_equity,
            day_start_balance=self.day_start_balance,
            peak_equity=self.peak_equity,
            deposits=self.deposits,
            positions={
                symbol: Position(each.size, each.entry_price, each.mark)
                for symbol, each in self.positions.items()
            },
            working=[
                WorkingOrder(each.order_id, each.symbol, each.side, each.size)
                for each in self.open_orders
            ],
        )


def view_book(arrays: BookArrays, name: str, orders: Iterable[OpenOrder]) -> BookView:
    """Read a book out of its arrays; `orders` are those that work in it."""
    books = arrays.books
    b = arrays.book_codes[name]
    row = [float(number) for number in books.book[b]]
    opened = row[layout.KNOWN] != 0.0
    blind = row[layout.UNMARKED] + row[layout.UNCOUNTED] != 0.0
    equity, peak = row[layout.EQUITY], row[layout.PEAK] if opened else NAN
    start, deposits = row[layout.DAY_EQUITY], row[layout.DEPOSITS]
    names = list(arrays.symbols)
    held = sorted(int(s) for s in books.held[b, : books.book_n[b, layout.HELD]])
    return BookView(
        name=name,
        equity=equity,
        balance=_money(row[layout.CASH] + row[layout.COSTS]) if opened else NAN,
        cash=_money(row[layout.CASH]) if opened else NAN,
        realised=_money(row[layout.REALISED]),
        unrealised=NAN if blind else _money(row[layout.VALUES] - row[layout.COSTS]),
        fees=_money(row[layout.FEES]),
        day_start_equity=start,
        day_start_balance=row[layout.DAY_BALANCE],
        peak_equity=peak,
        deposits=deposits,
        drawdown=_drawdown(equity, peak),
        day_loss=lost(start, equity, deposits),
        exposure=NAN if blind else _money(row[layout.GROSS]),
        positions=MappingProxyType({names[s]: _position(arrays, b, s, names[s]) for s in held}),
        open_orders=tuple(orders),
    )


def _position(arrays: BookArrays, b: int, s: int, symbol: str) -> PositionView:
    row = [float(number) for number in arrays.books.pos[b, s]]
    lots, mark = int(row[layout.Q]), row[layout.MARK]
    step = arrays.lot_step(symbol)
    money_per_price = lots * float(arrays.books.sym[s, layout.LOT_MONEY])
    return PositionView(
        symbol=symbol,
        lots=lots,
        size=lots * step,
        entry_price=row[layout.COST] / QUANTA / money_per_price if lots else NAN,
        mark=mark,
        value=_money(row[layout.VALUE]),
        unrealised=_money(row[layout.VALUE] - row[layout.COST]),
        buys=int(row[layout.BUYS]) * step,
        sells=int(row[layout.SELLS]) * step,
        exposure=_money(_larger(row[layout.LONG], row[layout.SHORT])),
    )


def _money(quanta: float) -> float:
    return quanta / QUANTA if abs(quanta) <= COUNTABLE else NAN


def _larger(left: float, right: float) -> float:
    return NAN if math.isnan(left) or math.isnan(right) else max(left, right)


def _drawdown(equity: float, peak: float) -> float:
    return lost(peak, equity) / peak if peak > 0 and math.isfinite(equity) else NAN
