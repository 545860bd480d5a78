"""The steps that change something: gate and tests before them, images, containers, and the way back."""

import json
import subprocess  # nosec B404  # this program itself, and pytest
from pathlib import Path

from ringfence.cli.deploying.deployment import Deployment, Previous
from ringfence.cli.deploying.engine import Engine, Running, Service
from ringfence.cli.deploying.smoke import wait_for_start
from ringfence.cli.deploying.step import Finding, Outcome, Result, Severity, judged
from ringfence.cli.secret_group import group_of_secrets, tell_compose
from ringfence.errors import InputError
from ringfence.runtime.credentials import ALL_SECRETS
from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.runtime.secret_files import make_secrets

__all__ = ["SERVICE", "build", "go_back", "health", "policy_gate", "remember", "start", "tests"]

SERVICE = "ringfence"
ROLLBACK_TAG = "ringfence:before-deployment"
# Where the image keeps it.
_STORE = "/var/lib/ringfence/policies"
_GATE_TIMEOUT_S = 3600.0
_SHOWN_LINES = 12


def policy_gate(deployment: Deployment) -> Outcome:
    """The policies validate, their tests pass, their invariants are proved: `ringfence ci`."""
    words = ["-m", "ringfence.cli.main", "ci", "--policies", str(deployment.policies)]
    return _ran(deployment, [*words, "--no-approvals"], "every check of `ringfence ci` passed")


def tests(deployment: Deployment) -> Outcome:
    """The shortest tests pass: `pytest -m smoke`."""
    if not (deployment.root / "tests").is_dir():
        missing = Finding(
            Severity.UNKNOWN,
            "there are no tests here",
            "deploy from a whole checkout, or skip this step",
        )
        return judged([missing], "", strict=deployment.strict)
    words = ["-m", "pytest", "--quiet", "-m", "smoke and not integration", "tests"]
    return _ran(deployment, words, "the smoke tests passed")


def remember(engine: Engine) -> Previous:
    """What runs now, so that there is something to go back to: its image gets a name of its own."""
    running = [
        each for each in engine.running() if each.service == SERVICE and each.state == "running"
    ]
    if not running:
        return Previous()
    image = engine.image_of(running[0].container)
    engine.tag(image, ROLLBACK_TAG)
    return Previous(image, _policy_set(engine))


def build(deployment: Deployment) -> Outcome:
    """Note what runs now, and build the new images; testing gets secrets of its own."""
    said = _prepare(deployment)
    _engine(deployment).build()
    return Outcome(Result.PASSED, f"built{said}")


def start(deployment: Deployment) -> Outcome:
    """Start what is new."""
    # Where nothing was built, nothing was noted yet.
    said = _prepare(deployment)
    _engine(deployment).up(build=False)
    return Outcome(Result.PASSED, f"started{said}")


def _prepare(deployment: Deployment) -> str:
    """Note what runs now, once; testing gets secrets of its own. Gives what is to be said of it."""
    engine, said = _engine(deployment), ""
    if deployment.is_prepared:
        return said
    if deployment.environment == "testing":
        made = {
            kind.name: kind.make(SYSTEM_RANDOM) for kind in ALL_SECRETS if kind.issued_elsewhere
        }
        group = group_of_secrets()
        make_secrets(deployment.secrets, given=made, group=group)
        said = tell_compose(deployment.secrets, group)
    deployment.previous = remember(engine)
    deployment.is_prepared = True
    return f"; {said}" if said else ""


def health(deployment: Deployment) -> Outcome:
    """Wait until every service runs and is healthy."""
    engine, machine = _engine(deployment), deployment.machine
    wanted = engine.services()
    begun = deployment.elapsed()
    while True:
        running = {each.service: each for each in engine.running()}
        waiting = {
            name: told
            for name, about in sorted(wanted.items())
            if (told := _lacking(running.get(name), about))
        }
        if not waiting:
            return judged([], f"{len(wanted)} services are healthy", strict=deployment.strict)
        ended = any(told.startswith("ended") for told in waiting.values())
        if ended or deployment.elapsed() - begun > machine.patience_s:
            findings = [
                Finding(
                    Severity.ERROR, f"service `{name}` {told}", f"see `docker compose logs {name}`"
                )
                for name, told in waiting.items()
            ]
            return judged(findings, "", strict=deployment.strict)
        deployment.wait(machine.look_s)


def go_back(deployment: Deployment) -> Outcome:
    """Start what ran before, with the policy set that was in force; where nothing ran, stop what was started."""
    engine, previous = _engine(deployment), deployment.previous
    if not previous.image:
        engine.down()
        return Outcome(Result.PASSED, "stopped: nothing ran before")
    engine.tag(ROLLBACK_TAG, engine.services()[SERVICE].image)
    engine.up(build=False)
    back = health(deployment)
    if back.result is Result.FAILED:
        return back
    wait_for_start(deployment)
    said = f"image {previous.image[:19]} runs again"
    if previous.policy_set:
        if _policy_set(engine) != previous.policy_set:
            engine.inside(
                SERVICE,
                [
                    *("ringfence", "reload", "--store", _STORE, "--rollback", previous.policy_set),
                    *("--by", deployment.by, "--reason", "the deployment failed"),
                ],
            )
        said += f", policy set {previous.policy_set[:12]} is in force"
    return Outcome(Result.PASSED, said)


def _policy_set(engine: Engine) -> str:
    """The set that is in force; empty where the service cannot say."""
    try:
        told = engine.inside(
            SERVICE, ["ringfence", "reload", "status", "--store", _STORE, "--json"]
        )
        return str(json.loads(told).get("policy_set") or "")
    except (InputError, ValueError, AttributeError):
        return ""


def _lacking(container: Running | None, service: Service) -> str:
    """What keeps a service from being ready; empty where nothing does. One without a health check has to run."""
    if container is None:
        return "is not there"
    if container.state in ("exited", "dead"):
        if service.is_job and container.exit_code == 0:
            return ""
        return f"ended with {container.exit_code}"
    if container.state != "running":
        return f"is {container.state or 'not there'}"
    if service.is_job:
        return "is still at it"
    return "" if container.health in ("", "healthy") else f"is {container.health}"


def _engine(deployment: Deployment) -> Engine:
    if deployment.engine is None:
        told = deployment.no_engine()
        raise InputError(told.message, told.fix)
    return deployment.engine


def _ran(deployment: Deployment, words: list[str], said: str) -> Outcome:
    """The outcome of a program that says by its exit code whether all is well."""
    try:
        done = subprocess.run(  # nosec B603  # no shell
            [deployment.python, *words],
            cwd=deployment.root,
            env=dict(deployment.environ),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GATE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        wrong = Finding(
            Severity.ERROR, f"it could not be run: {type(error).__name__}", "see by hand"
        )
        return judged([wrong], "", strict=deployment.strict)
    if done.returncode == 0:
        return judged([], said, strict=deployment.strict)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    shown = " ".join(Path(each).name if "/" in each else each for each in words)
    wrong = Finding(
        Severity.ERROR,
        f"`python {shown}` ended with {done.returncode}:\n    "
        + "\n    ".join(lines[-_SHOWN_LINES:]),
        "run it by hand, and mend what it tells",
    )
    return judged([wrong], "", strict=deployment.strict)
