"""The same eight gates as a plain Python loop: what one would write by hand, without Ringfence.

Dicts, lists and small classes; no array per order. It decides what the kernel decides, and keeps what the
kernel keeps: every gate's outcome, measure and limit, books in whole quanta, equity and its fall. It knows
the case of the benchmark only: no marks (an order's price is the quote and the mark), no fills (what may
go fills at once), no kill switch set, account level, and all accounts in the policies' currency.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ringfence.language.differences import lost

__all__ = ["GATES", "Answer", "Book", "Holding", "Limits", "Order", "PlainLoop", "Rules"]

GATES = (
    "kill-switch", "data-quality", "daily-loss", "drawdown", "position-count", "total-exposure",
    "position-size", "correlated-exposure",
)  # fmt: skip
PASS, REDUCE, BREACH, EXEMPT, UNKNOWN = 1, 2, 3, 4, 5
APPROVE, REDUCE_SIZE, REJECT = 0, 1, 2
TOTAL, SINGLE, CORRELATED = 5, 6, 7
NAN = math.nan
QUANTA = 1e6
COUNTABLE = 2.0**53
TOLERANCE = 2.0**-48
DAY_NS = 86_400_000_000_000


class Order(NamedTuple):
    """One order; `side` is +1 or -1."""

    ts: int
    account: str
    symbol: str
    side: int
    size: float
    price: float
    reduce_only: bool


class Answer(NamedTuple):
    """One decision; `gate` is the place in `GATES` of the one that decided, -1 where none did.

    `found` holds outcome, measure and limit of each gate.
    """

    decision: int
    size: float
    code: str
    gate: int
    found: list[tuple[int, float, float]]
    equity: float
    drawdown: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one account; money in its currency, shares of equity as ratios."""

    min_completeness: float
    max_loss: float
    max_loss_ratio: float
    max_drawdown: float
    max_positions: float
    max_total: float
    max_total_ratio: float
    max_single: float
    max_single_ratio: float
    max_correlated_ratio: float


@dataclass(frozen=True, slots=True)
class Rules:
    """A symbol: its lot step is 1 / `lots_per_unit`; `with_it` and `against_it` move with it or against it."""

    lots_per_unit: float
    lot_step: float
    min_lots: int
    min_notional: float
    with_it: frozenset[str]
    against_it: frozenset[str]


class Holding:
    """One symbol in a book: signed lots, their mark, value, worst-case exposure and cost, in quanta."""

    __slots__ = ("cost", "exposure", "lots", "mark", "value")

    def __init__(self) -> None:
        self.lots, self.mark = 0.0, NAN
        self.value, self.exposure, self.cost = 0.0, 0.0, 0.0


class Book:
    """One account: money in quanta, and what it holds; `positions` has empty ones too, `held` has not."""

    __slots__ = (
        "cash", "day_start", "equity", "gross", "held", "limits", "peak", "positions", "quanta", "values",
    )  # fmt: skip

    def __init__(self, equity: float, limits: Limits) -> None:
        self.limits = limits
        self.cash = self.quanta = _down(equity)
        self.equity = self.day_start = self.peak = self.cash / QUANTA
        self.values, self.gross = 0.0, 0.0
        self.positions: dict[str, Holding] = {}
        self.held: dict[str, Holding] = {}


class PlainLoop:
    """Decides orders one after another; books follow.

    Args:
        limits: By account.
        rules: By symbol.
        equity: What each account opens with.
    """

    def __init__(self, limits: dict[str, Limits], rules: dict[str, Rules], equity: float) -> None:
        self.books = {name: Book(equity, own) for name, own in limits.items()}
        self._rules = rules
        self._total = sum(book.quanta for book in self.books.values())
        self._peak = self._total
        self._day_ends = 0

    def decide(self, orders: Iterable[Order]) -> Iterator[Answer]:
        """Yield the answer to each order, in their order."""
        for order in orders:
            yield self._one(order)

    def _one(self, order: Order) -> Answer:
        ts, account, symbol, side, size, price, reduce_only = order
        self.start_day(ts)
        book, rules = self.books[account], self._rules[symbol]
        position = self.mark(book, symbol, price)
        asked = float(round(size * rules.lots_per_unit))
        closing = abs(position.lots) if position.lots * side < 0 else 0.0
        found = self._gates(book, rules, symbol, position, side, asked, closing, price)
        allowed, code, gate = self._verdict(
            book, rules, symbol, position, side, asked, closing, price, reduce_only, found
        )
        equity = self._total / QUANTA
        fall = (self._peak - self._total) / self._peak if self._total < self._peak else 0.0
        if allowed > 0:
            self._fill(book, symbol, position, side, allowed, price, rules)
        decision = REJECT if not allowed else APPROVE if allowed == asked else REDUCE_SIZE
        return Answer(decision, allowed / rules.lots_per_unit, code, gate, found, equity, fall)

    def _gates(
        self, book: Book, rules: Rules, symbol: str, position: Holding, side: int, lots: float,
        closing: float, price: float,
    ) -> list[tuple[int, float, float]]:  # fmt: skip
        """Outcome, measure and limit of every gate at one size."""
        found = [(PASS, 0.0, 0.0)]
        if 0 < lots <= closing:
            found += [(EXEMPT, NAN, NAN)] * 7
            return found
        limits, equity = book.limits, book.equity
        loss = lost(book.day_start, equity)
        share = loss / book.day_start if book.day_start > 0 else NAN
        fall = lost(book.peak, equity) / book.peak if book.peak > 0 else NAN
        held = len(book.held)
        after = self._position_after(position, side, lots, price, rules)
        total = after + (book.gross - position.exposure)
        together = after + self._correlated(book, rules, symbol, side)
        found.append((PASS, 1.0, limits.min_completeness))
        found.append(_nearest(loss, limits.max_loss, share, limits.max_loss_ratio))
        found.append(_check(fall, limits.max_drawdown))
        found.append(
            _check(float(held) if symbol in book.held else held + 1.0, limits.max_positions)
        )
        for measure, most, ratio in (
            (total / QUANTA, limits.max_total, limits.max_total_ratio),
            (after / QUANTA, limits.max_single, limits.max_single_ratio),
        ):
            found.append(_nearest(measure, most, measure, ratio * equity))
        found.append(_check(together / QUANTA, limits.max_correlated_ratio * equity))
        return found

    def _verdict(
        self, book: Book, rules: Rules, symbol: str, position: Holding, side: int, asked: float,
        closing: float, price: float, reduce_only: bool, found: list[tuple[int, float, float]],
    ) -> tuple[float, str, int]:  # fmt: skip
        """Lots that may go, the code of the reason, and the gate; notes in `found` which gates reduce."""
        allowed, cause, blocking = asked, -1, -1
        for gate, (outcome, measure, limit) in enumerate(found):
            if outcome in (PASS, EXEMPT):
                continue
            if outcome == BREACH and gate >= TOTAL:
                room = self._room(gate, book, rules, symbol, position, side, asked, closing, price)
                if room > 0:
                    found[gate] = (REDUCE, measure, limit)
                    if room < allowed:
                        allowed, cause = room, gate
                    continue
            if blocking < 0:
                blocking = gate
        if reduce_only and not 0 < asked <= closing:
            return 0.0, "REDUCE_ONLY_UNTRUE", -1
        if blocking >= 0:
            return 0.0, _code(blocking), blocking
        if allowed == asked:
            return asked, "", -1
        if allowed < rules.min_lots or allowed / rules.lots_per_unit * price < rules.min_notional:
            return 0.0, _code(cause), cause
        again = self._gates(book, rules, symbol, position, side, allowed, closing, price)
        for gate, (outcome, _, _) in enumerate(again):
            if outcome != PASS and outcome != EXEMPT:
                return 0.0, _code(gate), gate
        return allowed, _code(cause), cause

    def _room(
        self, gate: int, book: Book, rules: Rules, symbol: str, position: Holding, side: int,
        asked: float, closing: float, price: float,
    ) -> float:  # fmt: skip
        """The largest size in lots, at most what is asked, that passes one gate."""
        limits = book.limits
        base, most, ratio = position.exposure, math.inf, limits.max_correlated_ratio
        if gate == TOTAL:
            base, most, ratio = book.gross, limits.max_total, limits.max_total_ratio
        elif gate == SINGLE:
            most, ratio = limits.max_single, limits.max_single_ratio
        else:
            base += self._correlated(book, rules, symbol, side)
        limit = min(most, ratio * book.equity)
        if not _at_most(base / QUANTA, limit):
            return closing
        # Through zero to the same size on the other side nothing is added to the worst case.
        free = 2 * closing
        lot = price * rules.lot_step
        added = max(0.0, math.floor((limit - base / QUANTA) / lot))
        while _at_most((base + _up((added + 1) * lot)) / QUANTA, limit):
            added += 1
        while added > 0 and not _at_most((base + _up(added * lot)) / QUANTA, limit):
            added -= 1
        return min(asked, free + added)

    def _position_after(
        self, position: Holding, side: int, lots: float, price: float, rules: Rules
    ) -> float:
        """Exposure in the order's symbol: what is held, and the increase in its worst case."""
        before = abs(position.lots)
        after = max(before, abs(position.lots + side * lots))
        return position.exposure + _up((after - before) * (price * rules.lot_step))

    def _correlated(self, book: Book, rules: Rules, symbol: str, side: int) -> float:
        """Exposure in other symbols that moves with the order; hedges are left out."""
        total = 0.0
        for other, held in book.held.items():
            if other != symbol:
                same_way = held.lots * side > 0
                if other in (rules.with_it if same_way else rules.against_it):
                    total += held.exposure
        return total

    def _place(
        self, book: Book, symbol: str, position: Holding, lots: float, mark: float, rules: Rules
    ) -> None:
        """Set a position and its mark; the book's sums follow."""
        lot = mark * rules.lot_step
        value, exposure = (_down(lots * lot), _up(abs(lots) * lot)) if lots else (0.0, 0.0)
        book.values += value - position.value
        book.gross += exposure - position.exposure
        position.lots, position.mark = lots, mark
        position.value, position.exposure = value, exposure
        if lots:
            book.held[symbol] = position
        else:
            book.held.pop(symbol, None)

    def _revalue(self, book: Book) -> None:
        before = book.quanta
        book.quanta = book.cash + book.values
        book.equity = book.quanta / QUANTA
        book.peak = max(book.peak, book.equity)
        self._total += book.quanta - before
        self._peak = max(self._peak, self._total)

    def _fill(
        self, book: Book, symbol: str, position: Holding, side: int, lots: float, price: float,
        rules: Rules,
    ) -> None:  # fmt: skip
        """Move lots into the position: cash pays rounded up, gets rounded down."""
        amount = lots * (price * rules.lot_step)
        cash = -_up(amount) if side > 0 else _down(amount)
        held = abs(position.lots)
        if position.lots * side < 0:
            closing = min(lots, held)
            part = position.cost if closing == held else round(position.cost * closing / held)
            gained = cash if closing == lots else round(cash * closing / lots)
            position.cost += -part - (cash - gained)
        else:
            position.cost -= cash
        book.cash += cash
        self._place(book, symbol, position, position.lots + side * lots, price, rules)
        self._revalue(book)

    def start_day(self, ts: int) -> None:
        """Start the trading day anew in every book, where `ts` is the first time in it."""
        if ts >= self._day_ends:
            self._day_ends = (ts // DAY_NS + 1) * DAY_NS
            for book in self.books.values():
                book.day_start = book.equity

    def mark(self, book: Book, symbol: str, price: float) -> Holding:
        """Value a book's position at a price; returns the position, an empty one where there is none."""
        position = book.positions.get(symbol)
        if position is None:
            position = book.positions[symbol] = Holding()
        if position.mark != price:
            self._place(book, symbol, position, position.lots, price, self._rules[symbol])
            self._revalue(book)
        return position


def _check(measure: float, limit: float) -> tuple[int, float, float]:
    if measure <= limit or _at_most(measure, limit):
        return PASS, measure, limit
    return (BREACH if math.isfinite(measure) else UNKNOWN), measure, limit


def _nearest(
    measure: float, limit: float, other_measure: float, other_limit: float
) -> tuple[int, float, float]:
    """Of two checks in one gate, the worse one; of equals the one nearer its limit."""
    one, other = _check(measure, limit), _check(other_measure, other_limit)
    if other[0] != one[0]:
        return other if other[0] > one[0] else one
    part, whole = (measure, limit) if limit > 0 else (0.0, 1.0)
    return other if other_limit > 0 and other_measure * whole > part * other_limit else one


def _at_most(measure: float, limit: float) -> bool:
    """Whether the limit holds; numbers within 2**-48 of each other are equal."""
    return measure <= limit or measure - limit <= TOLERANCE * max(abs(measure), abs(limit))


def _up(amount: float) -> float:
    """Money in whole quanta, rounded up; unknown where it is too large to be counted."""
    value = amount * QUANTA
    if not abs(value) <= COUNTABLE:
        return NAN
    nearest = float(round(value))
    if abs(value - nearest) <= TOLERANCE * abs(value):
        return nearest
    return float(math.ceil(value))


def _down(amount: float) -> float:
    """Money in whole quanta, rounded down; unknown where it is too large to be counted."""
    value = amount * QUANTA
    if not abs(value) <= COUNTABLE:
        return NAN
    nearest = float(round(value))
    if abs(value - nearest) <= TOLERANCE * abs(value):
        return nearest
    return float(math.floor(value))


def _code(gate: int) -> str:
    return GATES[gate].replace("-", "_").upper()
