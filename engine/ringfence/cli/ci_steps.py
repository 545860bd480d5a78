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

__all__ = ["STEPS", "Change"]


@dataclass(frozen=True)
class Change:
    """What is judged, and what by.

    Attributes:
        policies: The directory of policies.
        base: What it is compared with; None where there is nothing to compare with.
        now_ns: The time, in ns since 1970.
    """

    policies: Path
    base: Base | None
    now_ns: int

    @cached_property
    def head(self) -> LinkedSet:
        """The policies as they are in the directory.

        Raises:
            PolicyError: with every finding of every file.
        """
        return link_path(self.policies)

    @property
    def documents(self) -> list[Path]:
        """Where the documents of the change lie: the policies, and what the desk settles about its checks."""
        own = Path(".ringfence")
        return [self.policies, *([own] if own.is_dir() else [])]


def validate(change: Change) -> StepResult:
    """Every fault of every file."""
    linked = change.head
    return StepResult(
        Verdict.PASSED,
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
    return _judged(found, f"{plural(len(files), 'file')} in the one layout")


def _judged(findings: Sequence[Diagnostic], said: str) -> StepResult:
    """Failed where a finding is an error."""
    wrong = any(each.severity == "error" for each in findings)
    return StepResult(Verdict.FAILED if wrong else Verdict.PASSED, said, tuple(findings))


STEPS: Mapping[str, Callable[[Change], StepResult]] = {
    "validate": validate,
    "fmt": fmt,
}
