"""All steps in their order: which are run, which are skipped, and when is gone back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ringfence.cli.deploying.changing import (
    build,
    go_back,
    health,
    policy_gate,
    start,
    tests,
)
from ringfence.cli.deploying.deployment import Deployment
from ringfence.cli.deploying.machine_checks import (
    check_compose,
    check_disk,
    check_engine,
    check_files,
    check_memory,
    check_ports,
)
from ringfence.cli.deploying.security_checks import (
    check_compose_file,
    check_dependencies,
    check_modes,
    check_secrets,
    check_source,
)
from ringfence.cli.deploying.smoke import smoke
from ringfence.cli.deploying.step import Finding, Outcome, Result, Severity, Step
from ringfence.errors import RingfenceError

__all__ = ["ROLLBACK", "STEPS", "Deployed", "Wish", "deploy"]

STEPS: tuple[Step, ...] = (
    Step("engine", "check", "a container engine is installed and answers", check_engine),
    Step("compose", "check", "Compose is there, and takes the compose file", check_compose),
    Step("files", "check", "every file that is built or mounted is there", check_files),
    Step("secrets", "check", "every secret is there and well-formed", check_secrets),
    Step("ports", "check", "the ports are free", check_ports),
    Step("disk", "check", "more than 10 GB of disk are free", check_disk),
    Step("memory", "check", "the machine has more than 4 GB of memory", check_memory),
    Step("modes", "security", "no secret is open to others on this machine", check_modes),
    Step(
        "hardening",
        "security",
        "the compose file gives services no more than they need",
        check_compose_file,
    ),
    Step("bandit", "security", "the source has no fault of high severity", check_source),
    Step("pip-audit", "security", "no dependency has a known fault", check_dependencies),
    Step("policies", "gate", "the policies pass `ringfence ci`", policy_gate),
    Step("tests", "gate", "the smoke tests pass", tests),
    Step("build", "change", "build the images", build, changes=True),
    Step("start", "change", "start the services", start, changes=True),
    Step("health", "prove", "every service is healthy", health, changes=True),
    Step(
        "smoke",
        "prove",
        "API, database, cache, guard, metrics and dashboard answer",
        smoke,
        changes=True,
    ),
)
"""Every step, in its order. A dry run only says what those with `changes` would do."""

ROLLBACK = "rollback"
# Skipped in production only by somebody who says why.
_NEEDS_REASON = {each.name for each in STEPS if each.stage == "security"} | {"secrets"}
_BEFORE_START = {each.name for each in STEPS if each.stage in ("check", "security", "gate")} | {
    "build"
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants otherwise: a dry run, steps left out, and why."""

    dry_run: bool = False
    skip: frozenset[str] = frozenset()
    reason: str = ""

    def faults(self, deployment: Deployment) -> str:
        """What speaks against it; empty where nothing does."""
        known = {each.name for each in STEPS}
        if unknown := sorted(self.skip - known):
            return (
                f"`{unknown[0]}` is no step; the steps are {', '.join(each.name for each in STEPS)}"
            )
        guarded = sorted(self.skip & _NEEDS_REASON)
        if deployment.strict and guarded and not self.reason.strip():
            return f"production skips `{guarded[0]}` only with a reason"
        return ""


@dataclass(slots=True)
class Deployed:
    """What came of it all: each step's outcome by its name, in order, and of the way back where it was taken."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """The steps that failed."""
        return [name for name, each in self.outcomes.items() if each.result is Result.FAILED]

    @property
    def exit_code(self) -> int:
        """0 where nothing failed, 1 otherwise."""
        return 1 if self.failed else 0


def deploy(
    deployment: Deployment,
    wish: Wish,
    tell: Callable[[str, Outcome], None],
    steps: tuple[Step, ...] = STEPS,
) -> Deployed:
    """Run every step that may run.

    All checks run whatever they find. Where one failed, nothing is changed. A step that fails after the services were
    started takes them back.

    Args:
        tell: Is given each outcome as it comes.
    """
    done, started = Deployed(), False

    def note(name: str, outcome: Outcome) -> None:
        done.outcomes[name] = outcome
        tell(name, outcome)

    for step in steps:
        if step.name in wish.skip:
            why = f": {wish.reason.strip()}" if wish.reason.strip() else ""
            note(step.name, Outcome(Result.SKIPPED, f"skipped{why}"))
        elif (
            done.failed
            and step.stage not in ("check", "security")
            and not _goes_on(step, done, steps)
        ):
            note(step.name, Outcome(Result.NOT_RUN, f"not run: `{done.failed[0]}` failed"))
        elif wish.dry_run and step.changes:
            note(step.name, Outcome(Result.PLANNED, f"would {_would(step)}"))
        else:
            started = started or step.name == "start"
            note(step.name, _timed(step, deployment))
    if started and any(name not in _BEFORE_START for name in done.failed):
        note(ROLLBACK, _timed(Step(ROLLBACK, "change", "go back", go_back), deployment))
    return done


def _goes_on(step: Step, done: Deployed, steps: tuple[Step, ...]) -> bool:
    """Whether a gate runs although another gate failed: both are reported, too."""
    stages: Mapping[str, str] = {each.name: each.stage for each in steps}
    return step.stage == "gate" and all(stages[name] == "gate" for name in done.failed)


def _would(step: Step) -> str:
    return step.does if step.stage == "change" else f"see that {step.does}"


def _timed(step: Step, deployment: Deployment) -> Outcome:
    begun = deployment.elapsed()
    try:
        outcome = step.run(deployment)
    except RingfenceError as error:
        message = getattr(error, "message", str(error))
        wrong = Finding(Severity.ERROR, message, getattr(error, "fix", "") or "see by hand")
        outcome = Outcome(Result.FAILED, "1 finding", (wrong,))
    return replace(outcome, seconds=deployment.elapsed() - begun)
