"""The solver's formulas against the reference interpreter: fields, expressions, gates, axioms."""

import math
import sys
from fractions import Fraction
from typing import Any

import pytest
import z3
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from backends.pinned_states import pinned_state, value_of
from ringfence.backends.reference.decide import _book, asked_gates
from ringfence.backends.reference.inputs import Inputs
from ringfence.backends.reference.interpreter import evaluate
from ringfence.backends.smt.abstract import AbstractInputs
from ringfence.backends.smt.formula import formula
from ringfence.backends.smt.gates import bound_gates
from ringfence.backends.smt.inputs import Reading, Size
from ringfence.backends.smt.scene import LEVELS
from ringfence.backends.smt.state_inputs import StateInputs
from ringfence.backends.smt.terms import Term, constant, truth
from ringfence.language.decision import Outcome
from ringfence.language.fields import FIELDS
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Case
from ringfence.language.tickets import read_ticket
from strategies import Expression, cases, expressions, policy_sets, rule_pools

pytestmark = pytest.mark.unit

POOL = rule_pools(seed=5, count=24)
# Shrinking a whole case takes minutes; the failure names the field.
UNSHRUNK = (Phase.explicit, Phase.generate)
NEAR = Fraction(1, 2**40)
PARAMS: list[dict[str, Any]] = [
    {
        "allow": ("*/USD",),
        "deny": ("XRP/*",),
        "reference": reference,
        "window": window,
        "counts": "messages" if window else "orders",
        "required": required,
        "basis": basis,
        "working": working,
        "threshold": threshold,
        "min_observations": observations,
    }
    for reference, window, required, basis, working, threshold, observations in (
        ("mid", 5.0, ("bid", "ask", "last"), "equity", "worst-case", 0.7, 30.0),
        ("last", 0.0, ("mark", "bid_depth"), "balance", "gross", 0.0, 500.0),
        ("mark", 3600.0, ("volume", "ask_depth"), "max", "worst-case", 1.0, 0.0),
    )
]


@st.composite
def questions(draw: Any) -> tuple[LinkedSet, Case]:
    first = draw(st.integers(0, len(POOL) // 6 - 1)) * 6
    return draw(policy_sets(POOL[first : first + 6])), draw(cases())


def same(found: float | Fraction, expected: float) -> bool:
    """Equal but for the rounding of float64, and for its end, past which a number is infinite."""
    if isinstance(found, Fraction) and abs(found) > Fraction(sys.float_info.max):
        found = math.nan
    if math.isnan(found) or not math.isfinite(expected):
        return math.isnan(found) and not math.isfinite(expected)
    exact = Fraction(expected)
    return abs(Fraction(found) - exact) <= NEAR * max(abs(exact), Fraction(1, 10**9))


@settings(max_examples=40, phases=UNSHRUNK)
@given(questions(), st.sampled_from(PARAMS), st.sampled_from([math.inf, 5.0, 0.5]))
def test_every_field_of_a_state_is_what_the_reference_reads(
    question: tuple[LinkedSet, Case], params: dict[str, Any], max_age: float
) -> None:
    linked, case = question
    ticket, refusal = read_ticket(case, linked)
    assume(ticket is not None and refusal is None)
    assert ticket is not None
    inputs = StateInputs(pinned_state(linked, case, ticket))

    for level in ("account", "strategy", "firm"):
        reference = Inputs(case, ticket, level, _book(linked, case, level), max_age, ticket.lots)
        for name in FIELDS:
            found = value_of(inputs.read(name, Reading(level, params, max_age, Size.ASKED)))
            expected = reference.read(name, params)
            assert same(found, expected), (level, name, found, expected)


@settings(max_examples=60, phases=UNSHRUNK)
@given(questions())
def test_every_gate_of_a_state_passes_where_the_reference_says_so(
    question: tuple[LinkedSet, Case],
) -> None:
    linked, case = question
    order = case.order
    ticket, refusal = read_ticket(case, linked)
    assume(ticket is not None and refusal is None)
    assert ticket is not None
    bounds = linked.bind(order.account, order.strategy, order.venue, order.symbol)
    pairs = [(bound, bound.row_at(case.clock_ns)) for bound in bounds]
    found = bound_gates(linked, pairs, check_mandatory=False)
    state = pinned_state(linked, case, ticket)

    for lots in {ticket.lots, max(1, ticket.lots // 2), 1}:
        state.lots = dict.fromkeys(Size, z3.IntVal(lots))
        inputs = StateInputs(state)
        for gate, expected in zip(
            found.gates, asked_gates(linked, case, bounds, ticket), strict=True
        ):
            outcome = expected.at(lots)
            if _hair(outcome.measure, outcome.limit):
                continue
            passes = z3.is_true(z3.simplify(gate.passes(inputs, Size.ASKED)))
            judges = z3.is_true(z3.simplify(gate.judges(inputs, Size.ASKED)))
            assert passes == (outcome.outcome in (Outcome.PASS, Outcome.EXEMPT)), outcome
            assert judges == (outcome.outcome is not Outcome.UNKNOWN), outcome


@settings(max_examples=300)
@given(expressions(), st.data())
def test_a_formula_is_what_the_reference_makes_of_the_expression(
    expression: Expression, data: st.DataObject
) -> None:
    numbers = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 7.25, -12.0, math.nan, math.inf])
    known = {name: data.draw(numbers, label=name) for name in ("a", "b", "c")}
    names = list(known)

    def read(name: str) -> float:
        value = known[names[len(name) % 3]]
        return value if FIELDS[name].unit.numeric or value in (0.0, 1.0) else math.nan

    def term(name: str) -> Term:
        value = read(name)
        if FIELDS[name].unit.kind == "boolean":
            return Term(truth(math.isfinite(value)), truth(value == 1.0))
        return constant(value)

    params = {name: known[names[len(name) % 3]] for name in expression.parameters}
    expected = evaluate(expression.node, read, params)

    assert same(value_of(formula(expression.node, term, params)), expected)


@settings(max_examples=40, phases=UNSHRUNK)
@given(
    questions(),
    st.sampled_from([0.5, 5.0, math.inf]),
    st.lists(st.sampled_from(LEVELS), min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from(range(len(PARAMS))), min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from(Size), min_size=1, max_size=2, unique=True),
)
def test_the_axioms_hold_of_every_order_and_book(
    question: tuple[LinkedSet, Case],
    max_age: float,
    levels: list[str],
    chosen: list[int],
    sizes: list[Size],
) -> None:
    linked, case = question
    ticket, refusal = read_ticket(case, linked)
    assume(ticket is not None and refusal is None and ticket.lots < 10**15)
    assert ticket is not None
    asked = ticket.lots + 3
    lots = {Size.GIVEN: asked // 4 + 1, Size.NEXT: asked // 4 + 2, Size.ASKED: asked}
    lots[Size.MORE] = asked // 2 + 1
    abstract = AbstractInputs()
    pinned: list[tuple[z3.ExprRef, z3.ExprRef]] = []
    for level in levels:
        book = _book(linked, case, level)
        for params in (PARAMS[each] for each in chosen):
            for age in {max_age, 60.0}:
                pinned.append(
                    (
                        z3.Bool(f"fresh {level} {age!r}"),
                        truth(book is not None and not book.stale(age)),
                    )
                )
                for size in sizes:
                    read = Inputs(case, ticket, level, book, math.inf, lots[size])
                    for name in FIELDS:
                        abstract.read(name, Reading(level, params, age, size))
                        key = abstract.key(name, Reading(level, params, age, size))
                        pinned += _pins(abstract.terms.get(key), read.read(name, params))
    axioms = abstract.axioms()
    found = z3.substitute(z3.And(axioms), *pinned)
    broken = [
        str(axiom)
        for axiom, value in zip(axioms, found.children(), strict=True)
        if not z3.is_true(z3.simplify(value))
    ]

    assert not broken


def _pins(term: Term | None, value: float) -> list[tuple[z3.ExprRef, z3.ExprRef]]:
    if term is None:
        return []
    if z3.is_bool(term.value):
        return [(term.value, truth(value == 1.0))]
    variable = term.value.arg(0) if z3.is_app_of(term.value, z3.Z3_OP_TO_REAL) else term.value
    number = constant(value).value
    if z3.is_int(variable):
        number = z3.IntVal(number.as_fraction())
    known = [] if z3.is_true(term.known) else [(term.known, truth(math.isfinite(value)))]
    return [(variable, number), *known]


def _hair(measure: float, limit: float) -> bool:
    """Within the rounding of float64 of one another, and not the same."""
    return measure != limit and abs(measure - limit) <= 1e-13 * max(abs(measure), abs(limit))
