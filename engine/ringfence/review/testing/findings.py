"""What a run of tests finds, as findings with a place: failed cases, what no case shows, what none notices."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ringfence.errors import Diagnostic
from ringfence.review.test_runner import CaseResult

if TYPE_CHECKING:
    from ringfence.review.testing.coverage import Coverage
    from ringfence.review.testing.mutation import MutationResult

__all__ = [
    "failed_cases",
    "survivors",
    "too_few_noticed",
    "too_little_covered",
    "uncovered_items",
]


def failed_cases(results: Iterable[CaseResult]) -> list[Diagnostic]:
    """An error at each case that failed."""
    return [
        Diagnostic(
            "E500",
            f"the case `{each.name}` failed: {'; '.join(each.problems)}",
            each.span,
            why=_why(each),
            fix="mend the policies, or the case where it is what is wrong",
        )
        for each in results
        if not each.passed
    ]


def uncovered_items(coverage: "Coverage") -> list[Diagnostic]:
    """A note at everything that no case shows."""
    return [
        Diagnostic(
            "E501",
            f"no case shows {each.group}: {each.label}",
            each.span,
            why="what no test shows can change without anybody noticing",
            fix="add a case that shows it; `ringfence test --suggest` writes those at the limits",
            severity="note",
        )
        for each in coverage.uncovered
    ]


def too_little_covered(coverage: "Coverage", wanted: float) -> list[Diagnostic]:
    """An error where less is covered than wanted (percent)."""
    if coverage.percent >= wanted:
        return []
    return [
        Diagnostic(
            "E502",
            f"`{coverage.percent:.1f} %` of the items are covered, and `{wanted:g} %` are wanted",
            coverage.uncovered[0].span,
            why=f"{len(coverage.uncovered)} of {len(coverage.items)} items are seen by no case",
            fix="add cases: `ringfence test --coverage` lists what they have to show",
        )
    ]


def survivors(mutation: "MutationResult") -> list[Diagnostic]:
    """A warning at every mutant that no case noticed."""
    return [
        Diagnostic(
            "E503",
            f"no case notices this change of {each.subject}: {each.what}",
            each.span,
            why="whoever makes this change, on purpose or not, sees all tests pass",
            fix=f"add a case that checks {each.wanted}",
            severity="warning",
        )
        for each in mutation.survivors
    ]


def too_few_noticed(mutation: "MutationResult", wanted: float) -> list[Diagnostic]:
    """An error where fewer mutants are noticed than wanted (percent)."""
    if mutation.percent >= wanted:
        return []
    return [
        Diagnostic(
            "E504",
            f"`{mutation.percent:.1f} %` of the mutants are noticed, and `{wanted:g} %` are wanted",
            mutation.survivors[0].span,
            why=f"{len(mutation.survivors)} of {len(mutation.tried)} changes pass all tests",
            fix="add cases for the survivors",
        )
    ]


def _why(result: CaseResult) -> str:
    decision = result.decision
    if decision is None:
        return "the case describes a state that cannot be"
    return f"the decision was {decision.decision}" + (
        f": {decision.reason}" if decision.reason else f" of {decision.size}"
    )
