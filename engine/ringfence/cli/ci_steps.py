"""The steps of `ringfence ci`, in their order; each is what the command of its name does, in this process."""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ringfence.cli.output import compiling_is_said
from ringfence.errors import Diagnostic, PolicyError
from ringfence.language.linking import LinkedSet, link_path
from ringfence.replay.wording import plural
from ringfence.review.gate import StepResult, Verdict
from ringfence.review.merge_base import Base
from ringfence.review.mistakes.previous import Previous
from ringfence.review.mistakes.settings import Settings

__all__ = ["STEPS", "Change"]


@dataclass(frozen=True)
class Change:
    """What is judged, and what by.

    Attributes:
        policies: The directory of policies.
        base: What it is compared with; None where there is nothing to compare with.
        now_ns: The time, in ns since 1970.
        given: The command's arguments.
    """

    policies: Path
    base: Base | None
    now_ns: int
    given: argparse.Namespace

    @cached_property
    def head(self) -> LinkedSet:
        """The policies as they are in the directory.

        Raises:
            PolicyError: with every finding of every file.
        """
        return link_path(self.policies)

    @cached_property
    def previous(self) -> Previous:
        """The policies as they are in the base; without a set where nothing can be compared with."""
        from ringfence.review.mistakes.previous import previous_of

        if self.base is None:
            return Previous(None)
        return previous_of(self.base.short, self.policies)

    @cached_property
    def settings(self) -> Settings:
        """What the desk has settled: in the base, where there are policies.

        Raises:
            PolicyError: with every finding of the file.
        """
        from ringfence.review.mistakes.previous import settings_of

        base = self.base.short if self.base is not None else None
        return settings_of(self.policies, base, self.previous)

    @property
    def replays(self) -> bool:
        """Whether orders are replayed through both sides."""
        return self.given.orders is not None or "orders" in self.settings.replayed

    @property
    def documents(self) -> list[Path]:
        """Where the documents of the change lie: the policies, and what the desk settles about its checks."""
        own = Path(".ringfence")
        return [self.policies, *([own] if own.is_dir() else [])]


def validate(change: Change) -> StepResult:
    """Every fault of every file, and the mistakes people make, against the base too."""
    from ringfence.review.mistakes import Context, find_mistakes
    from ringfence.review.test_runner import check_own_policy

    linked, settings = change.head, change.settings
    for document in linked.documents.values():
        if document.data["kind"] == "PolicyTest":
            check_own_policy(document)
    previous = change.previous
    found = find_mistakes(Context(linked, change.now_ns, previous.linked, settings))
    told = [each for each in previous.findings if each.code not in settings.off]
    return _judged(
        change,
        [*told, *found],
        f"{plural(len(linked.policies), 'policy', 'policies')}, {plural(len(linked.gates), 'gate')}",
    )


def fmt(change: Change) -> StepResult:
    """Whether every file is in the one layout."""
    from ringfence.review.layout_files import lay_out, not_canonical

    files = list(lay_out(change.documents))
    wrong = [not_canonical(each) for each in files if each.changes]
    found = [*(finding for each in files for finding in each.findings), *wrong]
    if wrong:
        return StepResult(
            Verdict.FAILED, f"{plural(len(wrong), 'file')} not in the one layout", tuple(found)
        )
    return _judged(change, found, f"{plural(len(files), 'file')} in the one layout")


def lint(change: Change) -> StepResult:
    """Taste; whatever is found fails, as it does on its own."""
    from ringfence.review.lint import lint

    found = lint(change.documents, Path.cwd(), change.settings.lint_off)
    if found.findings:
        said = f"{plural(len(found.findings), 'finding')} of taste"
        return StepResult(Verdict.FAILED, said, tuple(found.findings))
    return StepResult(Verdict.PASSED, f"{plural(len(found.documents), 'document')}, nothing to say")


def test(change: Change) -> StepResult:
    """Every case of the policies and their rules, and how much they show.

    Where orders are replayed the kernel is loaded anyway, and has to agree with the interpreter.
    """
    from ringfence.review.gate_details import uncovered_details, uncovered_title
    from ringfence.review.test_runner import BACKENDS, run_case
    from ringfence.review.testing.coverage import coverage_of
    from ringfence.review.testing.findings import failed_cases, too_little_covered
    from ringfence.review.testing.run import read_suite

    if not any(each.data["kind"] == "PolicyTest" for each in change.head.documents.values()):
        return StepResult(Verdict.SKIPPED, "there are no tests")
    suite = read_suite([change.policies])
    backends = tuple(BACKENDS) if change.replays else ("reference",)
    with compiling_is_said(json=False):
        results = [run_case(each, backends) for each in suite.cases]
    failed = failed_cases(results)
    if failed:
        said = f"{len(failed)} of {plural(len(results), 'case')} failed"
        return StepResult(Verdict.FAILED, said, tuple(failed))
    coverage = coverage_of(results, suite.linked, suite.rules)
    lacking = too_little_covered(coverage, change.settings.fail_under)
    return replace(
        _judged(
            change,
            lacking,
            f"{plural(len(results), 'case')} passed, {coverage.percent:.1f} % covered",
        ),
        title=uncovered_title(coverage),
        details=uncovered_details(coverage),
    )


def prove(change: Change) -> StepResult:
    """Every invariant, over all orders."""
    from ringfence.language.invariant_library import invariants_for
    from ringfence.review.gate_details import proof_details
    from ringfence.review.proof_cache import ProofCache, proofs_key
    from ringfence.review.proof_words import findings_of
    from ringfence.review.proofs import Question, prove

    linked = change.head
    invariants, faults = invariants_for(linked, [])
    if faults:
        raise PolicyError(faults)

    def kernel(*given: Any, **options: Any) -> Any:
        from ringfence.backends import numba_kernel

        with compiling_is_said(json=False):
            return numba_kernel.decide(*given, **options)

    question = Question(linked, invariants, change.previous.linked, kernel=kernel)
    proofs = prove(question, cache=ProofCache(proofs_key(linked.sha256)))
    counts = Counter(each.status for each in proofs)
    found = _judged(
        change,
        findings_of(proofs, linked),
        ", ".join(f"{number} {status}" for status, number in counts.items()),
    )
    title, details = proof_details(proofs, linked)
    return replace(found, title=title, details=details)


def plan(change: Change) -> StepResult:
    """What the change does, and whether those have approved who must."""
    from ringfence.cli.ci_plan import plan_step

    if change.base is None:
        return StepResult(Verdict.SKIPPED, "there is nothing to compare with")
    return plan_step(
        change.given, change.base, change.settings, change.head, change.previous.linked
    )


def _judged(change: Change, findings: Sequence[Diagnostic], said: str) -> StepResult:
    """Failed where a finding is an error; a strict gate takes warnings for errors."""
    counts = Counter(each.severity for each in findings)
    wrong = bool(counts["error"] or (change.given.strict and counts["warning"]))
    told = [plural(counts[kind], kind) for kind in ("error", "warning") if counts[kind]]
    verdict = Verdict.FAILED if wrong else Verdict.PASSED
    return StepResult(verdict, "; ".join([*told, said]), tuple(findings))


STEPS: Mapping[str, Callable[[Change], StepResult]] = {
    "validate": validate,
    "fmt": fmt,
    "lint": lint,
    "test": test,
    "prove": prove,
    "plan": plan,
}
