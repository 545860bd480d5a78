"""The input fields of one scene's states: as the reference computes them, in whole lots and exact money."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import z3

from ringfence.backends.smt.inputs import Reading, Size, used_values
from ringfence.backends.smt.scene import Held
from ringfence.backends.smt.state import (
    BookState,
    Holding,
    State,
    absolute,
    in_money,
    quanta,
    total,
    where,
)
from ringfence.backends.smt.state_readers import READERS
from ringfence.backends.smt.terms import (
    FALSE,
    TRUE,
    UNKNOWN,
    Expr,
    Term,
    at_most,
    both,
    choose,
    compare,
    either,
    largest,
    minus,
    opposite,
    plus,
    quotient,
    real,
    smallest,
    times,
)
from ringfence.language.fields import FIELDS
from ringfence.language.tickets import usable

__all__ = ["StateInputs"]

_BOOLEAN = Term(FALSE, FALSE)


@dataclass(slots=True)
class StateInputs:
    """Reads fields of a state, as `Inputs` of every state in its scene."""

    state: State
    memo: dict[Any, Any] = field(default_factory=dict)
    """What was built before: gates read the same fields, and are asked about more than once."""

    def read(self, name: str, reading: Reading) -> Term:
        """As `Inputs.read`."""
        values = used_values(name, reading.params)
        if values is None:
            return _BOOLEAN if FIELDS[name].unit.kind == "boolean" else UNKNOWN
        key = (name, reading.level, reading.size, values, reading.max_age)
        found = self.memo.get(key)
        if found is None:
            found = READERS[name](self, reading, reading.params)
            if FIELDS[name].portfolio:
                found = self._portfolio(found, reading)
            self.memo[key] = found
        return found

    def axioms(self) -> list[Expr]:
        """As `Inputs.axioms`."""
        return self.state.sound()

    def too_small(self, size: Size) -> Expr:
        """As `Inputs.too_small`."""
        scene, lots = self.state.scene, z3.ToReal(self.state.lots[size])
        least = Fraction(scene.instrument.min_size or scene.instrument.lot_step)
        amount = times(real(Fraction(scene.instrument.lot_step)), lots)
        floor = real(scene.instrument.min_notional)

        def worth(side: int) -> Expr:
            price = scene.valuation(side)
            each = price * scene.instrument.multiplier if math.isfinite(price) else 0.0
            return opposite(at_most(floor, times(real(each), amount)))

        return either(opposite(compare(real(least), amount)), self.state.by_side(worth))

    def _portfolio(self, term: Term, reading: Reading) -> Term:
        key = ("fresh", reading.level, reading.max_age)
        if key not in self.memo:
            book = self.state.books[reading.level]
            self.memo[key] = both(book.exists, opposite(self.stale(reading)))
        return Term(both(term.known, self.memo[key]), term.value)

    def stale(self, reading: Reading) -> Expr:
        """Whether a held symbol has no mark, or one that is too old."""
        book, limit = self.state.books[reading.level], reading.max_age
        found = [
            both(book.own.held, self._old(self._own_mark(reading.level), self.state.age, limit))
        ]
        found += [
            both(holding.held, self._old(each.mark, self.state.ages[each.symbol], limit))
            for each, holding in book.others
        ]
        return either(*found)

    @staticmethod
    def _old(mark: float, age: Term, max_age: float) -> Expr:
        if not usable(mark):
            return TRUE
        if not math.isfinite(max_age):
            return FALSE
        return opposite(both(age.known, compare(age.value, real(max_age))))

    def _own_mark(self, level: str) -> float:
        return self.state.scene.marks[level]

    # The order

    def closing_lots(self, book: BookState) -> Expr:
        """Lots of this side that only close."""
        held = book.own
        against = z3.If(self.state.buy, held.lots < 0, held.lots > 0)
        working = z3.If(self.state.buy, held.buys, held.sells)
        size = z3.If(held.lots >= 0, held.lots, -held.lots)
        return z3.If(both(book.exists, against, size > working), size - working, 0)

    def risk_reducing(self, reading: Reading) -> Expr:
        """The only possible result is a smaller position."""
        book = self.state.books[reading.level]
        return self.state.lots[reading.size] <= self.closing_lots(book)

    def full_close(self, reading: Reading) -> Expr:
        """The order closes the whole position."""
        held = self.state.books[reading.level].own.lots
        lots = self.state.lots[reading.size]
        return both(self.risk_reducing(reading), either(held == lots, held == -lots))

    def notional(self, size: Size) -> Term:
        """Size times valuation price, in money."""
        scene = self.state.scene

        def worth(side: int) -> Term:
            value = scene.valuation(side) * scene.instrument.lot_multiplier
            return quanta(self.state.lots[size], value)

        return in_money(self.by_side(worth))

    def by_side(self, value: Callable[[int], Term]) -> Term:
        """A term that differs for buys (+1) and sells (-1)."""
        buy, sell = value(1), value(-1)
        return Term(
            choose(self.state.buy, buy.known, sell.known),
            choose(self.state.buy, buy.value, sell.value),
        )

    def recent(self, window: Any, matches: Callable[[Any], bool]) -> Term:
        """Earlier orders within the window."""
        if window is None or not math.isfinite(window):
            return UNKNOWN
        counts = [
            z3.ToReal(number)
            for past, number in zip(self.state.scene.past, self.state.past, strict=True)
            if past.age < window and matches(past)
        ]
        amount = real(0)
        for each in counts:
            amount = plus(amount, each)
        return Term(TRUE, amount)

    # The market

    def depth(self) -> Term:
        """Size on the side that the order would take."""
        return self.by_side(lambda side: self.state.ask_depth if side > 0 else self.state.bid_depth)

    def completeness(self, required: tuple[str, ...]) -> Term:
        """Share of the required fields that are there, never above what the feed says."""
        state, share = self.state, real(0)
        free = {"bid_depth": state.bid_depth, "ask_depth": state.ask_depth, "volume": state.volume}
        for name in required:
            if name in free:
                there = both(free[name].known, opposite(compare(free[name].value, real(0))))
                share = plus(share, choose(there, real(1), real(0)))
            else:
                share = plus(share, real(1 if usable(getattr(state.scene.market, name)) else 0))
        share = quotient(share, real(len(required)))
        said = state.completeness
        return Term(TRUE, choose(said.known, smallest([share, said.value]), share))

    # The book

    def position_after(self, reading: Reading, working: str) -> Term:
        """Exposure in the order's symbol, in quanta."""
        key = ("position", reading.level, reading.size, working)
        if key in self.memo:
            known: Term = self.memo[key]
            return known
        state, scene = self.state, self.state.scene
        held = state.books[reading.level].own
        buy, sell = state.order_lots(reading.size)
        before, after = held.worst_lots(working), held.worst_lots(working, buy, sell)
        unit = scene.instrument.lot_multiplier
        existing = quanta(before, self._own_mark(reading.level) * unit)
        more = self.by_side(
            lambda side: quanta(after - before, scene.increase_price(reading.level, side) * unit)
        )
        self.memo[key] = total([existing, more])
        return self.position_after(reading, working)

    def exposure_after(self, reading: Reading, working: str) -> Term:
        """Exposure in all symbols, in quanta."""
        book = self.state.books[reading.level]
        others = [quanta(held.worst_lots(working), each.lot_value) for each, held in book.others]
        return total([self.position_after(reading, working), *others, _fillers(book)])

    def net_exposure_after(self, reading: Reading, working: str) -> Term:
        """Absolute net exposure, in quanta."""
        state, scene = self.state, self.state.scene
        book = state.books[reading.level]
        unit = scene.instrument.lot_multiplier
        everything = [(self._own_mark(reading.level) * unit, book.own)]
        everything += [(each.lot_value, held) for each, held in book.others]
        order = self.by_side(
            lambda side: quanta(
                state.lots[reading.size], scene.increase_price(reading.level, side) * unit
            )
        )
        net = total(
            [*(quanta(held.lots, worth, up=False) for worth, held in everything), _fillers(book)]
        )
        up = total(
            [*(quanta(held.buys, worth) for worth, held in everything), where(state.buy, order)]
        )
        down = total(
            [
                *(quanta(held.sells, worth) for worth, held in everything),
                where(opposite(state.buy), order),
            ]
        )
        known = both(net.known, up.known, down.known)
        if working == "gross":
            long = largest([net.value, real(0)])
            short = largest([times(real(-1), net.value), real(0)])
            amount = largest([plus(long, up.value), plus(short, down.value)])
        else:
            amount = largest(
                [absolute(plus(net.value, up.value)), absolute(minus(net.value, down.value))]
            )
        return Term(known, amount)

    def correlated_after(self, reading: Reading, threshold: float, observations: float) -> Term:
        """Exposure over the symbols that move with the order's, in quanta."""
        parts = [self.position_after(reading, "worst-case")]
        for each, held in self.state.books[reading.level].others:
            turn = _moves_with(each, threshold, observations)
            if turn:
                parts.append(self.by_side(lambda side, e=each, h=held, t=turn: _one_sided(e, h, side * t)))  # type: ignore[misc]  # bound here, not when it is called
        return total(parts)

    def positions_after(self, reading: Reading) -> Term:
        """Symbols with a position, or with orders that would open one."""
        book = self.state.books[reading.level]
        buy, sell = self.state.order_lots(reading.size)
        worst = [book.own.worst_lots("worst-case", buy, sell)]
        worst += [held.worst_lots("worst-case") for _, held in book.others]
        amount = z3.ToReal(book.fillers)
        for each in worst:
            amount = amount + z3.If(each > 0, real(1), real(0))
        return Term(book.exists, amount)

    def open_orders(self, reading: Reading, *, symbol_only: bool) -> Term:
        """Working orders, this one included."""
        book = self.state.books[reading.level]
        count = book.own.orders + 1
        if not symbol_only:
            for _, held in book.others:
                count = count + held.orders
        return Term(book.exists, z3.ToReal(count))

    def day_start(self, reading: Reading, basis: str) -> Term:
        """What the day started from."""
        book = self.state.books[reading.level]
        if basis == "balance":
            return Term(both(book.exists, book.balance.known), book.balance.value)
        if basis == "max":
            known = both(book.exists, book.start.known, book.balance.known)
            return Term(known, largest([book.start.value, book.balance.value]))
        return Term(both(book.exists, book.start.known), book.start.value)

    def day_loss(self, reading: Reading, basis: str) -> Term:
        """The day's loss, never below zero."""
        book, start = self.state.books[reading.level], self.day_start(reading, basis)
        known = both(start.known, book.equity.known, book.deposits.known)
        loss = minus(start.value, minus(book.equity.value, book.deposits.value))
        return Term(known, largest([real(0), loss]))

    def day_loss_ratio(self, reading: Reading, basis: str) -> Term:
        """The day's loss as a share of its start."""
        start, loss = self.day_start(reading, basis), self.day_loss(reading, basis)
        known = both(loss.known, opposite(compare(start.value, real(0))))
        return Term(known, quotient(loss.value, start.value))

    def drawdown(self, reading: Reading) -> Term:
        """The fall from the peak, as a share of it."""
        book = self.state.books[reading.level]
        peak, equity = book.peak, book.equity
        known = both(peak.known, equity.known, opposite(compare(peak.value, real(0))))
        return Term(
            known, largest([real(0), quotient(minus(peak.value, equity.value), peak.value)])
        )


def _fillers(book: BookState) -> Term:
    """Fillers are held with one quantum each."""
    return Term(TRUE, z3.ToReal(book.fillers))


def _moves_with(held: Held, threshold: float, observations: float) -> int:
    """+1 where the symbol moves with the order's, -1 where against it, 0 where neither."""
    rho = held.rho
    if not held.observations >= observations or not math.isfinite(rho):
        rho = 1.0
    if rho >= threshold:
        return 1
    return -1 if -rho >= threshold else 0


def _one_sided(each: Held, held: Holding, side: int) -> Term:
    lots = held.lots + held.buys if side > 0 else held.sells - held.lots
    return quanta(z3.If(lots > 0, lots, 0), each.lot_value)
