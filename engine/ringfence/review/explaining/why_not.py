"""What would have to change for a size to pass: limits and states, each asked of the interpreter again."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from ringfence.backends.explain import Question, why_missing
from ringfence.backends.reference.decide import AskedGate, asked_gates, decide
from ringfence.errors import InputError
from ringfence.language import ir
from ringfence.language.changed_limits import with_rows
from ringfence.language.decision import Decision, GateResult, Outcome, RiskDecision
from ringfence.language.fields import FIELDS
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.orders import Case, to_decimal
from ringfence.language.parameters import Value
from ringfence.language.rules import Check, walk
from ringfence.language.tickets import Ticket, read_ticket
from ringfence.review.explaining.states import states_for
from ringfence.review.explaining.what_if import WhatIf
from ringfence.review.sayable import as_value, in_style, number_of, sayable, sayable_value

__all__ = ["Needs", "Way", "WhyNot", "why_not"]

_PASSED = (Outcome.PASS, Outcome.EXEMPT)
#: Doublings and halvings when the far end of a search is looked for; then as many halvings of what lies between.
_STEPS = 90


@dataclass(frozen=True, slots=True)
class Way:
    """One change, and that the gate passes with it, all else as it is.

    Attributes:
        kind: `limit`, `state` (of a book, market or switch), `order` or `need` (what no number says).
        text: In words.
        values: By name, what it changes to: limits as a policy would write them, others as numbers.
        confirmed: Whether the interpreter was asked again with this change alone, and the gate passed; None
            where the change is nothing that could be tried.
    """

    kind: str
    text: str
    values: Mapping[str, str]
    confirmed: bool | None


@dataclass(frozen=True, slots=True)
class Needs:
    """What one blocking gate needs."""

    result: GateResult
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """What would have to change for a size.

    Attributes:
        size: The size asked about.
        passes: Whether it passes as things are.
        now: What is decided on it now.
        needs: Of each enforced gate that blocks it.
        together: All limits of `needs` changed at once, and what is then decided; None with fewer than two.
    """

    size: Decimal
    passes: bool
    now: Decision
    needs: tuple[Needs, ...]
    together: Way | None = None


def why_not(linked: LinkedSet, case: Case, size: object, *, check_mandatory: bool = True) -> WhyNot:
    """Say what would have to change for an order of `size` to be approved.

    No way switches off a gate, widens who is exempt, or changes what a breach does.

    Raises:
        InputError: `size` is no number above zero.
    """
    number = to_decimal(size)
    if number is None or number <= 0:
        raise InputError(f"`--why-not {size}` is no size", "give a number above zero, as 0.5")
    case = replace(case, order=replace(case.order, size=number))
    now = decide(linked, case, check_mandatory=check_mandatory)
    passes = now.decision is RiskDecision.APPROVE
    ticket, refusal = read_ticket(case, linked)
    blocking = [
        (place, each)
        for place, each in enumerate(now.gates)
        if each.mode == "enforce" and each.outcome not in _PASSED
    ]
    if passes or ticket is None or refusal is not None:
        return WhyNot(number, passes, now, ())
    search = _Search(linked, case, ticket, check_mandatory)
    needs, limits = [], {}
    for place, result in blocking:
        ways, changed = search.ways(place)
        needs.append(Needs(result, ways))
        if changed:
            limits[place] = changed
    together = None
    if len(blocking) > 1 and limits:
        together = search.together(limits)
    return WhyNot(number, passes, now, tuple(needs), together)


class _Search:
    """Changes one thing at a time, and asks again."""

    def __init__(
        self, linked: LinkedSet, case: Case, ticket: Ticket, check_mandatory: bool
    ) -> None:
        self._linked, self._case, self._ticket = linked, case, ticket
        self._check_mandatory = check_mandatory
        order = case.order
        self._bounds = linked.bind(order.account, order.strategy, order.venue, order.symbol)
        self._gates = asked_gates(linked, case, self._bounds, ticket)

    def ways(self, place: int) -> tuple[tuple[Way, ...], dict[str, Value]]:
        """The ways of the gate at a place, and the limits that it needs; none where no limit helps."""
        gate = self._gates[place]
        gate.at(self._ticket.lots)
        failing = [each for each in gate.binding if gate.found(each).outcome not in _PASSED]
        blind = [each for each in failing if gate.found(each).outcome is Outcome.UNKNOWN]
        if blind:
            return tuple(self._missing(place, blind)), {}
        changed = self._limits(gate, failing)
        ways = [self._limit_way(place, changed)] if changed else []
        for state in states_for(self._question(place), failing):
            way = self._state_way(place, state)
            if way is not None:
                ways.append(way)
        return tuple(ways), changed

    def _question(self, place: int) -> Question:
        gate = self._gates[place]
        return Question(
            asked=gate,
            bound=self._bounds[place],
            case=self._case,
            ticket=self._ticket,
            lots=self._ticket.lots,
            book=gate.inputs.state,
            max_age=gate.inputs.max_age,
            currency=self._linked.currency,
        )

    def _missing(self, place: int, checks: list[Check]) -> Iterator[Way]:
        """What is not known, and why."""
        question = self._question(place)
        names = dict.fromkeys(
            node.name
            for check in checks
            for part in (check.measure, check.limit)
            for node in walk(part)
            if isinstance(node, ir.Field)
        )
        for name in names:
            value = question.asked.read(name)
            if value != value or abs(value) == float("inf"):
                text = f"`{name}` has to be known ({FIELDS[name].meaning}): {why_missing(question, name)}"
                yield Way("need", text, {}, None)

    # Limits

    def _limits(self, gate: AskedGate, failing: list[Check]) -> dict[str, Value]:
        """The values that make each failing check pass; none where one of them cannot be made to."""
        found: dict[str, Value] = {}
        for check in failing:
            one = self._limit(gate, check)
            if one is None:
                return {}
            name, value = one
            known = number_of(found[name]) if name in found else None
            number = number_of(value)
            if known is None or number is None or (number > known) == (check.compare == "<="):
                found[name] = value
        return found

    def _limit(self, gate: AskedGate, check: Check) -> tuple[str, Value] | None:
        declared = gate.gate.rule.parameters.parameters
        names = [node.name for node in walk(check.limit) if isinstance(node, ir.Param)]
        for name in dict.fromkeys(names):
            value = gate.row.values.get(name)
            number = number_of(value) if value is not None else None
            if value is None or number is None:
                continue
            found = self._boundary(gate, check, name, value, number, declared[name].type)
            if found is not None:
                return name, as_value(found, value)
        return None

    def _boundary(
        self, gate: AskedGate, check: Check, name: str, value: Value, number: float, kind: str
    ) -> float | None:
        """The first sayable number beyond which the check passes; None where there is none."""
        up = check.compare == "<="

        def passes(candidate: float) -> bool:
            row = replace(gate.row, values={**gate.row.values, name: as_value(candidate, value)})
            again = AskedGate(Bound(gate.gate, (row,)), row, gate.inputs, self._linked)
            again.inputs.lots = self._ticket.lots
            return again.found(check).outcome is Outcome.PASS

        edge = _edge(number, passes, up=up)
        if edge is None:
            return None
        said = sayable_value(edge, kind, up=up)
        if not passes(said):
            # The last bits of a product: one step further.
            said = sayable_value(edge * (1 + 1e-6 if up else 1 - 1e-6), kind, up=up)
        return said if passes(said) else None

    def _limit_way(self, place: int, changed: dict[str, Value]) -> Way:
        gate = self._gates[place].gate
        values = _in_words(gate, changed)
        told = ", ".join(
            f"{'at most' if self._is_floor(gate, name) else 'at least'} `{name}: {text}`"
            for name, text in values.items()
        )
        decision = self._decided(self._with({place: changed}), self._case)
        confirmed = decision.gates[place].outcome in _PASSED
        return Way("limit", f"a limit of {told}", values, confirmed)

    @staticmethod
    def _is_floor(gate: Gate, name: str) -> bool:
        return any(
            check.compare == ">="
            for check in gate.rule.checks
            if any(isinstance(node, ir.Param) and node.name == name for node in walk(check.limit))
        )

    def _with(self, limits: Mapping[int, Mapping[str, Value]]) -> LinkedSet:
        """The set with other limits in the rows that are in force, and nothing else."""
        rows = {id(self._gates[place].row): changed for place, changed in limits.items()}

        def change(_: Gate, row: LimitRow) -> LimitRow:
            changed = rows.get(id(row))
            return row if changed is None else replace(row, values={**row.values, **changed})

        return with_rows(self._linked, change)

    def _decided(self, linked: LinkedSet, case: Case) -> Decision:
        return decide(linked, case, check_mandatory=self._check_mandatory)

    def together(self, limits: Mapping[int, Mapping[str, Value]]) -> Way:
        """All limits at once."""
        decision = self._decided(self._with(limits), self._case)
        values = {
            f"{self._bounds[place].gate.label}: {name}": text
            for place, changed in limits.items()
            for name, text in _in_words(self._bounds[place].gate, changed).items()
        }
        passes = decision.decision is RiskDecision.APPROVE
        text = "all of these limits at once"
        if not passes:
            left = [
                each.gate
                for each in decision.gates
                if each.mode == "enforce" and each.outcome not in _PASSED
            ]
            text += f" are not enough: {', '.join(dict.fromkeys(left))} would still not pass"
        return Way("limit", text, values, passes)

    # States

    def _state_way(self, place: int, state: WhatIf) -> Way | None:
        """A state in which the gate passes; the first sayable one, or None where the search finds none."""

        def passes(x: float) -> bool:
            case = state.apply(self._case, x)
            return self._decided(self._linked, case).gates[place].outcome in _PASSED

        if state.only is not None:
            return Way(
                state.kind, state.text(state.only), state.values(state.only), passes(state.only)
            )
        if state.need:
            return Way("need", state.need, {}, None)
        if not passes(state.end):
            return None
        near, far = state.start, state.end
        for _ in range(_STEPS):
            middle = (near + far) / 2
            if middle in (near, far):
                break
            near, far = (near, middle) if passes(middle) else (middle, far)
        for digits in (3, 4, 6):
            said = state.rounded(far, digits)
            if said is not None and passes(said):
                return Way(state.kind, state.text(said), state.values(said), True)
        return Way(state.kind, state.text(far), state.values(far), True)


def _in_words(gate: Gate, changed: Mapping[str, Value]) -> dict[str, str]:
    declared = gate.rule.parameters.parameters
    found = {}
    for name, value in changed.items():
        number = number_of(value)
        if number is not None:
            found[name] = in_style(number, value, declared[name].type)
    return found


def _edge(number: float, passes: Callable[[float], bool], *, up: bool) -> float | None:
    """The number nearest to `number` that passes, looked for above or below it."""
    near = number
    far = number if number > 0 else sayable(1e-6, up=True)
    for _ in range(_STEPS):
        far = far * 2 if up else far / 2
        if passes(far):
            break
        near = far
    else:
        return None
    for _ in range(_STEPS):
        middle = (near + far) / 2
        if middle in (near, far):
            break
        near, far = (near, middle) if passes(middle) else (middle, far)
    return far
