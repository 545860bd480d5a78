"""The report of `ringfence test`: text for people, JSON, findings, and a list of tests."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ringfence.cli.output import finite, plain_data, print_json, show_findings
from ringfence.errors import Diagnostic
from ringfence.language.decision import Decision, GateResult, Outcome
from ringfence.review.test_runner import CaseResult

if TYPE_CHECKING:
    from ringfence.review.testing.changes import LeftOut
    from ringfence.review.testing.coverage import Coverage
    from ringfence.review.testing.mutation import MutationResult

__all__ = ["Report", "show_report"]


@dataclass(slots=True)
class Report:
    """What came of a run; what was not asked for is None."""

    results: Sequence[CaseResult]
    backends: Sequence[str]
    coverage: "Coverage | None" = None
    fail_under: float = 0.0
    mutation: "MutationResult | None" = None
    fail_under_mutants: float = 0.0
    left_out: "Sequence[LeftOut] | None" = None
    changes: Sequence[str] = field(default=())

    @property
    def failed(self) -> list[CaseResult]:
        """Cases that failed."""
        return [each for each in self.results if not each.passed]

    @property
    def findings(self) -> list[Diagnostic]:
        """Everything with a place: failed cases, what is not covered, surviving mutants."""
        from ringfence.review.testing.findings import (
            failed_cases,
            survivors,
            too_few_noticed,
            too_little_covered,
            uncovered_items,
        )

        found = failed_cases(self.results)
        if self.coverage is not None:
            found += too_little_covered(self.coverage, self.fail_under)
            found += uncovered_items(self.coverage)
        if self.mutation is not None:
            found += too_few_noticed(self.mutation, self.fail_under_mutants)
            found += survivors(self.mutation)
        return found

    @property
    def sound(self) -> bool:
        """Whether every case passed, and as much is covered and noticed as is wanted."""
        return not any(each.severity == "error" for each in self.findings)


def show_report(report: Report, form: str) -> None:
    """Print it in one of the forms of `cli.output`."""
    if form == "json":
        print_json(_as_json(report))
    elif form == "junit":
        _print_junit(report)
    elif form != "text":
        show_findings(report.findings, form, command="test")
    else:
        _print_text(report)


def _print_text(report: Report) -> None:
    for each in report.failed:
        _print_case(each)
    if report.left_out is not None:
        _print_left_out(report)
    failed = len(report.failed)
    print(f"{len(report.results) - failed} passed, {failed} failed")
    if report.coverage is not None:
        _print_coverage(report.coverage, report.fail_under)
    if report.mutation is not None:
        _print_mutation(report.mutation, report.fail_under_mutants)


def _print_case(result: CaseResult) -> None:
    print(f"{result.span}: {result.name}")
    for line in _told(result):
        print(f"  {line}")


def _told(result: CaseResult) -> list[str]:
    """What is wrong with a case, what it asked and expected, and all that came of it."""
    lines = [
        *result.problems,
        f"given: {_in_a_line(result.given)}",
        f"expected: {_in_a_line(result.expected)}",
    ]
    if result.decision is not None:
        lines.append(f"got: {_in_a_line(_answer(result.decision))}")
        lines += [_gate_line(gate) for gate in result.decision.gates]
    return lines


def _in_a_line(value: Any) -> str:
    return json.dumps(plain_data(value), ensure_ascii=False)


def _gate_line(gate: GateResult) -> str:
    from ringfence.backends.explain.amounts import plain_number

    told = f"{gate.policy}/{gate.gate}: {gate.outcome}"
    # What an exempt gate would have measured was never asked for.
    if gate.outcome is not Outcome.EXEMPT:
        told += f" measure={plain_number(gate.measure)} limit={plain_number(gate.limit)}"
    return told + (f" ({gate.reason})" if gate.reason else "")


def _print_left_out(report: Report) -> None:
    print("changed: " + (", ".join(report.changes) or "nothing that a case can notice"))
    for why in dict.fromkeys(each.why for each in report.left_out or ()):
        left = [each for each in report.left_out or () if each.why == why]
        cases = _counted(sum(each.cases for each in left), "case")
        print(f"left out: {cases} of {_counted(len(left), 'file')}: {why}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


def _print_coverage(coverage: "Coverage", wanted: float) -> None:
    print(
        f"\ncoverage: {coverage.covered} of {len(coverage.items)} items, {coverage.percent:.1f} %"
    )
    for group in coverage.groups:
        print(f"  {group.covered:3}/{group.all:<3} {group.percent:5.0f} %  {group.name}")
    if coverage.uncovered:
        print("\nseen by no case:")
    for each in coverage.uncovered:
        print(f"  {each.span}: {each.group}: {each.label}")
    if coverage.percent < wanted:
        print(f"\ncoverage is below the {wanted:g} % that are wanted")


def _print_mutation(mutation: "MutationResult", wanted: float) -> None:
    tried, found = len(mutation.tried), len(mutation.survivors)
    print(f"\nmutants: {tried - found} of {tried} noticed, {mutation.percent:.1f} %")
    if mutation.refused:
        print(f"  {mutation.refused} more are no policies: `ringfence validate` refuses them")
    if mutation.left_out:
        print(f"  {mutation.left_out} more were left out by --max-mutants")
    if found:
        print("\nnoticed by no case:")
    for each in mutation.survivors:
        print(f"  {each.span}: {each.subject}: {each.what}")
        print(f"    a test would have to check {each.wanted}")
    if mutation.percent < wanted:
        print(f"\nfewer mutants are noticed than the {wanted:g} % that are wanted")


def _print_junit(report: Report) -> None:
    from ringfence.cli.junit import JunitCase, finding_cases, junit_xml

    cases = [
        JunitCase(
            name=each.name,
            group=each.span.path,
            failed=not each.passed,
            problem="; ".join(each.problems),
            kind="E500",
            details="" if each.passed else "\n".join([str(each.span), *_told(each)]),
            path=each.span.path,
            line=each.span.line,
        )
        for each in report.results
    ]
    others = [each for each in report.findings if each.code != "E500"]
    print(junit_xml("ringfence test", [*cases, *finding_cases(others)]), end="")


def _as_json(report: Report) -> dict[str, Any]:
    failed = len(report.failed)
    whole: dict[str, Any] = {
        "sound": report.sound,
        "backends": list(report.backends),
        "passed": len(report.results) - failed,
        "failed": failed,
        "cases": [_case_as_json(each) for each in report.results],
    }
    if report.left_out is not None:
        whole["changed"] = list(report.changes)
        whole["left_out"] = [
            {"path": each.path, "cases": each.cases, "why": each.why} for each in report.left_out
        ]
    if (coverage := report.coverage) is not None:
        whole["coverage"] = {
            "percent": coverage.percent,
            "wanted": report.fail_under,
            "covered": coverage.covered,
            "items": len(coverage.items),
            "groups": [
                {"name": each.name, "covered": each.covered, "items": each.all}
                for each in coverage.groups
            ],
            "uncovered": [
                {
                    "group": each.group,
                    "kind": each.kind,
                    "what": each.label,
                    "place": str(each.span),
                }
                for each in coverage.uncovered
            ],
        }
    if (mutation := report.mutation) is not None:
        whole["mutation"] = {
            "percent": mutation.percent,
            "wanted": report.fail_under_mutants,
            "tried": len(mutation.tried),
            "noticed": len(mutation.tried) - len(mutation.survivors),
            "refused": mutation.refused,
            "left_out": mutation.left_out,
            "survivors": [
                {
                    "subject": each.subject,
                    "what": each.what,
                    "wanted": each.wanted,
                    "place": str(each.span),
                }
                for each in mutation.survivors
            ],
        }
    return whole


def _case_as_json(result: CaseResult) -> dict[str, Any]:
    decision = result.decision
    whole: dict[str, Any] = {
        "name": result.name,
        "place": str(result.span),
        "passed": result.passed,
        "problems": result.problems,
        **(_answer(decision) if decision else dict.fromkeys(_ANSWER)),
        "gates": [
            {
                "policy": gate.policy,
                "gate": gate.gate,
                "outcome": str(gate.outcome),
                "check": gate.check,
                "measure": finite(gate.measure),
                "limit": finite(gate.limit),
                "unit": gate.unit,
                "reason": gate.reason,
            }
            for gate in (decision.gates if decision else ())
        ],
    }
    if not result.passed:
        # Only here: with its defaults merged in, a case is large.
        asked = plain_data(result.given)
        whole |= {**asked, "then": plain_data(result.expected)}
    return whole


_ANSWER = ("decision", "size", "code", "reason")


def _answer(decision: Decision) -> dict[str, str]:
    return {name: str(getattr(decision, name)) for name in _ANSWER}
