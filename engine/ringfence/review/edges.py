"""The edges of a gate as claims for the solver: at a limit, one step to either side, passing, breaching."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ringfence.backends.smt import BoundGate, Expr, Inputs, Size, both, either, opposite
from ringfence.backends.smt.gates import plain_values
from ringfence.backends.smt.terms import equal
from ringfence.language import ir
from ringfence.language.fields import FIELDS
from ringfence.language.linking import LinkedSet
from ringfence.language.rules import Check, walk
from ringfence.review.testing.items import moves
from ringfence.review.testing.written import written_limit

__all__ = ["Edge", "Place", "edges_of_check", "edges_of_gate"]

_BY_SIZE = ("order.risk_reducing", "order.full_close")
_PART = 0.01
"""The step of a limit that is not written: a default."""


class Place(StrEnum):
    """Where a case stands."""

    INSIDE = "one step inside"
    AT = "at the limit"
    OUTSIDE = "one step outside"
    PASSES = "passing"
    BREACHES = "breaching"
    EXEMPT = "only reducing risk"


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """States to look for.

    Attributes:
        check: The check whose limit it is; None where it is about the gate.
        claim: The formula. The order is asked at `Size.ASKED`.
        places: What is at the size found, and at so many lots less: `{0: OUTSIDE, 1: AT}`.
        sizes: The sizes at which the other gates should let the order pass.
    """

    check: Check | None
    claim: Callable[[Inputs], Expr]
    places: dict[int, Place]
    sizes: Sequence[Size] = (Size.ASKED,)


def edges_of_check(gate: BoundGate, check: Check, linked: LinkedSet) -> Iterator[list[Edge]]:
    """Ways to the edges of one check; of each list the first that is found will do."""
    if not moves(check):
        return
    if _with_size(check):
        yield _sized(gate, check)
        return
    measures = _Measures(gate, check, linked)
    for place in (Place.AT, Place.INSIDE, Place.OUTSIDE):
        yield [Edge(check, measures.claim(place), {0: place})]


def edges_of_gate(gate: BoundGate) -> Iterator[Edge]:
    """Passing, breaching, and exempt where the gate lets orders through that only reduce risk."""
    yield Edge(
        None,
        lambda inputs: both(
            opposite(gate.exempt(inputs, Size.ASKED)), gate.passes(inputs, Size.ASKED)
        ),
        {0: Place.PASSES},
    )
    yield Edge(
        None,
        lambda inputs: both(
            gate.judges(inputs, Size.ASKED), opposite(gate.passes(inputs, Size.ASKED))
        ),
        {0: Place.BREACHES},
    )
    if gate.gate.applies_to == "risk_increasing":
        yield Edge(None, lambda inputs: gate.exempt(inputs, Size.ASKED), {0: Place.EXEMPT})


def _with_size(check: Check) -> bool:
    """Whether one lot more may move the check."""
    return any(
        isinstance(node, ir.Field)
        and node.unit.kind != "count"
        and (FIELDS[node.name].rises or node.name in _BY_SIZE)
        for node in (*walk(check.measure), *walk(check.limit))
    )


def _sized(gate: BoundGate, check: Check) -> list[Edge]:
    """A lot less, exactly at the limit, a lot more; or at least the lot that makes the difference."""
    three = (Size.GIVEN, Size.NEXT, Size.ASKED)

    def rest(inputs: Inputs, sizes: Sequence[Size]) -> Expr:
        others = (each for each in gate.checks if each is not check)
        return both(
            opposite(gate.exempt(inputs, sizes[0])),
            *(_holds(gate, each, inputs, size) for each in others for size in sizes),
        )

    def exactly(inputs: Inputs, rising: bool) -> Expr:
        below, above = (_holds(gate, check, inputs, size) for size in (Size.GIVEN, Size.ASKED))
        if not rising:
            below, above = above, below
        measure, limit = _sides(gate, check, inputs, Size.NEXT)
        return both(
            measure.known,
            limit.known,
            measure.value == limit.value,
            below,
            opposite(above),
            _one_lot_more(gate, inputs, Size.NEXT),
            rest(inputs, three),
        )

    def nearly(inputs: Inputs, rising: bool) -> Expr:
        less, more = (_holds(gate, check, inputs, size) for size in (Size.GIVEN, Size.ASKED))
        if not rising:
            less, more = more, less
        judged = gate.judges(inputs, Size.ASKED)
        return both(
            less,
            opposite(more),
            judged,
            _one_lot_more(gate, inputs, Size.GIVEN),
            rest(inputs, (Size.GIVEN, Size.ASKED)),
        )

    return [
        Edge(
            check,
            lambda inputs: exactly(inputs, rising=True),
            {0: Place.OUTSIDE, 1: Place.AT, 2: Place.INSIDE},
            three,
        ),
        Edge(
            check,
            lambda inputs: exactly(inputs, rising=False),
            {0: Place.INSIDE, 1: Place.AT, 2: Place.OUTSIDE},
            three,
        ),
        Edge(
            check,
            lambda inputs: nearly(inputs, rising=True),
            {0: Place.OUTSIDE, 1: Place.INSIDE},
            (Size.GIVEN, Size.ASKED),
        ),
        Edge(
            check,
            lambda inputs: nearly(inputs, rising=False),
            {0: Place.INSIDE, 1: Place.OUTSIDE},
            (Size.GIVEN, Size.ASKED),
        ),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Measures:
    """A check that the size does not move: how far from its limit its measure lies."""

    gate: BoundGate
    check: Check
    linked: LinkedSet

    def claim(self, place: Place) -> Callable[[Inputs], Expr]:
        """The measure at the limit, or within one step of it."""

        def found(inputs: Inputs) -> Expr:
            gate, check = self.gate, self.check
            measure, limit = _sides(gate, check, inputs, Size.ASKED)
            others = (each for each in gate.checks if each is not check)
            facts = [
                *(measure.known, limit.known, opposite(gate.exempt(inputs, Size.ASKED))),
                *(_holds(gate, each, inputs, Size.ASKED) for each in others),
            ]
            if place is Place.AT:
                return both(*facts, equal(measure.value, limit.value))
            inside = (place is Place.INSIDE) == (check.compare == "<=")
            gap = limit.value - measure.value if inside else measure.value - limit.value
            near = [
                either(gap <= moved.value - limit.value, gap <= limit.value - moved.value)
                for moved in self._moved(inputs)
            ]
            holds = _holds(gate, check, inputs, Size.ASKED)
            wanted = holds if place is Place.INSIDE else opposite(holds)
            apart = opposite(equal(measure.value, limit.value))
            return both(*facts, apart, gap > 0, wanted, either(*near) if near else apart)

        return found

    def _moved(self, inputs: Inputs) -> Iterator[Expr]:
        """The limit with one of its numbers moved by one step."""
        named = dict.fromkeys(
            node.name for node in walk(self.check.limit) if isinstance(node, ir.Param)
        )
        for name in named:
            value = self.gate.numeric.get(name, math.nan)
            if math.isfinite(value):
                numeric = {**self.gate.numeric, name: value + self._step(name, value)}
                other = replace(self.gate, numeric=numeric)
                yield other.term(self.check.limit, inputs, Size.ASKED)

    def _step(self, name: str, value: float) -> float:
        """One unit of the last digit that is written; of a default a hundredth part, one of a count."""
        row, parameters = self.gate.row, self.gate.gate.rule.parameters
        written = written_limit(row, name)
        if written is not None:
            values, _ = parameters.read({name: written.stepped(1).value})
            if name in values:
                moved = plain_values(replace(row, values={name: values[name]}), self.linked)[name]
                if isinstance(moved, float):
                    return moved - value
        return 1.0 if parameters.parameters[name].type == "count" else _PART * value


def _sides(gate: BoundGate, check: Check, inputs: Inputs, size: Size):  # type: ignore[no-untyped-def]  # two terms
    return gate.term(check.measure, inputs, size), gate.term(check.limit, inputs, size)


def _holds(gate: BoundGate, check: Check, inputs: Inputs, size: Size) -> Expr:
    found = gate.check(check, inputs, size)
    return both(found.known, found.value)


def _one_lot_more(gate: BoundGate, inputs: Inputs, size: Size) -> Expr:
    """The size asked is one lot more than `size`; `NEXT` always is one more than `GIVEN`."""
    given, after, asked = (
        inputs.read("order.size", gate.reading(each)).value
        for each in (Size.GIVEN, Size.NEXT, Size.ASKED)
    )
    return asked == after if size is Size.GIVEN else asked - after == after - given
