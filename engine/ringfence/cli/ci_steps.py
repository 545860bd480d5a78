"""The steps of `ringfence ci`, in their order; each is what the command of its name does, in this process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ringfence.errors import Diagnostic
from ringfence.language.linking import LinkedSet, link_path
from ringfence.replay.wording import plural
from ringfence.review.gate import StepResult, Verdict
from ringfence.review.merge_base import Base
from ringfence.review.mistakes.settings import Settings

__all__ = ["STEPS", "Change"]


@dataclass(frozen=True)
class Change:
    """What is judged, and what by.

    Attributes:
        policies: The directory of policies.
        base: What it is compared with; None where there is nothing to compare with.
        now_ns: The time, in ns since 1970.
        strict: Whether warnings fail it too.
    """

    policies: Path
    base: Base | None
    now_ns: int
    strict: bool = False

    @cached_property
    def head(self) -> LinkedSet:
        """The policies as they are in the directory.

        Raises:
            PolicyError: with every finding of every file.
        """
        return link_path(self.policies)

    @cached_property
    def settings(self) -> Settings:
        """What the desk has settled: in the base, where it has settled anything there.

        Raises:
            PolicyError: with every finding of the file.
        """
        from ringfence.review.mistakes.previous import settings_of

        return settings_of(self.policies, self.base.commit if self.base is not None else None)

    @property
    def documents(self) -> list[Path]:
        """Where the documents of the change lie: the policies, and what the desk settles about its checks."""
        own = Path(".ringfence")
        return [self.policies, *([own] if own.is_dir() else [])]


def validate(change: Change) -> StepResult:
    """Every fault of every file, and the mistakes people make, against the base too."""
    from ringfence.review.mistakes import Context, find_mistakes
    from ringfence.review.mistakes.previous import Previous, previous_of
    from ringfence.review.test_runner import check_own_policy

    linked, settings = change.head, change.settings
    for document in linked.documents.values():
        if document.data["kind"] == "PolicyTest":
            check_own_policy(document)
    base, previous = change.base, Previous(None)
    if base is not None:
        previous = previous_of(base.commit, change.policies, linked)
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
    from ringfence.review.lint import lint, switched_off

    root = Path.cwd()
    found = lint(change.documents, root, switched_off(root))
    if found.findings:
        said = f"{plural(len(found.findings), 'finding')} of taste"
        return StepResult(Verdict.FAILED, said, tuple(found.findings))
    return StepResult(Verdict.PASSED, f"{plural(len(found.documents), 'document')}, nothing to say")


def _judged(change: Change, findings: Sequence[Diagnostic], said: str) -> StepResult:
    """Failed where a finding is an error; a strict gate takes warnings for errors."""
    grave = ("error", "warning") if change.strict else ("error",)
    wrong = any(each.severity in grave for each in findings)
    return StepResult(Verdict.FAILED if wrong else Verdict.PASSED, said, tuple(findings))


STEPS: Mapping[str, Callable[[Change], StepResult]] = {
    "validate": validate,
    "fmt": fmt,
    "lint": lint,
}
