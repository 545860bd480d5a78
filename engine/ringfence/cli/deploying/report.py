"""What a deployment came to, for people and as JSON (`schemas/deployment.v1.schema.json`)."""

from datetime import UTC, datetime
from typing import Any

from ringfence import __version__
from ringfence.cli.deploying.deployment import Deployment
from ringfence.cli.deploying.run import ROLLBACK, Deployed, Wish
from ringfence.cli.deploying.step import Outcome, Result

__all__ = ["headline", "outcome_text", "report_data", "report_text"]


def report_data(deployment: Deployment, wish: Wish, done: Deployed, at_ns: int) -> dict[str, Any]:
    """The report as data."""
    return {
        "ringfence": __version__,
        "environment": deployment.environment,
        "at": datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="seconds"),
        "by": deployment.by,
        "dry_run": wish.dry_run,
        "skipped": sorted(wish.skip),
        "reason": wish.reason,
        "exit_code": done.exit_code,
        "headline": headline(wish, done),
        "previous": {
            "image": deployment.previous.image,
            "policy_set": deployment.previous.policy_set,
        },
        "steps": [
            {
                "name": name,
                "result": str(each.result),
                "said": each.said,
                "seconds": round(each.seconds, 3),
                "findings": [
                    {"severity": str(found.severity), "message": found.message, "fix": found.fix}
                    for found in each.findings
                ],
            }
            for name, each in done.outcomes.items()
        ],
    }


def report_text(deployment: Deployment, wish: Wish, done: Deployed, at_ns: int) -> str:
    """The report for people."""
    at = datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="seconds")
    head = f"deployment to {deployment.environment} by {deployment.by}, {at}\n"
    steps = "".join(outcome_text(name, each) for name, each in done.outcomes.items())
    return f"{head}{steps}{headline(wish, done)}\n"


def outcome_text(name: str, outcome: Outcome) -> str:
    """One step, its findings below it."""
    lines = [f"{outcome.result:<8} {name:<10} {outcome.said} ({outcome.seconds:.1f} s)"]
    for each in outcome.findings:
        lines += [f"  {each.severity}: {each.message}", f"    fix: {each.fix}"]
    return "\n".join(lines) + "\n"


def headline(wish: Wish, done: Deployed) -> str:
    """All of it in one line."""
    if done.failed:
        named = ", ".join(f"`{each}`" for each in done.failed)
        back = done.outcomes.get(ROLLBACK)
        if back is None:
            return f"failed: {named}; nothing was started"
        if back.result is Result.FAILED:
            return f"failed: {named}; going back failed too: see to it now"
        return f"failed: {named}; {back.said}"
    if wish.dry_run:
        return "dry run: nothing was changed, and nothing stands in the way"
    return "deployed"
