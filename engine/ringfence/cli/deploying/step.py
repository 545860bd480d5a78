"""What a deployment is made of: steps, each a value, and what came of each."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ringfence.cli.deploying.deployment import Deployment

__all__ = ["Finding", "Outcome", "Result", "Severity", "Stage", "Step", "judged"]

Stage = Literal["check", "security", "gate", "change", "prove"]
"""What may go on: every `check` and `security` step is run whatever the ones before found; a `gate` step once those
have passed; then what changes something; then what proves that the new one works."""


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    UNKNOWN = "unknown"
    """Nobody can say: production takes it for an error."""


class Result(StrEnum):
    """What came of a step."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Somebody asked for that."""
    PLANNED = "planned"
    """A dry run: it would be done."""
    NOT_RUN = "not-run"
    """A step before it failed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and how to mend it."""

    severity: Severity
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step: the result, a line about it, findings, and how long it took in seconds."""

    result: Result
    said: str
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: As `--skip` takes it.
        stage: When it is run, and what it stops.
        does: What it does, in a line; what a dry run says of it.
        run: Does it.
        changes: Whether it changes anything; a dry run then only says what it would do.
    """

    name: str
    stage: Stage
    does: str
    run: "Callable[[Deployment], Outcome]"
    changes: bool = False


def judged(findings: list[Finding], said: str, *, strict: bool) -> Outcome:
    """The outcome of a check: failed by an error, and where it is strict by what nobody can say.

    Args:
        findings: What was found.
        said: What to say where nothing was found.
        strict: Whether this is production.
    """
    failing = {Severity.ERROR, Severity.UNKNOWN} if strict else {Severity.ERROR}
    if any(each.severity in failing for each in findings):
        result = Result.FAILED
    else:
        result = Result.WARNED if findings else Result.PASSED
    count = len(findings)
    told = said if not findings else f"{count} finding{'' if count == 1 else 's'}"
    return Outcome(result, told, tuple(findings))
