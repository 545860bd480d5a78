"""Cases at the edge of a gate: exactly at a limit and one step to either side, passing, breaching, exempt.

The solver finds them, the reference interpreter decides them: what it denies is left out, and named.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ringfence.backends import reference
from ringfence.backends.reference.decide import AskedGate, asked_gates
from ringfence.backends.reference.numbers import at_most
from ringfence.backends.smt import BoundGate, GateSet, Inputs, Question, Setting, both, bound_gates
from ringfence.backends.smt.gates import reduce_only_true
from ringfence.backends.smt.search import candidates, prove
from ringfence.language.decision import Decision, Outcome, RiskDecision
from ringfence.language.gates import Gate, LimitRow, to_ns
from ringfence.language.linking import LinkedSet
from ringfence.language.policy_tests import read_case
from ringfence.language.rules import Check
from ringfence.language.tickets import read_ticket
from ringfence.review.cells import Cell, cells
from ringfence.review.edges import Edge, Place, edges_of_check, edges_of_gate
from ringfence.review.moved_cases import moved_cases

__all__ = ["Boundaries", "BoundaryCase", "boundaries", "boundary_cases"]

_TIMEOUT_MS = 2_000
_SCENES = 12
_USUAL_NS = to_ns("2026-01-05T12:00:00Z")


@dataclass(frozen=True, slots=True)
class BoundaryCase:
    """A case as a policy test has it; `then` is what the reference interpreter decides."""

    name: str
    given: Mapping[str, Any]
    when: Mapping[str, Any]
    then: Mapping[str, Any]


@dataclass(slots=True)
class Boundaries:
    """What was found for one gate and one row of its limits, and in words what was not."""

    cases: list[BoundaryCase] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def boundary_cases(
    linked: LinkedSet, gate: Gate, row: LimitRow, *, check_mandatory: bool = True
) -> list[BoundaryCase]:
    """The cases of `boundaries`."""
    return boundaries(linked, gate, row, check_mandatory=check_mandatory).cases


def boundaries(
    linked: LinkedSet, gate: Gate, row: LimitRow, *, check_mandatory: bool = True
) -> Boundaries:
    """Cases at the edges of a gate with one row of its limits in force, all other gates passing if they can.

    Args:
        linked: The policy set.
        gate: A gate of it.
        row: Its own limits, or those of an override.
        check_mandatory: As in `decide`; off for a policy that stands in a test.

    Returns:
        Cases exactly at each limit and one step to either side (one lot, or one unit of the limit's last
        digit), passing, breaching and exempt; for an override also before, after and outside of it.

    Raises:
        TooManyClassesError: the globs of the scopes multiply one another beyond reason.
    """
    found = Boundaries()
    cell = _cell(linked, gate, row)
    if cell is None:
        found.missing.append(f"{gate.label}: no order is bound by these limits")
        return found
    _Finder(linked, gate, row, cell, check_mandatory, found).run()
    return found


def _cell(linked: LinkedSet, gate: Gate, row: LimitRow) -> Cell | None:
    """A cell in which the row is in force; one of today, where there is one."""
    fitting = (
        cell
        for cell in cells(linked)
        if any(bound.gate is gate and each is row for bound, each in cell.bounds[0])
    )
    first = next(fitting, None)
    if first is None or first.from_ns <= _USUAL_NS < first.until_ns:
        return first
    return next((each for each in fitting if each.from_ns <= _USUAL_NS < each.until_ns), first)


@dataclass(slots=True)
class _Finder:
    linked: LinkedSet
    gate: Gate
    row: LimitRow
    cell: Cell
    check_mandatory: bool
    found: Boundaries

    def run(self) -> None:
        gates = bound_gates(self.linked, self.cell.bounds[0], check_mandatory=self.check_mandatory)
        own = next(each for each in gates.gates if each.gate is self.gate and each.row is self.row)
        for check in own.checks:
            for ways in edges_of_check(own, check, self.linked):
                self._any_of(ways, own, gates)
        shown = {self._outcome(case) for case in self.found.cases}
        wanted = {Place.PASSES: Outcome.PASS, Place.BREACHES: Outcome.BREACH}
        for edge in edges_of_gate(own):
            if wanted.get(edge.places[0]) not in shown:
                self._any_of([edge], own, gates)
        if self.row.scope is not None or self.gate.rows[0] is not self.row:
            self._moved()

    def _any_of(self, ways: Sequence[Edge], own: BoundGate, gates: GateSet) -> None:
        """The cases of the first way that leads to all of its places, else what the best one gave."""
        best: list[BoundaryCase] = []
        for edge in ways:
            for alone in (False, True):
                for cases in self._cases(edge, own, gates, alone=alone):
                    if len(cases) == len(edge.places):
                        self.found.cases += cases
                        self._say_missing(ways, edge)
                        return
                    best = max(best, cases, key=len)
        self.found.cases += best
        names = {case.name for case in best}
        for place in dict.fromkeys(place for edge in ways for place in edge.places.values()):
            if self._name(ways[0].check, place) not in names:
                self.found.missing.append(self._name(ways[0].check, place))

    def _say_missing(self, ways: Sequence[Edge], edge: Edge) -> None:
        every = dict.fromkeys(place for each in ways for place in each.places.values())
        self.found.missing += [
            self._name(edge.check, place) for place in every if place not in edge.places.values()
        ]

    def _cases(
        self, edge: Edge, own: BoundGate, gates: GateSet, *, alone: bool
    ) -> Iterator[list[BoundaryCase]]:
        """The confirmed cases of each state that the solver finds for an edge."""
        others = [] if alone else [each for each in gates.enforced if each is not own]

        def claim(inputs: Inputs) -> Any:
            return both(
                reduce_only_true(inputs),
                edge.claim(inputs),
                *(each.passes(inputs, size) for each in others for size in edge.sizes),
            )

        question = Question(self._setting(), claim, gates.gates, varied=own.fields)
        answer, keys = prove(question, _TIMEOUT_MS)
        if answer == "unsat":
            return
        left = _SCENES
        for given, when in candidates(question, keys, _TIMEOUT_MS):
            cases = [
                case
                for fewer, place in edge.places.items()
                if (case := self._confirmed(edge, place, given, self._smaller(when, fewer)))
            ]
            if cases:
                yield cases
            left -= 1
            if not left:
                return

    def _setting(self) -> Setting:
        cell = self.cell
        moment = _USUAL_NS
        if not cell.from_ns <= moment < cell.until_ns:
            moment = cell.moment_ns // 1_000 * 1_000
        return Setting(cell.account, cell.strategy, cell.venue, cell.symbol, moment, self.linked)

    def _smaller(self, when: Mapping[str, Any], lots: int) -> dict[str, Any]:
        """The order with a size of so many lots less."""
        instrument = self._setting().instrument
        assert instrument is not None  # nosec B101  # a scene was made with it
        size = Decimal(when["size"]) - lots * instrument.lot_step
        text = f"{size:f}"
        return {**when, "size": text.rstrip("0").rstrip(".") if "." in text else text}

    def _confirmed(
        self, edge: Edge, place: Place, given: Mapping[str, Any], when: Mapping[str, Any]
    ) -> BoundaryCase | None:
        asked, lots, decision = self._asked(given, when)
        if asked is None or decision is None or not _stands(asked, edge.check, place, lots):
            return None
        return BoundaryCase(self._name(edge.check, place), given, when, self._then(decision))

    def _asked(
        self, given: Mapping[str, Any], when: Mapping[str, Any]
    ) -> tuple[AskedGate | None, int, Decision | None]:
        """The gate as the interpreter has it for a case, the order's lots, and the decision."""
        case = read_case(given, when, self.linked)
        ticket, refusal = read_ticket(case, self.linked)
        if ticket is None or refusal is not None:
            return None, 0, None
        order = case.order
        bounds = self.linked.bind(order.account, order.strategy, order.venue, order.symbol)
        gates = asked_gates(self.linked, case, bounds, ticket)
        own = next((each for each in gates if each.gate is self.gate), None)
        if own is None:
            return None, 0, None
        decision = reference.decide(self.linked, case, check_mandatory=self.check_mandatory)
        return own, ticket.lots, decision

    def _outcome(self, case: BoundaryCase) -> Outcome | None:
        asked, lots, _ = self._asked(case.given, case.when)
        return asked.at(lots).outcome if asked is not None else None

    def _moved(self) -> None:
        """The first case of the override, at other times and for other orders."""
        for case in self.found.cases[:1]:
            for what, given, when in moved_cases(
                self.linked, self.gate, self.row, case.given, case.when
            ):
                question = read_case(given, when, self.linked)
                decision = reference.decide(
                    self.linked, question, check_mandatory=self.check_mandatory
                )
                name = f"{self._limit(None)}, {what}"
                self.found.cases.append(BoundaryCase(name, given, when, self._then(decision)))

    def _then(self, decision: Decision) -> dict[str, Any]:
        then: dict[str, Any] = {"decision": str(decision.decision)}
        if decision.decision is RiskDecision.REDUCE_SIZE:
            text = f"{decision.size:f}"
            then["size"] = text.rstrip("0").rstrip(".") if "." in text else text
        if decision.code:
            then["code"] = decision.code
        # A name says which gate is meant only where the first gate of that name is this one.
        named = [each for each in decision.gates if each.gate == self.gate.name]
        if named and named[0].policy == self.gate.policy.label:
            then["gates"] = {self.gate.name: str(named[0].outcome)}
        return then

    def _limit(self, check: Check | None) -> str:
        number = self.gate.rows.index(self.row)
        of = f"{self.gate.policy.name}/{self.gate.name}" + (
            f", override {number}" if number else ""
        )
        return f"{of}, {check.name}" if check is not None else of

    def _name(self, check: Check | None, place: Place) -> str:
        return f"{self._limit(check)}, {place}"


def _stands(asked: AskedGate, check: Check | None, place: Place, lots: int) -> bool:
    """Whether a case stands where it should, by the interpreter."""
    outcome = asked.at(lots).outcome
    if place is Place.EXEMPT:
        return outcome is Outcome.EXEMPT
    if check is None:
        return outcome is (Outcome.PASS if place is Place.PASSES else Outcome.BREACH)
    found = asked.found(check)
    level = bool(at_most(found.measure, found.limit) and at_most(found.limit, found.measure))
    if place is Place.AT:
        return level and outcome is Outcome.PASS
    if level:
        return False
    return outcome is (Outcome.PASS if place is Place.INSIDE else Outcome.BREACH)
