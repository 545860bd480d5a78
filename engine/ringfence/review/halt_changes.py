"""What a change does to the halts of books, which no single order shows: they reject the orders that follow."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from ringfence.language.gates import Gate
from ringfence.language.linking import LinkedSet
from ringfence.language.scope_classes import TooManyClassesError
from ringfence.review.cells import cells
from ringfence.review.directions import Directed, Direction, compare_gates
from ringfence.review.matching import match_gates, match_policies

__all__ = ["HaltWords", "halt_words", "lost_halts", "of_whole_sets", "with_halts"]

#: What makes halts rarer or shorter of reach, and what makes them more frequent, in words.
HaltWords = tuple[tuple[str, ...], tuple[str, ...]]

_LOOSER, _TIGHTER = frozenset((Direction.LOOSER,)), frozenset((Direction.TIGHTER,))
_PARTS = {
    Direction.EQUAL: frozenset[Direction](),
    Direction.LOOSER: _LOOSER,
    Direction.TIGHTER: _TIGHTER,
    Direction.INCOMPARABLE: _LOOSER | _TIGHTER,
}


def halt_words(base: Gate | None, head: Gate | None, alone: Directed) -> HaltWords:
    """What the change of one gate does to the halts that come of it.

    Args:
        base, head: The gate before and after; None where it is not there.
        alone: The direction of what single orders get from it.
    """
    before, after = _halts(base), _halts(head)
    if before is None or after is None:
        if before is None and after is None:
            return (), ()
        gate = base or head
        name = f"`{gate.name}`" if gate is not None else ""
        if after is None:
            return (f"{name} halts its book no more",), ()
        return (), (f"{name} halts its book",)
    name = f"`{after.name}`"
    looser: list[str] = []
    tighter: list[str] = []
    if before.confirm_ticks != after.confirm_ticks:
        told = f"{name} halts its book at tick {after.confirm_ticks}, and did at {before.confirm_ticks}"
        (looser if after.confirm_ticks > before.confirm_ticks else tighter).append(told)
    # A book is halted by what breaches the gate, whether or not another gate would have rejected the order.
    if alone.looser is not None:
        looser.append(f"{name} halts its book later")
    if alone.tighter is not None:
        tighter.append(f"{name} halts its book earlier")
    return tuple(looser), tuple(tighter)


def lost_halts(base: LinkedSet, head: LinkedSet) -> tuple[str, ...]:
    """In words, what halts books no more, later or at more ticks than before, or may.

    Raises:
        TooManyClassesError: the globs of the scopes multiply one another beyond reason.
    """
    if _as_before(base, head):
        return ()
    found: list[str] = []
    for policies in match_policies(base.policies, head.policies):
        for before, after in match_gates(*policies):
            if _halts(before) is None:
                continue
            alone = compare_gates(before, after, base, head)
            looser, _ = halt_words(before, after, alone)
            if before is not None and alone.direction is Direction.UNKNOWN and not looser:
                looser = (f"`{before.name}` may halt its book later",)
            found += looser
    return tuple(dict.fromkeys(found))


def of_whole_sets(base: LinkedSet, head: LinkedSet, found: Iterable[HaltWords]) -> list[HaltWords]:
    """What of the changes of single gates is true of their sets: a gate that went elsewhere halts as it did."""
    words = list(found)
    if not any(chain.from_iterable(words)):
        return words
    try:
        kept, not_new = _as_before(base, head), _as_before(head, base)
    except TooManyClassesError:
        return words
    return [(() if kept else looser, () if not_new else tighter) for looser, tighter in words]


def _as_before(base: LinkedSet, head: LinkedSet) -> bool:
    """Whether each gate that halted a book does so still, wherever it stands now, for the same orders and limits."""
    sides = [side.only(*filter(_halts, side.gates)) for side in (base, head)]
    for cell in cells(*sides):
        before, after = (
            Counter(map(cell.form, side)) for side in (cell.bounds[0], cell.bounds[-1])
        )
        if before - after:
            return False
    return True


def with_halts(directed: Directed, found: Iterable[HaltWords]) -> Directed:
    """A direction that counts halts as well: who halts less is looser, whatever a single order gets."""
    words = list(found)
    looser = tuple(dict.fromkeys(word for each, _ in words for word in each))
    tighter = tuple(dict.fromkeys(word for _, each in words for word in each))
    if not looser and not tighter:
        return directed
    direction = directed.direction
    parts = _PARTS.get(direction)
    if parts is not None:
        parts |= (_LOOSER if looser else frozenset()) | (_TIGHTER if tighter else frozenset())
        direction = next(way for way, each in _PARTS.items() if each == parts)
    return replace(
        directed,
        direction=direction,
        halts=looser + tighter,
        never_looser=directed.never_looser and not looser,
        never_tighter=directed.never_tighter and not tighter,
    )


def _halts(gate: Gate | None) -> Gate | None:
    """The gate, where it halts books."""
    return gate if gate is not None and gate.halts else None
