"""Coverage: of all that a policy set and its rules have, what some case shows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ringfence.language.linking import LinkedSet
from ringfence.language.rules import Rule
from ringfence.review.test_runner import CaseResult
from ringfence.review.testing.items import Item, Key, items_of_rule, items_of_set
from ringfence.review.testing.seen import seen_in

__all__ = ["Coverage", "Group", "coverage_of"]


@dataclass(frozen=True, slots=True)
class Group:
    """A gate, a policy's scope or a rule: how many of its items are covered."""

    name: str
    covered: int
    all: int

    @property
    def percent(self) -> float:
        """Of its items, the share that is covered."""
        return 100.0 * self.covered / self.all


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every item, and the keys of those that some case shows."""

    items: tuple[Item, ...]
    seen: frozenset[Key]

    @property
    def uncovered(self) -> list[Item]:
        """What no case shows, in the order of the files."""
        return [each for each in self.items if each.key not in self.seen]

    @property
    def covered(self) -> int:
        """How many items are covered."""
        return len(self.items) - len(self.uncovered)

    @property
    def percent(self) -> float:
        """Covered items of all items; 100 where there are none."""
        return 100.0 * self.covered / len(self.items) if self.items else 100.0

    @property
    def groups(self) -> list[Group]:
        """The figures of each gate, scope and rule."""
        counts: dict[str, list[bool]] = {}
        for item in self.items:
            counts.setdefault(item.group, []).append(item.key in self.seen)
        return [Group(name, sum(each), len(each)) for name, each in counts.items()]


def coverage_of(
    results: Iterable[CaseResult], linked: LinkedSet | None, rules: Sequence[Rule]
) -> Coverage:
    """What cases show.

    Args:
        results: Cases that were run; one that failed shows nothing.
        linked: The policy set under test; its own rules count as well.
        rules: Rules under test beside those.
    """
    own = linked.rules if linked is not None else ()
    documents = linked.documents.values() if linked is not None else ()
    counted = {rule.key: rule for rule in own if rule.document in documents}
    counted |= {rule.key: rule for rule in rules}
    items = [
        *(items_of_set(linked) if linked is not None else ()),
        *(item for rule in counted.values() for item in items_of_rule(rule)),
    ]
    seen: set[Key] = set()
    for each in results:
        if each.passed and each.question is not None and each.decision is not None:
            case = each.case
            seen.update(
                seen_in(
                    case.linked,
                    each.question,
                    each.decision,
                    case.expected,
                    of_set=case.asks_the_set,
                )
            )
    return Coverage(tuple(items), frozenset(seen))
