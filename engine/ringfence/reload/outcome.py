"""What came of a look at the source or of a person's request, and how a reloader is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Health", "Outcome", "Result"]

Result = Literal[
    "accepted",
    "current",
    "noticed",
    "pinned",
    "failed",
    "rolled-back",
    "applied",
    "unpinned",
    "shadow",
    "refused",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        result: `accepted` (a set from the source is in force), `current` (the source holds what is in force),
            `noticed` (something new, which may still change),
            `pinned` (it does not, and a person wants it so), `failed` (the last good set stays),
            `rolled-back`, `applied` (a set that a person named is in force), `unpinned`, `shadow`, or `refused` (a request that cannot be done).
        policy_set: SHA-256 of the set in force after it.
        before: SHA-256 of the set in force before it.
        at_ns: When it was over, ns since 1970, UTC.
        seconds: How long it took, without the debounce.
        by, reason: Who wanted it, and why.
        about: Where the set comes from; of a shadow, which it is.
        message, fix: Why it failed, and what to do.
        findings: The same, complete, as plain data.
        compiled: Whether a process was started to compile.
        tests: How many cases the set passed.
    """

    result: Result
    policy_set: str
    before: str
    at_ns: int
    seconds: float
    by: str
    reason: str
    about: Mapping[str, Any]
    message: str = ""
    fix: str = ""
    findings: tuple[Mapping[str, Any], ...] = ()
    compiled: bool = False
    tests: int = 0

    @property
    def ok(self) -> bool:
        """Whether what was wanted is so."""
        return self.result not in ("failed", "refused")

    @property
    def told(self) -> dict[str, Any]:
        """As plain data."""
        return {"ok": self.ok, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Health:
    """How a reloader is.

    Attributes:
        ok: Whether what the source holds is in force, or a person wants another set.
        source: Where sets come from.
        running: Whether its thread runs.
        policy_set, commit: What is in force; no commit where it does not come from one.
        since_ns: Since when (ns since 1970, UTC); 0 where it was so from the start.
        checked_ns: When the source was last found to hold it.
        failing_since_ns: Since when it fails; 0 where it does not.
        message, fix: Why, and what to do.
        pinned: SHA-256 of the set that a person went back to; empty where none did.
        watching: Whether the system tells of changes; else the source is read every `poll_ns`.
        trouble: What else is wrong: a record or a file that could not be written.
    """

    ok: bool
    source: str
    running: bool
    policy_set: str
    commit: str
    since_ns: int
    checked_ns: int
    failing_since_ns: int
    message: str
    fix: str
    pinned: str
    watching: bool
    trouble: str
