"""What can be switched, how it stands, and who switched it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ringfence.errors import AuditError
from ringfence.runtime.audit_reader import tail
from ringfence.service.desk import Desk

__all__ = ["Stand", "Turn", "stand_of", "stands", "turns"]

# So far back the log is read for what was switched.
_RECORDS = 5_000


@dataclass(frozen=True, slots=True)
class Stand:
    """How a switch stands; `by`, `reason` and `at_ns` are empty and 0 where nobody ever set it.

    Attributes:
        target: `firm`, or `account/NAME`, `strategy/NAME`, `venue/NAME`, `symbol/NAME`.
    """

    target: str
    state: str = "active"
    by: str = ""
    reason: str = ""
    at_ns: int = 0

    @property
    def kind(self) -> str:
        """`account`, `strategy`, `venue` or `symbol`; empty of the firm."""
        return self.target.partition("/")[0] if "/" in self.target else ""

    @property
    def name(self) -> str:
        """Its name among those of its kind."""
        return self.target.partition("/")[2] or "the firm"

    @property
    def has_drawdown(self) -> bool:
        """Whether it is a book, whose drawdown may be armed anew."""
        return self.kind in ("", "account", "strategy")


@dataclass(frozen=True, slots=True)
class Turn:
    """A switch that was set: from which state to which, by whom, why and when."""

    target: str
    before: str
    state: str
    by: str
    reason: str
    at_ns: int


def stands(desk: Desk) -> list[Stand]:
    """Everything that can be switched; the firm first, then by kind and name."""
    guard = desk.guard
    declared = guard.linked.desk
    books = [each for each in guard.books if each.startswith(("account/", "strategy/"))]
    venues = dict.fromkeys((*declared.venues, *desk.settings.venues))
    targets = [
        "firm",
        *sorted(each for each in books if each.startswith("account/")),
        *sorted(each for each in books if each.startswith("strategy/")),
        *(f"venue/{each}" for each in sorted(venues)),
        *(f"symbol/{each}" for each in sorted(declared.instruments)),
    ]
    known = {each.target: each for each in guard.kill_switches}
    # A switch of what is no longer declared still holds.
    targets += sorted(set(known) - set(targets))
    return [
        (
            Stand(each, found.state, found.by, found.reason, found.at_ns)
            if (found := known.get(each)) is not None
            else Stand(each)
        )
        for each in targets
    ]


def stand_of(desk: Desk, target: str) -> Stand | None:
    """One of them; None where there is no such target."""
    return next((each for each in stands(desk) if each.target == target), None)


def turns(desk: Desk, most: int, is_seen: Callable[[str], bool]) -> Iterator[Turn]:
    """Switches that were set, the newest first, out of the newest records of the audit log."""
    try:
        records = tail(desk.data / "audit", _RECORDS)
    except AuditError:
        return
    count = 0
    for record in reversed(records):
        fields = record.body.get("switch")
        if record.kind != "switch" or not isinstance(fields, list) or len(fields) != 4:
            continue
        target, state, by, reason = map(str, fields)
        if is_seen(target):
            before = str(record.body.get("before", ""))
            yield Turn(target, before, state, by, reason, record.ts_ns)
            count += 1
        if count == most:
            return
