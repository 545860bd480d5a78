"""A plan: what a change of policies does, in trading terms, and what it needs before it may be applied.

`schemas/plan.v1.schema.json` says what is in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ringfence import __version__
from ringfence.errors import Span
from ringfence.language.linking import LinkedSet
from ringfence.review.approval_rules import ApprovalRules, Asked
from ringfence.review.beside_changes import Move
from ringfence.review.directed_changes import DirectedChange, Review, review_of
from ringfence.review.given_approvals import standing
from ringfence.review.limit_words import scope_words
from ringfence.review.lost_checks import LostCheck
from ringfence.review.witness_words import witness_told
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock

__all__ = ["SCHEMA", "Given", "Side", "make_plan", "moment_text"]

SCHEMA = "ringfence/plan/v1"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a change.

    Attributes:
        linked: The set.
        source: The SPEC it was read from.
        commit: Its commit; empty where it does not come from one.
    """

    linked: LinkedSet
    source: str
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """Approvals that were given.

    Attributes:
        rules: Those of the base.
        people: Who approved.
        authors: Who made the change.
        left_out: Approvals that do not count, with the reason.
        rules_changed: Whether the change is one of the approvals' rules as well.
    """

    rules: ApprovalRules
    people: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    rules_changed: bool = False


def make_plan(
    base: Side,
    head: Side,
    given: Given,
    dry_run: dict[str, Any] | None = None,
    *,
    review: Review | None = None,
    checks: Sequence[LostCheck] = (),
    clock: Clock = SYSTEM_CLOCK,
) -> dict[str, Any]:
    """Make a plan.

    Args:
        base, head: Both sides.
        given: Approvals.
        dry_run: Summary of a dry run of both sides; None where no orders were given.
        review: Of both sides, where it is known already.
        checks: What is checked no more, or otherwise.
        clock: Tells the time.
    """
    review = review or review_of(base.linked, head.linked, since_ns=clock.now_ns())
    return {
        "schema": SCHEMA,
        "ringfence": __version__,
        "at": moment_text(clock.now_ns()),
        "base": _side(base),
        "head": _side(head),
        "direction": review.whole.direction.value,
        "blame": review.whole.blame,
        "looser": witness_told(review.whole.looser),
        "tighter": witness_told(review.whole.tighter),
        "changes": [_change(each, base.source, head.source) for each in review.changes],
        "checks": [_check(each, base.source, head.source) for each in checks],
        "dry_run": dry_run,
        "approvals": _approvals(review, checks, given),
    }


def moment_text(at_ns: int) -> str:
    """A moment (ns since 1970) as ISO 8601 in UTC, to the second."""
    moment = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _side(side: Side) -> dict[str, Any]:
    return {"source": side.source, "commit": side.commit, "policy_set": side.linked.sha256}


def _change(found: DirectedChange, base: str, head: str) -> dict[str, Any]:
    change, directed = found.change, found.directed
    policy = change.head_policy or change.base_policy
    return {
        "kind": change.kind,
        "policy": change.policy,
        "gate": change.gate,
        "levels": list(change.levels),
        "scope": scope_words(policy.scope) if policy is not None else "all orders",
        "direction": directed.direction.value,
        "blame": directed.blame,
        "still": found.still,
        "halts": list(directed.halts),
        "looser": witness_told(directed.looser),
        "tighter": witness_told(directed.tighter),
        "moves": [_move(each, base, head) for each in change.moves],
    }


def _check(check: LostCheck, base: str, head: str) -> dict[str, Any]:
    return {
        "kind": check.kind,
        "what": check.what,
        "name": check.name,
        "says": check.says,
        "levels": list(check.levels),
        "direction": check.direction,
        "base": _place(check.base, base),
        "head": _place(check.head, head),
    }


def _move(move: Move, base: str, head: str) -> dict[str, Any]:
    return {
        "what": move.what,
        "name": move.name,
        "where": move.where,
        "old": move.old,
        "new": move.new,
        "factor": move.factor,
        "base": _place(move.base, base),
        "head": _place(move.head, head),
    }


def _place(span: Span | None, source: str) -> dict[str, Any] | None:
    if span is None:
        return None
    revision = source.removeprefix("git:").partition(":")[0] if source.startswith("git:") else ""
    path = span.path.removeprefix(f"{revision}:") if revision else span.path
    return {"path": path, "line": span.line, "column": span.column}


def _approvals(review: Review, checks: Sequence[LostCheck], given: Given) -> dict[str, Any]:
    asked = [*(each.asked for each in review.changes), *(each.asked for each in checks)]
    if given.rules_changed:
        # Who may approve is worth as much as any limit.
        asked.append(Asked("UNKNOWN", ("firm",)))
    found = standing(given.rules, asked, given.people, given.authors, given.left_out)
    return {
        "source": found.source,
        "rules_changed": given.rules_changed,
        "complete": found.complete,
        "authors": list(given.authors),
        "needs": [
            {
                "group": each.group,
                "needed": each.needed,
                "given": list(each.given),
                "missing": each.missing,
                "may": list(each.may),
            }
            for each in found.needs
        ],
        "left_out": [{"person": person, "why": why} for person, why in found.left_out],
    }
