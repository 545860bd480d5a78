"""The steps of `ringfence ci`, in their order; each is what the command of its name does, in this process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

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


def validate(change: Change) -> StepResult:
    """Every fault of every file."""
    linked = change.head
    return StepResult(
        Verdict.PASSED,
        f"{plural(len(linked.policies), 'policy', 'policies')}, {plural(len(linked.gates), 'gate')}",
    )


STEPS: Mapping[str, Callable[[Change], StepResult]] = {
    "validate": validate,
}
