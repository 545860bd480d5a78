"""Runs policy tests, and the cases inside rules, and says what differs from what was expected."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringfence.errors import Diagnostic, PolicyError, Span
from ringfence.language.decision import Decision
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Case, to_decimal
from ringfence.language.rules import Rule
from ringfence.language.source import Document
from ringfence.language.suggest import did_you_mean
from ringfence.review.testing.cases import TestCase, cases_of_file, cases_of_rule, own_set

__all__ = [
    "BACKENDS",
    "CaseResult",
    "check_own_policy",
    "differences",
    "run_case",
    "run_file",
    "run_rule_cases",
]

Decide = Callable[..., Decision]


# Loaded where they are asked for: validating needs neither, and one brings the compiler with it.


def _reference() -> Decide:
    from ringfence.backends import reference

    return reference.decide


def _numba() -> Decide:
    from ringfence.backends import numba_kernel

    return numba_kernel.decide


#: What can answer a case, by name; the first one defines what the language means.
BACKENDS: Mapping[str, Callable[[], Decide]] = {
    "reference": _reference,
    "numba": _numba,
}
_ORACLE = ("reference",)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: what was asked, and each way in which an answer differs.

    `decision` is that of the first backend asked; `question` is None where the state cannot be.
    """

    case: TestCase
    problems: list[str]
    decision: Decision | None
    question: Case | None = field(repr=False, default=None)
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def name(self) -> str:
        """What the case is called."""
        return self.case.name

    @property
    def span(self) -> Span:
        """Where the case stands."""
        return self.case.span

    @property
    def passed(self) -> bool:
        """Whether all came out as expected."""
        return not self.problems

    @property
    def given(self) -> Mapping[str, Any]:
        """State and order, defaults merged in."""
        return {"given": self.case.given, "when": self.case.when}

    @property
    def expected(self) -> Mapping[str, Any]:
        """What must come out."""
        return self.case.expected


def run_file(
    document: Document, linked: LinkedSet | None, backends: Sequence[str] = _ORACLE
) -> list[CaseResult]:
    """Run a `kind: PolicyTest` document, already checked against its schema.

    Args:
        document: The test file.
        linked: The policy set under test; a file with a `policy:` of its own uses that alone.
        backends: Which of `BACKENDS` answer; with several, they must also agree with one another.

    Raises:
        PolicyError: the file's own policy does not link, or it has none and no set is given.
    """
    return [run_case(each, backends) for each in cases_of_file(document, linked)]


def check_own_policy(document: Document) -> None:
    """Link the policy inside a `kind: PolicyTest` document, where it has one.

    Raises:
        PolicyError: with every finding in it.
    """
    own = document.data.get("policy")
    if own is not None:
        own_set(document, own)


def run_rule_cases(rule: Rule, backends: Sequence[str] = _ORACLE) -> list[CaseResult]:
    """Run the cases of a rule, each against a policy that binds this rule alone.

    Args:
        rule: The rule.
        backends: As in `run_file`.
    """
    return [run_case(each, backends) for each in cases_of_rule(rule)]


def run_case(case: TestCase, backends: Sequence[str] = _ORACLE) -> CaseResult:
    """Run one case.

    Args:
        case: The case.
        backends: As in `run_file`.
    """
    answers: dict[str, Decision] = {}
    try:
        question = case.question()
        for backend in backends:
            decide = BACKENDS[backend]()
            answers[backend] = decide(case.linked, question, check_mandatory=case.asks_the_set)
    except PolicyError as error:
        problems = [each.message for each in error.diagnostics]
        return CaseResult(case, problems, None, None, error.diagnostics)
    return CaseResult(case, _problems(case.expected, answers), answers[backends[0]], question)


def _problems(expected: Mapping[str, Any], answers: Mapping[str, Decision]) -> list[str]:
    """How the answers differ from what was expected, and from one another."""
    first, *others = answers
    problems = differences(expected, answers[first])
    for other in others:
        # As text, in which an unknown number is equal to itself.
        if repr(answers[other]) == repr(answers[first]):
            continue
        more = differences(expected, answers[other])
        problems += [f"{other}: {each}" for each in more]
        if not more:
            problems.append(f"{first} and {other} give different figures: report this as a fault")
    return problems


def _names(decision: Decision) -> Iterator[str]:
    for each in decision.gates:
        yield each.gate
        yield f"{each.policy.partition('@')[0]}/{each.gate}"


def differences(expected: Mapping[str, Any], decision: Decision) -> list[str]:
    """Each way in which a decision is not what a case expects, in words."""
    problems = []
    if decision.decision != expected["decision"]:
        why = f" ({decision.reason})" if decision.reason else ""
        problems.append(f"expected {expected['decision']}, got {decision.decision}{why}")
    if "size" in expected and to_decimal(expected["size"]) != decision.size:
        problems.append(f"expected size {expected['size']}, got {decision.size}")
    if "code" in expected and expected["code"] != decision.code:
        problems.append(f"expected code {expected['code']}, got {decision.code or 'none'}")
    if "reason" in expected and expected["reason"] not in decision.reason:
        problems.append(f"expected a reason with `{expected['reason']}`, got `{decision.reason}`")
    for gate, outcome in (expected.get("gates") or {}).items():
        try:
            result = decision.gate(gate)
        except KeyError:
            near = did_you_mean(gate, _names(decision))
            problems.append(
                f"expected gate {gate}: {outcome}, but no such gate binds the order{near}"
            )
            continue
        if result.outcome != outcome:
            from ringfence.backends.explain.amounts import plain_number

            problems.append(
                f"expected gate {gate}: {outcome}, got {result.outcome} "
                f"(measure {plain_number(result.measure)}, limit {plain_number(result.limit)}"
                + (f", {result.reason})" if result.reason else ")")
            )
    return problems
