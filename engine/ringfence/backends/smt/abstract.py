"""All states at once: each field a free variable, bound only by what is true of every order and book.

There are more states here than in the world: what holds here holds there. What does not hold here may
still hold there, which is for `world` to find out. The axioms are held against the reference interpreter
by a property test; each states why it is true.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import z3

from ringfence.backends.smt.inputs import BY_LEVEL, BY_SIZE, Reading, Size, used_values
from ringfence.backends.smt.terms import (
    FALSE,
    TRUE,
    UNKNOWN,
    Expr,
    Term,
    at_most,
    both,
    either,
    opposite,
    real,
)
from ringfence.language.fields import FIELDS, MESSAGES

__all__ = ["AbstractInputs", "Key"]

_WHOLE = ("count", "state", "choice")
# What the reference reads raw, negative where the feed is, or what a hostile feed makes so.
_ANY_SIGN = frozenset(("market.bid", "market.ask", "market.last", "market.completeness"))
_ALWAYS_KNOWN = frozenset(
    ("control.kill_state", "order.size", "order.type", "order.valuation_price")
) | {name for name in FIELDS if name.startswith("instrument.")}
_OF_SYMBOL = "order.symbol_messages"
_LOOKING_BACK = ("order.duplicates", *MESSAGES)
_PLACES = {size: place for place, size in enumerate(Size)}


@dataclass(frozen=True, slots=True)
class Key:
    """One variable: a field, of one level's book, computed with some parameters, at one size."""

    name: str
    level: str
    uses: tuple[Any, ...]
    size: str


@dataclass(slots=True)
class AbstractInputs:
    """Free variables for fields, made as they are read."""

    permitted: dict[tuple[Any, ...], bool] = field(default_factory=dict)
    """Whether the symbol is permitted, by the values of `allow` and `deny`, where the symbol is known."""
    terms: dict[Key, Term] = field(default_factory=dict)
    ages: set[tuple[str, float]] = field(default_factory=set)
    small: set[Size] = field(default_factory=set)
    memo: dict[Any, Any] = field(default_factory=dict)

    def read(self, name: str, reading: Reading) -> Term:
        """As `Inputs.read`."""
        if name == "order.on_lot_step":
            return Term(TRUE, TRUE)
        key = self.key(name, reading)
        if key is None:
            return Term(FALSE, FALSE) if FIELDS[name].unit.kind == "boolean" else UNKNOWN
        if name == "order.permitted" and key.uses in self.permitted:
            return Term(TRUE, TRUE if self.permitted[key.uses] else FALSE)
        term = self._term(key)
        if not FIELDS[name].portfolio:
            return term
        self.ages.add((reading.level, reading.max_age))
        return Term(both(term.known, self._fresh(reading.level, reading.max_age)), term.value)

    @staticmethod
    def key(name: str, reading: Reading) -> Key | None:
        """The variable of a field; None where it is unknown for want of a parameter."""
        uses = used_values(name, reading.params)
        if uses is None or (name in _LOOKING_BACK and uses[0] is None):
            return None
        level = reading.level if name in BY_LEVEL else ""
        return Key(name, level, uses, reading.size if name in BY_SIZE else "")

    def too_small(self, size: Size) -> Expr:
        """As `Inputs.too_small`; the axioms say what it rules out."""
        self.small.add(size)
        return z3.Bool(f"too_small@{size}")

    def _term(self, key: Key) -> Term:
        found = self.terms.get(key)
        if found is None:
            label = "|".join((key.name, key.level, repr(key.uses), key.size))
            kind = FIELDS[key.name].unit.kind
            if kind == "boolean":
                found = Term(TRUE, z3.Bool(label))
            else:
                known = TRUE if key.name in _ALWAYS_KNOWN else z3.Bool(f"known {label}")
                value = z3.ToReal(z3.Int(label)) if kind in _WHOLE else z3.Real(label)
                found = Term(known, value)
            self.terms[key] = found
        return found

    def _fresh(self, level: str, max_age: float) -> Expr:
        return z3.Bool(f"fresh {level} {max_age!r}")

    # Axioms

    def axioms(self) -> list[Expr]:
        """As `Inputs.axioms`. Reads what they speak of beside the fields that were read."""
        for size in self.small:
            for name in ("order.size", "order.notional", "instrument.min_size"):
                self._field(name, size=size)
            self._field("instrument.min_notional")
        keys = list(self.terms)
        facts = [
            either(opposite(self.terms[key].known), fact)
            for key in keys
            for fact in self._alone(key, self.terms[key].value)
        ]
        facts += [fact for pair in itertools.permutations(keys, 2) for fact in self._pair(*pair)]
        facts += self._freshness()
        facts += [fact for size in self.small for fact in self._not_too_small(size)]
        return facts

    def _field(self, name: str, size: str = "") -> Term:
        return self._term(Key(name, "", (), size if name in BY_SIZE else ""))

    def _alone(self, key: Key, value: Expr) -> Iterator[Expr]:
        """What holds of one known value."""
        name = key.name
        if FIELDS[name].nonnegative and name not in _ANY_SIGN:
            yield real(0) <= value
        match name:
            case "control.kill_state":
                yield value <= 2
            case "order.type":
                yield both(value >= 0, value <= 3)
            case "order.valuation_price" | "order.price" | "order.size" | "instrument.lot_step":
                # A ticket without them, or with a price below, is refused before any gate counts.
                yield value > 0
            case "market.completeness":
                yield value <= 1
            case _ if FIELDS[name].counts_order:
                # The order itself counts.
                yield value >= 1
            case "book.positions_after":
                # One lot or more either way leaves the order's own symbol with some worst case.
                yield value >= 1

    def _pair(self, one: Key, other: Key) -> Iterator[Expr]:
        """What holds of two variables, in this order."""
        first, second = self.terms[one], self.terms[other]
        if one.name == other.name:
            yield from self._same_field(one, other, first, second)
        if one.level == other.level and one.size == other.size:
            yield from self._same_book(one, other, first, second)
        names = (one.name, other.name)
        if names == ("order.price", "order.valuation_price"):
            # A stop is valued at its trigger price, any other order at its limit or above.
            yield either(opposite(first.known), first.value <= second.value)
        elif names == ("order.type", "order.price"):
            # Only a market order (1) has no price.
            yield either(second.known, first.value == 1)
        elif names == ("instrument.lot_step", "order.size"):
            yield first.value <= second.value
        elif (
            one.name == "order.duplicates"
            and other.name in MESSAGES
            and other.level != "strategy"
            and one.uses[0] <= other.uses[0]
        ):
            # Equal orders are of the same account and symbol, and this one counts as well.
            yield _rises(Term(first.known, first.value + 1), second)
        elif one.name in MESSAGES and other.name in MESSAGES and _counts_no_more(one, other):
            yield _rises(first, second)

    def _same_field(self, one: Key, other: Key, first: Term, second: Term) -> Iterator[Expr]:
        if (one.level, one.uses) == (other.level, other.uses):
            if one.size != other.size and _PLACES[Size(one.size)] < _PLACES[Size(other.size)]:
                yield from _grown(one, first, second)
            return
        if one.size != other.size:
            return
        match one.name:
            case "order.duplicates" if one.uses[0] <= other.uses[0]:
                yield _rises(first, second)
            case "order.price_deviation" if one.uses[0] == other.uses[0]:
                # The farthest of more quotes; it is unknown where one of them cannot be divided by.
                if _width(one.uses[1]) <= _width(other.uses[1]):
                    yield _rises(first, second)
            case "market.completeness" if set(other.uses[0]) <= set(one.uses[0]):
                # All of more fields present means all of fewer.
                yield either(opposite(both(first.known, first.value >= 1)), second.value >= 1)
            case "order.permitted" if set(one.uses[0]) <= set(other.uses[0]) and set(
                other.uses[1]
            ) <= set(one.uses[1]):
                yield either(opposite(first.value), second.value)
            case "book.correlated_after" if one.level == other.level:
                # A lower threshold counts more symbols; thresholds are never below zero.
                if one.uses[0] >= other.uses[0] and one.uses[1] == other.uses[1]:
                    yield _rises(first, second)
            case "book.day_loss" | "book.day_start_equity" if one.level == other.level:
                # `max` starts from the larger of both.
                if other.uses[0] == "max":
                    yield _rises(first, second)

    def _same_book(self, one: Key, other: Key, first: Term, second: Term) -> Iterator[Expr]:
        match one.name, other.name:
            case "order.full_close", "order.risk_reducing":
                yield either(opposite(first.value), second.value)
            case "book.position_after", "book.exposure_after" if one.uses == other.uses:
                yield _rises(first, second)
            case "book.position_after", "book.correlated_after" if one.uses == ("worst-case",):
                yield _rises(first, second)
            case "book.correlated_after", "book.exposure_after" if other.uses == ("worst-case",):
                # One side of a symbol is never more than its worst case.
                yield _rises(first, second)
            case "book.open_orders_symbol_after", "book.open_orders_after":
                yield _rises(first, second)
            case "book.day_start_equity", "book.day_loss_ratio" if one.uses == other.uses:
                yield either(opposite(second.known), both(first.known, first.value > 0))
            case "book.day_loss", "book.day_loss_ratio" if one.uses == other.uses:
                yield either(opposite(second.known), first.known)
                yield either(opposite(both(second.known, first.value == 0)), second.value == 0)

    def _freshness(self) -> Iterator[Expr]:
        for level, age in self.ages:
            for other, more in self.ages:
                if level == other and age < more:
                    # A mark that is young enough for the one is so for the other.
                    yield either(opposite(self._fresh(level, age)), self._fresh(level, more))

    def _not_too_small(self, size: Size) -> Iterator[Expr]:
        fits = opposite(z3.Bool(f"too_small@{size}"))
        notional = self._field("order.notional", size)
        least, floor = self._field("instrument.min_size"), self._field("instrument.min_notional")
        enough = both(
            at_most(least.value, self._field("order.size", size).value),
            either(opposite(notional.known), at_most(floor.value, notional.value)),
        )
        yield either(opposite(fits), enough)


def _grown(one: Key, first: Term, second: Term) -> Iterator[Expr]:
    """The same field at a smaller size and at a larger one."""
    if FIELDS[one.name].rises:
        yield _rises(first, second)
    if one.name == "order.risk_reducing":
        yield either(opposite(second.value), first.value)
    if one.name == "order.full_close" and _strict(one.size):
        # One size alone closes the whole position.
        yield opposite(both(first.value, second.value))
    if one.name == "order.size" and _strict(one.size):
        yield first.value < second.value


def _width(window: float | None) -> float:
    """A window's length; without one no earlier quote counts, and with one of 0 s one of that age does."""
    return -1.0 if window is None else window


def _strict(one: str) -> bool:
    """Whether the second size is always the larger one; the last three may be equal."""
    return one == Size.GIVEN


def _counts_no_more(one: Key, other: Key) -> bool:
    """Whether every message that `one` counts is one that `other` counts."""
    return (
        # A longer window, or the whole firm, counts no fewer.
        other.level in (one.level, "firm")
        and one.uses[0] <= other.uses[0]
        and (one.name == _OF_SYMBOL or other.name != _OF_SYMBOL)
        and ("messages" in other.uses or "messages" not in one.uses)
    )


def _rises(less: Term, more: Term) -> Expr:
    """Where the second is known so is the first, which is not above it."""
    return either(opposite(more.known), both(less.known, less.value <= more.value))
