"""Cases at the limits by search: from a state that the tests have, one number is moved until a check stands there.

Measures are piecewise linear in such a number, so a few secants find it; the interpreter is the only judge.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ringfence.backends.reference import decide
from ringfence.backends.reference.decide import AskedGate, asked_gates
from ringfence.errors import PolicyError
from ringfence.language import ir
from ringfence.language.decision import Decision, GateResult, Outcome, RiskDecision
from ringfence.language.gates import ALWAYS, Gate, LimitRow
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Case
from ringfence.language.policy_tests import read_case
from ringfence.language.rules import Check, walk
from ringfence.language.tickets import read_ticket
from ringfence.review.testing.items import limits_of, moves
from ringfence.review.testing.levers import Lever, State, levers_of, plain_changes, starts_of
from ringfence.review.testing.mutants import iso_time

__all__ = ["Found", "search"]

_SECANTS = 6
_FAR = 1e18
_PLACES = ("just within", "exactly at", "just beyond")
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """A case that was found."""

    name: str
    given: Mapping[str, Any]
    when: Mapping[str, Any]
    then: Mapping[str, Any]


def search(
    linked: LinkedSet, gate: Gate, row: LimitRow, states: Sequence[State]
) -> Iterator[Found]:
    """Cases around the limits of one gate and row: one step inside, at each limit, one step outside.

    Those in which all other gates let the order pass come first.

    Args:
        linked: The policy set.
        gate: A gate of it.
        row: Its own limits, or those of an override.
        states: States and orders to start from, such as those of cases that pass.
    """
    later: list[Found] = []
    for check in gate.rule.checks:
        if all(name in row.values for name in check.when) and moves(check):
            yield from _of_check(_Solver(linked, gate, row, check), states, later)
    yield from later
    for state in _within(row, states):
        for what, changed in plain_changes(state, linked):
            if (found := _plain_case(linked, gate, what, changed)) is not None:
                yield found


def _plain_case(linked: LinkedSet, gate: Gate, what: str, state: State) -> Found | None:
    decision = decide(linked, read_case(*state, linked))
    own = _result_of(decision, gate)
    if own is None:
        return None
    name = f"{gate.policy.name}/{gate.name}, {what}"
    return Found(name, *state, _then(decision, f"{gate.policy.name}/{gate.name}", str(own.outcome)))


def _result_of(decision: Decision, gate: Gate) -> GateResult | None:
    label = (gate.policy.label, gate.name)
    return next((each for each in decision.gates if (each.policy, each.gate) == label), None)


def _of_check(solver: "_Solver", states: Sequence[State], later: list[Found]) -> Iterator[Found]:
    """Clear cases of one check, until there is one of each place; the others are kept for later."""
    places: set[str] = set()
    check = solver.check
    fields = {
        node.name
        for node in (*walk(check.measure), *walk(check.limit))
        if isinstance(node, ir.Field)
    }
    for state in _within(solver.row, states):
        for start in starts_of(state, solver.gate.level, solver.linked):
            for lever in levers_of(start, solver.gate.level, solver.linked):
                if not lever.may_move(fields):
                    continue
                for found, place, clear in solver.around(lever):
                    if not clear:
                        later.append(found)
                    elif place not in places:
                        places.add(place)
                        yield found
                if len(places) == len(_PLACES):
                    return


def _within(row: LimitRow, states: Sequence[State]) -> Iterator[State]:
    """The states at a time at which the row can be in force."""
    if (row.from_ns, row.until_ns) == ALWAYS:
        yield from states
        return
    moment = row.from_ns if row.from_ns > ALWAYS[0] else row.until_ns - _SECOND_NS
    for given, when in states:
        yield {**given, "clock": iso_time(moment)}, when


@dataclass(frozen=True, slots=True)
class _Solver:
    linked: LinkedSet
    gate: Gate
    row: LimitRow
    check: Check

    def around(self, lever: Lever) -> Iterator[tuple[Found, str, bool]]:
        """Cases with the lever where the check stands at its limit, and a little to either side."""
        at = self._solve(lever)
        if at is None:
            return
        for steps in (0, 1, -1, 2, -2):
            value = lever.on_grid(at) + steps * lever.grid
            if lever.least is not None and value < lever.least:
                continue
            state = lever.put(value)
            if (found := self._case(state)) is not None:
                yield found

    def _solve(self, lever: Lever) -> Decimal | None:
        """Where the measure meets the limit; None where the lever does not lead there."""
        one, two = float(lever.now), float(lever.other)
        first, second = self._margin(lever, one), self._margin(lever, two)
        for _ in range(_SECANTS):
            if math.isnan(first) or math.isnan(second) or first == second:
                return None
            three = two - second * (two - one) / (second - first)
            if not abs(three) < _FAR:
                return None
            one, first, two = two, second, float(self._near(lever, three))
            second = self._margin(lever, two)
            if one == two or second == 0:
                break
        return self._near(lever, two)

    @staticmethod
    def _near(lever: Lever, value: float) -> Decimal:
        """The grid's value nearest to one that was computed."""
        steps = round(Decimal(value) / lever.grid)
        near = steps * lever.grid
        return near if lever.least is None else max(near, lever.least)

    def _margin(self, lever: Lever, value: float) -> float:
        asked = self._asked(lever.put(self._near(lever, value)))
        if asked is None:
            return math.nan
        found = asked[0].found(self.check)
        return found.limit - found.measure

    def _asked(self, state: State) -> tuple[AskedGate, Case] | None:
        try:
            question = read_case(*state, self.linked)
        except PolicyError:
            return None
        ticket, refusal = read_ticket(question, self.linked)
        if ticket is None or refusal is not None:
            return None
        order = question.order
        bounds = self.linked.bind(order.account, order.strategy, order.venue, order.symbol)
        for asked in asked_gates(self.linked, question, bounds, ticket):
            if asked.gate is self.gate and asked.row is self.row:
                asked.inputs.lots = ticket.lots
                return asked, question
        return None

    def _case(self, state: State) -> tuple[Found, str, bool] | None:
        """The case, where it stands, and whether it is clear: nothing but this check stops the order, or nothing does."""
        asked = self._asked(state)
        if asked is None:
            return None
        decision = decide(self.linked, asked[1])
        own = _result_of(decision, self.gate)
        if own is None or own.outcome not in (Outcome.PASS, Outcome.REDUCE, Outcome.BREACH):
            return None
        others = [each for each in decision.gates if each is not own and each.mode == "enforce"]
        clear = all(each.outcome in (Outcome.PASS, Outcome.EXEMPT) for each in others) and (
            own.outcome is Outcome.PASS or own.check == self.check.name
        )
        limits = limits_of(self.gate, self.gate.rows.index(self.row), self.check)
        said = ", ".join(f"{name} {each.text}" for name, each in limits.items())
        said = said or f"the limit of {self.check.name}"
        level = asked[0].found(self.check)
        within, at, beyond = _PLACES
        outside = beyond if level.outcome is Outcome.BREACH else within
        place = at if level.measure == level.limit else outside
        name = f"{self.gate.policy.name}/{self.gate.name} {place} {said}"
        then = _then(decision, f"{self.gate.policy.name}/{self.gate.name}", str(own.outcome))
        return Found(name, *state, then), place, clear


def _then(decision: Decision, gate: str, outcome: str) -> dict[str, Any]:
    then: dict[str, Any] = {"decision": str(decision.decision)}
    if decision.decision is RiskDecision.REDUCE_SIZE:
        text = f"{decision.size:f}"
        then["size"] = text.rstrip("0").rstrip(".") if "." in text else text
    if decision.code:
        then["code"] = decision.code
    then["gates"] = {gate: outcome}
    return then
