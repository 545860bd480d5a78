"""Cases that are missing at the limits, each confirmed by the reference interpreter."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ringfence.errors import Span
from ringfence.language.decision import RiskDecision
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.linking import LinkedSet
from ringfence.review.test_runner import CaseResult, run_case
from ringfence.review.testing.cases import TestCase
from ringfence.review.testing.coverage import coverage_of
from ringfence.review.testing.items import Item, Key
from ringfence.review.testing.levers import State
from ringfence.review.testing.search import search
from ringfence.review.testing.seen import seen_in

__all__ = ["Proposed", "Suggestions", "suggest"]


class Proposed(Protocol):
    """A case that somebody proposes, its parts as a test file has them."""

    @property
    def name(self) -> str: ...

    @property
    def given(self) -> Mapping[str, Any]: ...

    @property
    def when(self) -> Mapping[str, Any]: ...

    @property
    def then(self) -> Mapping[str, Any]: ...


class Propose(Protocol):
    """Proposes cases for a gate, with the limits of one of its rows."""

    def __call__(self, linked: LinkedSet, gate: Gate, row: LimitRow, /) -> Iterable[Proposed]: ...


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Cases, each of which shows something that no other case shows, and what still nothing shows.

    `doubted` counts proposals that the reference interpreter does not confirm.
    """

    cases: tuple[TestCase, ...]
    uncovered: tuple[Item, ...]
    doubted: int


def suggest(
    linked: LinkedSet, results: Sequence[CaseResult], propose: Propose | None = None
) -> Suggestions:
    """Propose cases for what no case shows, and keep those that are confirmed and add something.

    Args:
        linked: The policy set under test.
        results: The cases that there are.
        propose: Gives cases for a gate and a row of its limits; by default `proposals` from those that pass.
    """
    coverage = coverage_of(results, linked, ())
    missing = {each.key for each in coverage.uncovered}
    give = propose or proposals(states_of(results))
    kept: list[TestCase] = []
    doubted = 0
    for gate in linked.gates:
        for row in gate.rows:
            if not _lacks(missing, gate, row):
                continue
            for proposed in give(linked, gate, row):
                case = _case(proposed, linked, row.span)
                result = run_case(case)
                if not result.passed:
                    doubted += 1
                    continue
                if found := missing & _shown(result, linked):
                    missing -= found
                    kept.append(case)
                    if not _lacks(missing, gate, row):
                        break
    left = tuple(each for each in coverage.uncovered if each.key in missing)
    return Suggestions(tuple(_with_names_apart(kept)), left, doubted)


def proposals(states: Sequence[State]) -> Propose:
    """Cases by search from states that are known, and, where those are not enough, by the solver."""

    def propose(linked: LinkedSet, gate: Gate, row: LimitRow, /) -> Iterator[Proposed]:
        yield from search(linked, gate, row, states)
        # Imported here: what the search finds needs no solver, which takes longer and knows no usual state.
        from ringfence.review.boundaries import boundary_cases

        yield from boundary_cases(linked, gate, row)

    return propose


def states_of(results: Iterable[CaseResult], most: int = 3) -> list[State]:
    """States and orders to start from: those of cases that are approved, of different accounts and symbols first."""
    found: dict[tuple[object, ...], State] = {}
    for each in results:
        decision = each.decision
        if (
            each.passed
            and each.case.asks_the_set
            and decision is not None
            and decision.decision is RiskDecision.APPROVE
        ):
            when = each.case.when
            names = tuple(when.get(key) for key in ("account", "strategy", "venue", "symbol"))
            found.setdefault(names, (each.case.given, when))
    return list(found.values())[:most]


def _lacks(missing: set[Key], gate: Gate, row: LimitRow) -> bool:
    number = str(gate.rows.index(row))
    wanted = {(gate.label, "limit", number), (gate.label, "override", number)}
    return any(key[0] == gate.label and (len(key) == 2 or key[:3] in wanted) for key in missing)


def _case(proposed: Proposed, linked: LinkedSet, span: Span) -> TestCase:
    return TestCase(proposed.name, span, proposed.given, proposed.when, proposed.then, linked)


def _shown(result: CaseResult, linked: LinkedSet) -> set[Key]:
    if result.question is None or result.decision is None:
        return set()
    return set(seen_in(linked, result.question, result.decision, result.expected, of_set=True))


def _with_names_apart(cases: Sequence[TestCase]) -> Iterable[TestCase]:
    """Cases of one name get numbers: a list of failures has to tell them apart."""
    seen: dict[str, int] = {}
    for case in cases:
        count = seen[case.name] = seen.get(case.name, 0) + 1
        if count == 1:
            yield case
        else:
            yield TestCase(
                f"{case.name} ({count})",
                case.span,
                case.given,
                case.when,
                case.expected,
                case.linked,
            )
