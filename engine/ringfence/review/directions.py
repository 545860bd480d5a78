"""Is a change tighter or looser: proved over all orders, books and times, and shown by an order.

Nothing here guesses from the sign of a number. A change is TIGHTER only where it is proved that no order gets
a larger size than before, and some order is shown that gets a smaller one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ringfence.language.answers import approved
from ringfence.language.decision import Decision
from ringfence.language.gates import ALWAYS, Gate
from ringfence.language.linking import LinkedSet
from ringfence.language.policy_tests import read_case
from ringfence.language.tickets import read_ticket

if TYPE_CHECKING:
    from ringfence.review.cell_directions import CellDirections

__all__ = ["Directed", "Direction", "Pair", "Witness", "compare_gates", "compare_sets"]


class Direction(StrEnum):
    """What a change does to what orders may do."""

    TIGHTER = "TIGHTER"
    """No order gets more than before, and some get less."""
    LOOSER = "LOOSER"
    """No order gets less than before, and some get more."""
    EQUAL = "EQUAL"
    """Every order gets what it got before."""
    INCOMPARABLE = "INCOMPARABLE"
    """Some orders get more, others less."""
    UNKNOWN = "UNKNOWN"
    """Not proved; `blame` says what was too hard."""


@dataclass(frozen=True, slots=True)
class Witness:
    """An order and its surroundings, as a policy test gives them, and what each side decides of it.

    Confirmed by the reference interpreter, and by the compiled kernel where that was asked for.
    """

    given: Mapping[str, Any]
    when: Mapping[str, Any]
    base: Decision
    head: Decision


@dataclass(frozen=True, slots=True)
class Directed:
    """The direction of a change, and what shows it.

    Attributes:
        direction: What it comes to.
        looser: An order that gets more than before, where one was found.
        tighter: An order that gets less than before, where one was found.
        blame: What could not be proved, in words; empty where all was.
        never_looser: Proved that no order gets more: head is at least as strict as base.
        never_tighter: Proved that no order gets less.
        halts: What the change does to the halts of books, in words; where they make it looser or tighter, no single
            order shows it.
    """

    direction: Direction
    looser: Witness | None
    tighter: Witness | None
    blame: str
    never_looser: bool
    never_tighter: bool
    halts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two policy sets, and how an order is decided by them.

    With `lone` the sets are single gates taken out of theirs: no mandatory gate is asked for, and an order
    that the gate does not bind gets all it asks.
    """

    base: LinkedSet
    head: LinkedSet
    check_mandatory: bool = True
    lone: bool = False
    kernel: bool = False
    since_ns: int = ALWAYS[0]
    """Orders before it (ns since 1970) are left out."""

    def decide(
        self, given: Mapping[str, Any], when: Mapping[str, Any]
    ) -> tuple[Decision, Decision] | None:
        """Base's and head's decision of a case; None where kernel and interpreter differ."""
        one, other = self._decide(self.base, given, when), self._decide(self.head, given, when)
        return (one, other) if one is not None and other is not None else None

    def _decide(
        self, linked: LinkedSet, given: Mapping[str, Any], when: Mapping[str, Any]
    ) -> Decision | None:
        from ringfence.backends import reference

        case = read_case(given, when, linked)
        order = case.order
        if self.lone and not linked.bind(order.account, order.strategy, order.venue, order.symbol):
            ticket, _ = read_ticket(case, linked)
            if ticket is None:
                return None
            return approved(linked, ticket.lots * ticket.instrument.lot_step, ())
        check = self.check_mandatory and not self.lone
        found = reference.decide(linked, case, check_mandatory=check)
        if self.kernel:
            from ringfence.backends import numba_kernel

            again = numba_kernel.decide(linked, case, check_mandatory=check)
            # As text, in which an unknown number is equal to itself.
            if repr(again) != repr(found):
                return None
        return found


def compare_sets(
    base: LinkedSet,
    head: LinkedSet,
    *,
    since_ns: int = ALWAYS[0],
    check_mandatory: bool = True,
    kernel: bool = False,
) -> Directed:
    """The direction of the whole: what an order gets from all gates of head, and of base, together.

    Args:
        base: The policy set before.
        head: The policy set after.
        since_ns: Only orders from then on are asked about (ns since 1970); by default all.
        check_mandatory: As in `decide`: whether an order without all mandatory gates is refused.
        kernel: Whether the compiled kernel must confirm each witness as well.

    Raises:
        TooManyClassesError: the globs of the scopes multiply one another beyond reason.
    """
    return _compare(Pair(base, head, check_mandatory, kernel=kernel, since_ns=since_ns))


def compare_gates(
    base_gate: Gate | None,
    head_gate: Gate | None,
    base: LinkedSet,
    head: LinkedSet,
    *,
    since_ns: int = ALWAYS[0],
    kernel: bool = False,
) -> Directed:
    """The direction of one gate, as if it were alone: of a limit that moved, though another hides it.

    Args:
        base_gate: The gate before; None where it is new.
        head_gate: The gate after; None where it is gone.
        base: The policy set that `base_gate` is of.
        head: The policy set that `head_gate` is of.
        since_ns, kernel: As in `compare_sets`.

    Raises:
        TooManyClassesError: as `compare_sets`.
    """
    alone = [
        linked.only(*([gate] if gate is not None else []))
        for linked, gate in ((base, base_gate), (head, head_gate))
    ]
    if base.desk.fx == head.desk.fx:
        # What surrounds a gate is not the gate: both are asked of head's instruments and correlations.
        alone[0] = replace(alone[0], desk=head.desk)
    return _compare(Pair(alone[0], alone[1], lone=True, kernel=kernel, since_ns=since_ns))


def _compare(pair: Pair) -> Directed:
    # Imported here: the solver is for those who ask.
    from ringfence.review.cell_directions import CellDirections

    found = CellDirections(pair)
    found.run()
    return _directed(found)


def _directed(found: "CellDirections") -> Directed:
    looser, tighter = found.looser, found.tighter
    never_looser = looser is None and not found.unsure_looser
    never_tighter = tighter is None and not found.unsure_tighter
    blame: Iterable[str] = ()
    if looser and tighter:
        direction = Direction.INCOMPARABLE
    elif never_looser and never_tighter:
        direction = Direction.EQUAL
    elif looser and never_tighter:
        direction = Direction.LOOSER
    elif tighter and never_looser:
        direction = Direction.TIGHTER
    else:
        direction = Direction.UNKNOWN
        blame = dict.fromkeys((*found.unsure_looser, *found.unsure_tighter))
    return Directed(direction, looser, tighter, "; ".join(blame), never_looser, never_tighter)
