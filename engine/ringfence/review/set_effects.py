"""What a change does to the whole set beyond its own gate, which the gate alone does not show.

A policy that covers more orders binds more by itself, and lets orders pass that no policy took before. The oldest
mark that counts is the set's, also where a shadow gate asks for it. The trading day is that of all books.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from math import inf

from ringfence.language.gates import Gate, Policy
from ringfence.language.linking import LinkedSet
from ringfence.language.tickets import not_covered
from ringfence.review.cells import Binding, cells
from ringfence.review.directions import Directed, Direction
from ringfence.review.limit_changes import Change

__all__ = ["SetEffects", "judged_with_whole"]

_DAY = "the trading day starts at another time"
_OPENS = "it covers orders that no policy took before"
_OLDER = "older marks count than before"
# What can complete the gates that an order needs.
_COMPLETES = ("scope", "policy", "gate", "mode", "rule")


@dataclass(slots=True)
class SetEffects:
    """Looks for what lets more pass, in the whole of two sets.

    Attributes:
        base, head: Both sides.
        since_ns: Only orders from then on are asked about (ns since 1970).
        check_mandatory: Whether an order without all mandatory gates is refused.
    """

    base: LinkedSet
    head: LinkedSet
    since_ns: int
    check_mandatory: bool
    _found: tuple[frozenset[str], bool] | None = field(default=None)

    def may_loosen(self, change: Change) -> str:
        """Why a change can let more pass though its own gate lets none, in words; empty where it cannot."""
        if self._moves_day(change):
            return _DAY
        opened, older = self._in_cells() if _may_matter(change) else (frozenset[str](), False)
        if _completes(change) and change.head_policy and change.head_policy.name in opened:
            return _OPENS
        return _OLDER if older and _asks_for_marks(change) else ""

    def _in_cells(self) -> tuple[frozenset[str], bool]:
        """The policies that bind where no order was taken before, and whether older marks count anywhere."""
        if self._found is None:
            opened: set[str] = set()
            older = False
            for cell in cells(self.base, self.head, since_ns=self.since_ns):
                before, after = cell.bounds[0], cell.bounds[-1]
                if not self._covered(after):
                    continue
                if not self._covered(before):
                    opened |= {bound.gate.policy.name for bound, _ in after}
                older = older or _oldest(after) > _oldest(before)
            self._found = frozenset(opened), older
        return self._found

    def _moves_day(self, change: Change) -> bool:
        """Whether it moves the start of the trading day, of which a set has one at most."""
        if change.gate or _day(change.base_policy) == _day(change.head_policy):
            return False
        base, head = ({each.day for each in side.policies} for side in (self.base, self.head))
        return base - {None} != head - {None}

    def _covered(self, pairs: Iterable[Binding]) -> bool:
        return not_covered([bound for bound, _ in pairs], self.check_mandatory) is None


def judged_with_whole(
    alone: Directed, whole: Directed, why: str, *, others_decide: bool
) -> Directed:
    """The direction of what bears on the whole set: the set's own where nothing else decides."""
    if not others_decide:
        return whole
    blame = f"{why}, which is judged with the whole set, in which limits moved as well"
    return replace(alone, direction=Direction.UNKNOWN, blame=blame, never_looser=False)


def _day(policy: Policy | None) -> object:
    return policy.day if policy is not None else None


def _gates(change: Change) -> Iterable[Gate]:
    """The gates that a change is of: one, or all of a policy."""
    if change.gate:
        return [each for each in (change.base, change.head) if each is not None]
    policies = [each for each in (change.base_policy, change.head_policy) if each is not None]
    return chain.from_iterable(each.gates for each in policies)


def _completes(change: Change) -> bool:
    # The gates of a new policy are told with it.
    whole = change.base_policy is not None or not change.gate
    return whole and any(move.what in _COMPLETES for move in change.moves)


def _asks_for_marks(change: Change) -> bool:
    return any(gate.rule.freshness for gate in _gates(change))


def _may_matter(change: Change) -> bool:
    return change.decides and (_completes(change) or _asks_for_marks(change))


def _oldest(pairs: Iterable[Binding]) -> float:
    """The oldest mark that counts, in seconds."""
    return min(
        (
            float(row.values[bound.gate.rule.freshness])  # type: ignore[arg-type]  # a duration
            for bound, row in pairs
            if bound.gate.rule.freshness in row.values
        ),
        default=inf,
    )
