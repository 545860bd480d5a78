"""What differs between two policy sets: what moved, at once; in which direction, once a process has proved it."""

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ringfence.review.approval_rules import ApprovalRules
from ringfence.review.directed_changes import DirectedChange, Review
from ringfence.review.directions import Directed, Direction
from ringfence.review.limit_changes import limit_changes
from ringfence.review.plan import Given, Side, make_plan
from ringfence.service.desk import Desk
from ringfence.service.jobs import Job, Jobs
from ringfence.service.policy_sets import load_set, write_files

__all__ = ["Diff", "diff_of"]

_WORDS = {
    "TIGHTER": ("ok", "Tightened"),
    "LOOSER": ("warn", "Loosened"),
    "EQUAL": ("plain", "No decision changes"),
    "INCOMPARABLE": ("warn", "Tighter and looser"),
    "UNKNOWN": ("warn", "Not proved"),
}
_NUMBER = re.compile(r"^[0-9]{4}-")
_PROVING = ("plain", "Being proved")


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs.

    Attributes:
        base, head: SHA-256 of both sets.
        plan: As a plan has it; of its directions only `state` says whether they are proved.
        state: `proved`, `proving`, or `failed` (`problem` says why).
    """

    base: str
    head: str
    plan: dict[str, Any]
    state: str
    problem: str = ""

    def direction(self, name: str) -> tuple[str, str]:
        """Kind of badge and words for a direction."""
        return _WORDS[name] if self.state == "proved" else _PROVING

    @staticmethod
    def answer(told: dict[str, Any]) -> str:
        """What a set says to a witness's order."""
        return " ".join(
            str(part) for part in (told["decision"], told["size"], told["reason"]) if part
        )

    def file_of(self, place: dict[str, Any]) -> str:
        """Name of the file of a place; a proof is made from copies, which have numbers before their names."""
        return _NUMBER.sub("", PurePath(place["path"]).name)


def diff_of(desk: Desk, jobs: Jobs, by: str, base: str, head: str) -> Diff:
    """What differs between two sets of the store; the proof is begun where there is none yet.

    Raises:
        InputError: there is no such set.
        StateError: the file of a set is damaged.
    """
    sides = [base, head]
    loaded = [load_set(desk, name) for name in sides]
    known = next((each for each in jobs.all("plan") if each.about.get("sides") == sides), None)
    if known is not None and known.result is not None:
        return Diff(base, head, known.result, "proved")
    both = [Side(each.linked, name) for each, name in zip(loaded, sides, strict=True)]
    unknown = Directed(Direction.UNKNOWN, None, None, "", never_looser=False, never_tighter=False)
    moved = limit_changes(both[0].linked, both[1].linked)
    review = Review(tuple(DirectedChange(each, unknown) for each in moved), unknown)
    plan = make_plan(both[0], both[1], Given(ApprovalRules({}, (), "")), review=review)
    if not moved:
        return Diff(base, head, {**plan, "direction": "EQUAL"}, "proved")
    if known is None or known.state in ("cancelled", "lost"):
        known = _begin(desk, jobs, by, sides, loaded)
    problem = str((known.problem or {}).get("message", ""))
    return Diff(base, head, plan, "failed" if known.is_over else "proving", problem)


def _begin(desk: Desk, jobs: Jobs, by: str, sides: list[str], loaded: list[Any]) -> Job:
    name = jobs.new_name()
    folder = jobs.folder_of(name)
    specs = [
        write_files(each, folder / word)
        for word, each in zip(("base", "head"), loaded, strict=True)
    ]
    work = {"base": specs[0], "head": specs[1], "names": sides, "now_ns": desk.clock.now_ns()}
    return jobs.start(name, "plan", by, {"sides": sides}, work)
