"""One scene's variables: the order's lots, books in whole lots, capital, market data, switches."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import z3

from ringfence.backends.smt.inputs import Size
from ringfence.backends.smt.scene import LEVELS, Capital, Held, Scene
from ringfence.backends.smt.terms import (
    TRUE,
    Expr,
    Term,
    both,
    choose,
    compare,
    either,
    largest,
    magnitude,
    opposite,
    plus,
    real,
    times,
    truth,
)

__all__ = ["BookState", "Holding", "State", "quanta"]

QUANTA = 10**6
COUNTABLE = 2**53
_PIECES = Fraction(1, QUANTA)
_NEAR = Fraction(1, 2**48)
CENTS = 100
_THOUSANDTH, _SHARE = Fraction(1, 1000), Fraction(1, 10_000)


@dataclass(slots=True)
class Holding:
    """One symbol in a book; `lots` are signed, `orders` count the working ones."""

    lots: Expr
    buys: Expr
    sells: Expr
    buy_orders: Expr
    sell_orders: Expr

    @classmethod
    def named(cls, name: str) -> "Holding":
        """Fresh variables."""
        parts = ("lots", "buys", "sells", "buy orders", "sell orders")
        return cls(*(z3.Int(f"{name} {part}") for part in parts))

    @property
    def orders(self) -> Expr:
        """Working orders."""
        return self.buy_orders + self.sell_orders

    @property
    def held(self) -> Expr:
        """Whether anything is held or works."""
        return either(self.lots != 0, self.buys != 0, self.sells != 0)

    def worst_lots(self, working: str, buy: Expr | None = None, sell: Expr | None = None) -> Expr:
        """Largest position in lots that working orders, and more of them, can lead to."""
        up = self.buys if buy is None else self.buys + buy
        down = self.sells if sell is None else self.sells + sell
        if working == "gross":
            long, short = z3.If(self.lots > 0, self.lots, 0), z3.If(self.lots < 0, -self.lots, 0)
            return largest([long + up, short + down])
        return largest([_absolute(self.lots + up), _absolute(self.lots - down)])

    def sound(self) -> list[Expr]:
        """Working orders have lots, one each at least."""
        facts = []
        for lots, orders in ((self.buys, self.buy_orders), (self.sells, self.sell_orders)):
            facts += [orders >= 0, lots >= orders, z3.Implies(orders == 0, lots == 0)]
        return facts


@dataclass(slots=True)
class BookState:
    """One level's book: is there one, its capital, what it holds."""

    exists: Expr
    equity: Term
    deposits: Term
    start: Term
    balance: Term
    peak: Term
    own: Holding
    others: list[tuple[Held, Holding]]
    fillers: Expr
    picks: dict[str, Expr]
    cents: dict[str, Expr]


@dataclass(slots=True)
class State:
    """All variables of a scene."""

    scene: Scene
    buy: Expr = field(default_factory=lambda: z3.Bool("order buys"))
    reduce_only: Expr = field(default_factory=lambda: z3.Bool("order reduce only"))
    lots: dict[Size, Expr] = field(default_factory=dict)
    age: Term = field(default_factory=lambda: _maybe("market age", _THOUSANDTH))
    completeness: Term = field(default_factory=lambda: _maybe("market completeness", _SHARE))
    bid_depth: Term = field(default_factory=lambda: _maybe("market bid depth", _THOUSANDTH))
    ask_depth: Term = field(default_factory=lambda: _maybe("market ask depth", _THOUSANDTH))
    volume: Term = field(default_factory=lambda: _maybe("market volume", _THOUSANDTH))
    kill: Expr = field(default_factory=lambda: z3.Int("kill state"))
    past: list[Expr] = field(default_factory=list)
    ages: dict[str, Term] = field(default_factory=dict)
    books: dict[str, BookState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lots = {size: z3.Int(f"lots {size}") for size in Size}
        self.past = [z3.Int(f"past {place}") for place in range(len(self.scene.past))]
        for level in LEVELS:
            held = self.scene.others[level]
            self.books[level] = _book(level, held, self.scene.capital[level])
            for each in held:
                self.ages.setdefault(each.symbol, _maybe(f"age of {each.symbol}", _THOUSANDTH))

    def by_side(self, value: Callable[[int], Expr]) -> Expr:
        """A value that differs for buys (+1) and sells (-1)."""
        return choose(self.buy, value(1), value(-1))

    def order_lots(self, size: Size) -> tuple[Expr, Expr]:
        """The order's lots as buys and as sells."""
        lots = self.lots[size]
        return z3.If(self.buy, lots, 0), z3.If(self.buy, 0, lots)

    def sound(self) -> list[Expr]:
        """What holds of every state: nothing contradicts itself."""
        given, following, more, asked = (self.lots[size] for size in Size)
        facts = [
            *(given >= 1, following == given + 1, more > given, more <= asked, following <= asked),
            *(self.kill >= 0, self.kill <= 2),
            *(each >= 0 for each in self.past),
            *(each.value >= 0 for each in (self.bid_depth, self.ask_depth, self.volume)),
        ]
        for book in self.books.values():
            for holding in (book.own, *(each for _, each in book.others)):
                facts += holding.sound()
            facts += [book.fillers >= 0, book.fillers <= self.scene.fillers]
        return facts


def quanta(lots: Expr, value: float, up: bool = True) -> Term:
    """Money of whole lots in quanta, rounded up or down; unknown past what float64 counts one by one.

    The worth of one lot is taken for the round number within 2**-48 of it, where there is one: the
    reference does so with their product.
    """
    if not math.isfinite(value):
        return Term(lots == 0, real(0))
    exact = Fraction(value) * QUANTA
    round_one = exact.limit_denominator(QUANTA)
    if abs(exact - round_one) <= _NEAR * abs(exact):
        exact = round_one
    number = z3.ToReal(lots)
    if exact.denominator == 1:
        amount = times(real(exact), number)
    elif up:
        amount = -z3.ToReal(z3.ToInt(-times(real(exact), number)))
    else:
        amount = z3.ToReal(z3.ToInt(times(real(exact), number)))
    return Term(both(compare(amount, real(COUNTABLE)), compare(real(-COUNTABLE), amount)), amount)


def in_money(term: Term) -> Term:
    """Quanta as money."""
    return Term(term.known, times(real(_PIECES), term.value))


def counted(term: Term) -> Term:
    """A sum of quanta as money; unknown where it is too large to be exact."""
    return in_money(Term(both(term.known, compare(term.value, real(COUNTABLE))), term.value))


def total(parts: Sequence[Term]) -> Term:
    """The sum; unknown where a part is."""
    amount = real(0)
    for each in parts:
        amount = plus(amount, each.value)
    return Term(both(*(each.known for each in parts)), amount)


def where(test: Expr, term: Term) -> Term:
    """The term where `test` holds, and zero otherwise."""
    return Term(either(opposite(test), term.known), choose(test, term.value, real(0)))


def absolute(value: Expr) -> Expr:
    """A real without its sign."""
    return magnitude(value)


def _absolute(lots: Expr) -> Expr:
    return z3.If(lots >= 0, lots, -lots)


def _maybe(name: str, step: Fraction) -> Term:
    """A number that may be unknown, in whole steps, so that models are round."""
    return Term(z3.Bool(f"{name} known"), times(real(step), z3.ToReal(z3.Int(name))))


def _picked(name: str, among: tuple[float, ...]) -> tuple[Term, Expr]:
    """One of several numbers, NaN for unknown; and the variable that picks it."""
    place = z3.Int(f"{name} pick")
    known, value = truth(math.isfinite(among[-1])), _number(among[-1])
    for index, each in reversed(list(enumerate(among[:-1]))):
        known = choose(place == index, truth(math.isfinite(each)), known)
        value = choose(place == index, _number(each), value)
    return Term(known, value), place


def _number(value: float) -> Expr:
    return real(value) if math.isfinite(value) else real(0)


def _book(level: str, held: tuple[Held, ...], capital: Capital) -> BookState:
    start, start_pick = _picked(f"{level} start", capital.starts)
    balance, balance_pick = _picked(f"{level} balance", capital.balances)
    peak, peak_pick = _picked(f"{level} peak", capital.peaks)
    cents = {name: z3.Int(f"{level} {name} in cents") for name in ("equity", "deposits")}
    equity, deposits = (times(real(Fraction(1, CENTS)), z3.ToReal(each)) for each in cents.values())
    return BookState(
        exists=z3.Bool(f"{level} book exists"),
        equity=Term(z3.Bool(f"{level} equity known"), equity),
        deposits=Term(TRUE, deposits),
        start=start,
        balance=balance,
        peak=peak,
        own=Holding.named(f"{level} own"),
        others=[(each, Holding.named(f"{level} {each.symbol}")) for each in held],
        fillers=z3.Int(f"{level} fillers"),
        picks={"start": start_pick, "balance": balance_pick, "peak": peak_pick},
        cents=cents,
    )
