"""The eight gates as a desk would first write them: a plain Python function of eight ifs over dataclasses."""

from dataclasses import dataclass

from benchmarks.policy_files import EQUITY

__all__ = ["Book", "Order", "eight_ifs"]


@dataclass(slots=True)
class Book:
    """What the plain function looks at."""

    equity: float = EQUITY
    day_start: float = EQUITY
    peak: float = EQUITY
    positions: int = 3
    exposure: float = 100_000.0
    position: float = 10_000.0
    correlated: float = 30_000.0
    kill: int = 0
    age: float = 1.0


@dataclass(slots=True)
class Order:
    size: float
    price: float


def eight_ifs(order: Order, book: Book) -> str:
    """The code of the first gate that is broken; empty where none is."""
    notional = order.size * order.price
    if book.kill != 0:
        return "KILL_SWITCH"
    if book.age > 120.0:
        return "DATA_QUALITY"
    if book.day_start - book.equity > 0.05 * book.day_start:
        return "DAILY_LOSS"
    if (book.peak - book.equity) / book.peak > 0.1:
        return "DRAWDOWN"
    if book.positions + 1 > 10:
        return "POSITION_COUNT"
    if book.exposure + notional > 0.45 * book.equity:
        return "TOTAL_EXPOSURE"
    if book.position + notional > 0.1 * book.equity:
        return "POSITION_SIZE"
    if book.correlated + notional > 0.2 * book.equity:
        return "CORRELATED_EXPOSURE"
    return ""
