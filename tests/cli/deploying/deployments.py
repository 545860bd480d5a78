"""Deployments of a checkout made for tests, and steps that pass."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ringfence._resources import bundled
from ringfence.cli.deploying.deployment import Deployment
from ringfence.cli.deploying.run import STEPS, Deployed
from ringfence.cli.deploying.step import Outcome, Step, judged

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads(bundled("schemas").joinpath("deployment.v1.schema.json").read_text("utf-8"))
COMPOSE: dict[str, Any] = {
    "services": {
        "ringfence": {
            "image": "ringfence:local",
            "build": ".",
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "read_only": True,
            "mem_limit": "2g",
            "ports": ["${RINGFENCE_BIND:-127.0.0.1}:5000:5000"],
            "environment": {"JWT_SECRET_KEY_FILE": "/run/secrets/jwt_secret_key"},
        }
    }
}


def never(seconds: float) -> None:
    raise AssertionError(f"nobody waits {seconds} s in a test")


Make = Callable[..., Deployment]


def passed(_: Deployment) -> Outcome:
    return judged([], "well", strict=True)


def real(*names: str, **others: Callable[[Deployment], Outcome]) -> tuple[Step, ...]:
    """The steps of these names as they are; of the others what was given, or one that passes."""
    from dataclasses import replace

    return tuple(
        step if step.name in names else replace(step, run=others.get(step.name, passed))
        for step in STEPS
    )


def results(done: Deployed) -> dict[str, str]:
    return {name: str(each.result) for name, each in done.outcomes.items()}


def quiet(name: str, outcome: Outcome) -> None:
    assert name
    assert outcome.said


CHANGES = ("build", "start", "health")
