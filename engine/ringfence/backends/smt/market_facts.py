"""How the fields of market data hang together: more that is true of every order, for claims about them.

As the reference computes them (`backends/reference/inputs.py`). A price is usable where it is known and
above zero; what is computed from prices is known where they are usable (but for prices above 8e307, whose
sum is no float64).
"""

from collections.abc import Iterator

from ringfence.backends.smt.abstract import AbstractInputs
from ringfence.backends.smt.inputs import Reading, Size
from ringfence.backends.smt.terms import (
    Expr,
    Term,
    both,
    compare,
    either,
    opposite,
    plus,
    real,
    times,
)

__all__ = ["market_facts"]

_HALF = 0.5
_QUOTES = ("bid", "ask", "last")


def market_facts(inputs: AbstractInputs) -> list[Expr]:
    """What is true of the market's fields among those that were read; reads prices that they rest on."""
    read = {key.name for key in inputs.terms if key.name.startswith("market.")}
    if not read & {
        f"market.{each}" for each in ("crossed", "mid", "mark", "spread", "completeness")
    }:
        return []
    quotes = {name: _field(inputs, f"market.{name}") for name in _QUOTES}
    facts = list(_whole(inputs, quotes))
    bid, ask = quotes["bid"], quotes["ask"]
    two_sided = both(_usable(bid), _usable(ask))
    crossed = both(two_sided, opposite(compare(bid.value, ask.value)))
    if "market.crossed" in read:
        facts += _same(_field(inputs, "market.crossed").value, crossed)
    if "market.mid" in read:
        middle = _field(inputs, "market.mid")
        facts += _same(middle.known, two_sided)
        half = times(real(_HALF), plus(bid.value, ask.value))
        facts.append(either(opposite(middle.known), middle.value == half))
    if "market.spread" in read:
        spread = _field(inputs, "market.spread")
        # The middle of two usable prices is above zero; whether bid or ask are sane beyond it says the sign.
        facts.append(either(opposite(two_sided), spread.known))
        below = compare(real(0), spread.value)
        facts.append(either(opposite(both(spread.known, two_sided)), either(below, crossed)))
    if "market.mark" in read:
        there = either(both(two_sided, opposite(crossed)), _usable(quotes["last"]))
        facts.append(either(opposite(there), _usable(_field(inputs, "market.mark"))))
    return facts


def _whole(inputs: AbstractInputs, quotes: dict[str, Term]) -> Iterator[Expr]:
    """A share above all but one of the fields means that each of them is usable."""
    for key, term in list(inputs.terms.items()):
        if key.name != "market.completeness":
            continue
        required = key.uses[0]
        all_but_one = real((len(required) - 1) / len(required) + 1e-9)
        every = both(*(_usable(quotes[name]) for name in required if name in quotes))
        yield either(opposite(term.known), compare(term.value, all_but_one), every)


def _usable(price: Term) -> Expr:
    return both(price.known, opposite(compare(price.value, real(0))))


def _same(one: Expr, other: Expr) -> list[Expr]:
    return [either(opposite(one), other), either(one, opposite(other))]


def _field(inputs: AbstractInputs, name: str) -> Term:
    return inputs.read(name, Reading("account", {}, float("inf"), Size.ASKED))
