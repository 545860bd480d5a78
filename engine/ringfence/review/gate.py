"""The gate of a change: its checks one after another, every one of them whatever the ones before found."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from time import perf_counter
from typing import TypeVar

from ringfence.errors import Diagnostic, InputError, PolicyError

__all__ = ["EXIT_CODES", "GateResult", "StepResult", "Verdict", "run_steps"]

Given = TypeVar("Given")


class Verdict(StrEnum):
    """What came of a step, or of all of them."""

    PASSED = "passed"
    WAITS = "waits"
    """Nothing is wrong, and approvals are missing."""
    FAILED = "failed"
    BROKEN = "broken"
    """It could not run: bad usage or input."""
    SKIPPED = "skipped"
    """There was nothing to check, or what another step found stands in the way."""


EXIT_CODES: Mapping[Verdict, int] = {
    Verdict.PASSED: 0,
    Verdict.WAITS: 1,
    Verdict.FAILED: 1,
    Verdict.BROKEN: 2,
}
"""The exit code of a whole gate."""
_WORST_FIRST = (Verdict.BROKEN, Verdict.FAILED, Verdict.WAITS)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step came to.

    Attributes:
        verdict: Its own.
        said: What it found, in one line of plain text.
        findings: Everything with a place in a file; those that another step has told already are left out.
        notes: What is no fault and has a place in a file; shown there alone.
        details: Markdown for those who unfold it; inert, whatever the names in it are.
        section: Markdown that is shown at once.
        short_section: The same with its tables cut further, for a comment that is too long; empty where `section`
            is short already.
        title: The heading of `details`, in plain text; the step's name where empty.
        name: The step's name.
        seconds: How long it took.
    """

    verdict: Verdict
    said: str
    findings: tuple[Diagnostic, ...] = ()
    notes: tuple[Diagnostic, ...] = ()
    details: str = ""
    section: str = ""
    short_section: str = ""
    title: str = ""
    name: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GateResult:
    """What all steps came to."""

    steps: tuple[StepResult, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the steps'."""
        found = {each.verdict for each in self.steps}
        return next((each for each in _WORST_FIRST if each in found), Verdict.PASSED)

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """Those of all steps, in their order."""
        return tuple(finding for step in self.steps for finding in step.findings)


class _Told:
    """What has been found already, so that no finding is told twice."""

    def __init__(self) -> None:
        self._seen: set[tuple[object, ...]] = set()

    def new(self, findings: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        """Those that were not told before; they are from now on."""
        found = []
        for each in findings:
            key = (each.code, each.span, each.message)
            if key not in self._seen:
                self._seen.add(key)
                found.append(each)
        return tuple(found)


def run_steps(
    steps: Mapping[str, Callable[[Given], StepResult]],
    given: Given,
    begins: Callable[[str], None] = lambda _: None,
) -> GateResult:
    """Run every step.

    Args:
        steps: By name, in their order.
        given: What each of them is given.
        begins: Told the name of each step as it begins.
    """
    told = _Told()
    done = []
    for name, step in steps.items():
        begins(name)
        start = perf_counter()
        result = _run(step, given, told)
        done.append(replace(result, name=name, seconds=perf_counter() - start))
    return GateResult(tuple(done))


def _run(step: Callable[[Given], StepResult], given: Given, told: _Told) -> StepResult:
    try:
        result = step(given)
    except PolicyError as error:
        found = told.new(error.diagnostics)
        if not found:
            return StepResult(Verdict.SKIPPED, "the findings above stand in the way")
        return StepResult(Verdict.FAILED, "the policies cannot be read", found)
    except InputError as error:
        return StepResult(
            Verdict.BROKEN, f"{error.message}; {error.fix}" if error.fix else error.message
        )
    return replace(result, findings=told.new(result.findings))
