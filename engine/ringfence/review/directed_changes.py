"""Each change with its direction, proved, and what the whole set makes of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ringfence.backends.reference import decide
from ringfence.errors import InputError, PolicyError
from ringfence.language.decision import GateResult, Outcome
from ringfence.language.gates import ALWAYS, Gate
from ringfence.language.linking import LinkedSet
from ringfence.language.policy_tests import read_case
from ringfence.review.approval_rules import Asked
from ringfence.review.directions import Directed, Direction, Witness, compare_gates, compare_sets
from ringfence.review.halt_changes import (
    HaltWords,
    halt_words,
    of_whole_sets,
    with_halts,
)
from ringfence.review.limit_changes import Change, limit_changes
from ringfence.review.matching import match_gates
from ringfence.review.set_effects import SetEffects, judged_with_whole

__all__ = ["DirectedChange", "Review", "review_of"]

_EQUAL = Directed(Direction.EQUAL, None, None, "", never_looser=True, never_tighter=True)
_BLOCKS = (Outcome.BREACH, Outcome.REDUCE, Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True)
class DirectedChange:
    """A change and its direction.

    Attributes:
        change: What moved.
        directed: Of its gate alone; of a policy, of all its gates.
        still: Where the change alone lets more pass and the whole set does not: what binds still.
    """

    change: Change
    directed: Directed
    still: str = ""

    @property
    def asked(self) -> Asked:
        """What approvals are asked for."""
        change = self.change
        return Asked(
            self.directed.direction.value,
            change.levels,
            change.policy,
            change.gate,
            change.former_policy,
            change.former_gate,
        )


@dataclass(frozen=True, slots=True)
class Review:
    """What a change of a policy set does, before any order is replayed.

    Attributes:
        changes: As `limit_changes` has them.
        whole: Direction of the whole set.
    """

    changes: tuple[DirectedChange, ...]
    whole: Directed


def review_of(
    base: LinkedSet,
    head: LinkedSet,
    *,
    since_ns: int = ALWAYS[0],
    check_mandatory: bool = True,
) -> Review:
    """Compare two sets: what moved, each change's direction, and that of the whole.

    Args:
        base, head: Both sides.
        since_ns: Only orders from then on are asked about (ns since 1970): what an override that has ended
            allowed makes no difference to any of them.
        check_mandatory: As in `directions.compare_sets`.
    """
    changes = limit_changes(base, head)
    if not changes:
        return Review((), _EQUAL)
    whole = _tried(
        lambda: compare_sets(base, head, since_ns=since_ns, check_mandatory=check_mandatory)
    )
    compared = _Compared(base, head, since_ns)
    beside = [each for each in changes if not each.policy]
    directed = {id(each): compared.change(each) for each in changes if each.policy}
    whole = with_halts(whole, of_whole_sets(base, head, compared.halts))
    effects = SetEffects(base, head, since_ns, check_mandatory)
    _count_effects(changes, directed, whole, effects)
    others_decide = any(
        each.directed.direction is not Direction.EQUAL for each in _paired(changes, directed)
    )
    for each in beside:
        directed[id(each)] = _beside(each, whole, others_decide=others_decide)
    return Review(
        tuple(
            DirectedChange(each, directed[id(each)], _still(directed[id(each)], whole, each, head))
            for each in changes
        ),
        whole,
    )


def _count_effects(
    changes: Sequence[Change], directed: dict[int, Directed], whole: Directed, effects: SetEffects
) -> None:
    """What changes do to the whole set, into their directions: none looks tighter than the set gets by it."""
    if whole.never_looser:
        return
    why = {
        id(each): effects.may_loosen(each)
        for each in changes
        if each.policy and directed[id(each)].never_looser
    }
    deciding = [
        each
        for each in changes
        if each.policy
        and (why.get(id(each)) or directed[id(each)].direction is not Direction.EQUAL)
    ]
    for each in deciding:
        if told := why.get(id(each)):
            others = any(
                other.policy != each.policy or (each.gate and other is not each)
                for other in deciding
            )
            directed[id(each)] = judged_with_whole(
                directed[id(each)], whole, told, others_decide=others
            )


def _paired(changes: Iterable[Change], directed: dict[int, Directed]) -> list[DirectedChange]:
    return [DirectedChange(each, directed[id(each)]) for each in changes if id(each) in directed]


class _Compared:
    """Compares gates, each pair once."""

    def __init__(self, base: LinkedSet, head: LinkedSet, since_ns: int) -> None:
        self._sets, self._since_ns = (base, head), since_ns
        self._known: dict[tuple[int, int], Directed] = {}
        self.halts: list[HaltWords] = []
        """Of all gates that were compared."""

    def change(self, change: Change) -> Directed:
        if not change.decides:
            return _EQUAL
        if change.gate:
            return self._gates(change.base, change.head)
        pairs = match_gates(change.base_policy, change.head_policy)
        return _together([self._gates(*pair) for pair in pairs])

    def _gates(self, base: Gate | None, head: Gate | None) -> Directed:
        key = (id(base), id(head))
        found = self._known.get(key)
        if found is None:
            alone = _tried(lambda: compare_gates(base, head, *self._sets, since_ns=self._since_ns))
            halts = halt_words(base, head, alone)
            self.halts.append(halts)
            found = self._known[key] = with_halts(alone, (halts,))
        return found


def _tried(compare: Callable[[], Directed]) -> Directed:
    """A comparison; where the scopes of a set are beyond it, that is not known, and why."""
    try:
        return compare()
    except InputError as error:
        return Directed(
            Direction.UNKNOWN, None, None, error.message, never_looser=False, never_tighter=False
        )


def _together(parts: Sequence[Directed]) -> Directed:
    """The direction of several changes at once, each by itself."""
    ways = {each.direction for each in parts} - {Direction.EQUAL}
    looser = next((each.looser for each in parts if each.looser is not None), None)
    tighter = next((each.tighter for each in parts if each.tighter is not None), None)
    if not ways:
        return _EQUAL
    if len(ways) == 1:
        direction = ways.pop()
    elif Direction.UNKNOWN in ways:
        direction = Direction.UNKNOWN
    else:
        direction = Direction.INCOMPARABLE
    return Directed(
        direction,
        looser,
        tighter,
        "; ".join(dict.fromkeys(each.blame for each in parts if each.blame)),
        never_looser=all(each.never_looser for each in parts),
        never_tighter=all(each.never_tighter for each in parts),
        halts=tuple(dict.fromkeys(word for each in parts for word in each.halts)),
    )


def _beside(change: Change, whole: Directed, *, others_decide: bool) -> Directed:
    """What is declared beside policies bears on every gate: it is judged with the whole set."""
    if all(move.what == "universe" for move in change.moves) or whole.direction is Direction.EQUAL:
        return _EQUAL
    if not others_decide:
        return whole
    blame = "what is declared beside the policies is judged with the whole set, in which limits moved as well"
    return replace(whole, direction=Direction.UNKNOWN, looser=None, tighter=None, blame=blame)


def _still(directed: Directed, whole: Directed, change: Change, head: LinkedSet) -> str:
    if directed.looser is None or not whole.never_looser:
        return ""
    gates = _binding(directed.looser, change, head)
    if not gates:
        return "nothing passes that did not before: the rest of the set is as strict"
    names = ", ".join(f"`{each.policy}/{each.gate}`" for each in gates[:3])
    return f"nothing passes that did not before: {names} still binds"


def _binding(witness: Witness, change: Change, head: LinkedSet) -> list[GateResult]:
    """Enforced gates of the head, other than the changed one, that hold the witness's order back."""
    try:
        found = decide(head, read_case(witness.given, witness.when, head))
    except PolicyError:
        return []
    return [
        each
        for each in found.gates
        if each.outcome in _BLOCKS
        and each.mode == "enforce"
        and (each.policy.partition("@")[0], each.gate) != (change.policy, change.gate)
    ]
