"""The step `plan` of `ringfence ci`: what a change does, and whether those have approved who must."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ringfence.cli.approvals import approvals_given
from ringfence.cli.plan import plan_of
from ringfence.language.linking import LinkedSet
from ringfence.replay.markdown import MAX_CHARACTERS
from ringfence.replay.wording import plural
from ringfence.review.approval_rules import Asked
from ringfence.review.gate import StepResult, Verdict
from ringfence.review.given_approvals import standing
from ringfence.review.merge_base import Base
from ringfence.review.mistakes.settings import Settings
from ringfence.review.plan import Side
from ringfence.review.plan_findings import plan_findings
from ringfence.review.plan_markdown import MARKER, render_markdown
from ringfence.review.plan_words import DIRECTIONS

__all__ = ["plan_step"]

_LEVELS = ("firm", "account", "strategy")
_SHORT = 20_000
"""Characters of the plan in a comment that is too long with all of it."""


def plan_step(
    given: argparse.Namespace,
    base: Base,
    settings: Settings,
    head: LinkedSet,
    before: LinkedSet | None,
) -> StepResult:
    """Make the plan of a change.

    Args:
        given: The arguments of `ringfence ci`.
        base: What the change is compared with.
        settings: What is replayed where the arguments do not say it.
        head: The policies as they are now.
        before: Those of the base; None where there are none, or none that link.
    """
    asked = _arguments(given, base, settings)
    if before is None:
        return _without_base(asked, base, head)
    plan, *_ = plan_of(asked)
    changes = plan["changes"]
    said = DIRECTIONS[plan["direction"]] if changes else "no limit changes"
    if lost := plan["checks"]:
        said += f"; {plural(len(lost), 'check')} gone or weaker"
    # What is looser is no fault; it is told on its lines all the same.
    notes = tuple(replace(each, severity="note") for each in plan_findings(plan))
    told = changes or lost or plan["approvals"]["needs"]
    section, short = (
        render_markdown(plan, most).removeprefix(MARKER).strip() if told else ""
        for most in (MAX_CHARACTERS, _SHORT)
    )
    needs = [(each["group"], each["missing"]) for each in plan["approvals"]["needs"]]
    found = _approved(said, needs, left_to_others=given.no_approvals)
    return replace(
        found, section=section, short_section=short if short != section else "", notes=notes
    )


def _arguments(given: argparse.Namespace, base: Base, settings: Settings) -> argparse.Namespace:
    """Those of `ringfence plan`: what the command was given, and what the desk has settled where it was not."""
    settled: dict[str, Any] = {
        name: value for name, value in settings.replayed.items() if getattr(given, name) is None
    }
    if "instruments" in settled:
        settled["instruments"] = Path(settled["instruments"])
    if "equity" in settled:
        settled["equity"] = str(settled["equity"])
    return argparse.Namespace(
        **{
            **vars(given),
            **settled,
            "base": f"git:{base.short}:{given.policies}",
            "head": None,
            "policies": str(given.policies),
            "out": given.report,
        }
    )


def _without_base(asked: argparse.Namespace, base: Base, head: LinkedSet) -> StepResult:
    """Nothing is known of the change but that it may be looser, on every level."""
    side = Side(head, asked.base, base.commit)
    people = approvals_given(asked, side, Side(head, asked.policies))
    found = standing(
        people.rules,
        [Asked("UNKNOWN", _LEVELS)],
        people.people,
        people.authors,
        people.left_out,
    )
    said = "the base has no policies that could be compared with, so any limit may be looser"
    needs = [(each.group, each.missing) for each in found.needs]
    return _approved(said, needs, left_to_others=asked.no_approvals)


def _approved(said: str, needs: Sequence[tuple[str, int]], *, left_to_others: bool) -> StepResult:
    """Waiting while approvals are missing, where it is for this gate to wait; `needs` by group."""
    missing = [f"{number} more of {group}" for group, number in needs if number]
    if not missing:
        return StepResult(Verdict.PASSED, said)
    verdict = Verdict.PASSED if left_to_others else Verdict.WAITS
    return StepResult(verdict, f"{said}; approvals missing: {', '.join(missing)}")
