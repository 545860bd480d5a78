"""What groups of guards need of a store, so that limits of the whole firm hold over all of them together.

Each group has books of its own (`shared_log`), and holds a slice of the firm: capital and a share of what
the firm may do in absolute numbers. The store knows how much each group was given out and has given back.
Both only grow: whoever reads two accounts of one group takes the larger of each number, in any order and as
often as he likes. What was given out counts in the store first and in the group's log then; what is given back
counts in the log first. So whatever is lost on the way, headroom is at most left unused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from ringfence.runtime.shared_log import SharedLog

__all__ = [
    "NO_SLICE",
    "PARTS",
    "FirmSlices",
    "FirmState",
    "FirmSwitch",
    "GroupState",
    "Slice",
    "held_off_words",
]

PARTS = 65_536
"""Parts of the whole, of capital and of share alike."""


class Slice(NamedTuple):
    """What one group was ever given out, and ever gave back, in parts."""

    taken_capital: int = 0
    taken_share: int = 0
    given_capital: int = 0
    given_share: int = 0

    @property
    def capital(self) -> int:
        """Parts of the firm's capital that it holds."""
        return self.taken_capital - self.given_capital

    @property
    def share(self) -> int:
        """Parts of absolute limits that it holds."""
        return self.taken_share - self.given_share

    def joined(self, other: "Slice") -> "Slice":
        """Two accounts of one group: of each number the larger."""
        return Slice(*map(max, self, other))

    def less(self, capital: int, share: int) -> "Slice":
        """With so much more given back."""
        return self._replace(
            given_capital=self.given_capital + capital, given_share=self.given_share + share
        )


NO_SLICE = Slice()


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group, as the store knows it.

    Attributes:
        books: The accounts and strategies that trade in it, as `account/NAME` and `strategy/NAME`.
        slice: What it holds; None where the store has not heard of it yet.
        is_live: A guard of it renewed its lease in time.
        is_over: It reports a loss beyond what its slice allows, or one that is unknown.
    """

    books: frozenset[str]
    slice: Slice | None
    is_live: bool
    is_over: bool


@dataclass(frozen=True, slots=True)
class FirmSwitch:
    """The firm's kill switch; `version` grows with every change."""

    version: int
    state: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class FirmState:
    """All of it, at one moment.

    Attributes:
        capital: Parts of capital that there are.
        unit: Millionths of the currency that one part of capital stands for.
        is_wanted: A group was refused what it asked for, a moment ago.
        switch: The firm's kill switch; None where nobody ever set it.
        groups: Every group, by name.
    """

    capital: int
    unit: int
    is_wanted: bool
    switch: FirmSwitch | None
    groups: Mapping[str, GroupState]

    def slice_of(self, group: str) -> Slice:
        """What a group holds, as far as the store has heard."""
        return self.groups[group].slice or NO_SLICE

    @property
    def is_overdrawn(self) -> bool:
        """Whether the groups hold more than there is: a store lost what it gave out, and gave it out again."""
        held = [each.slice for each in self.groups.values() if each.slice is not None]
        return (
            sum(each.capital for each in held) > self.capital
            or sum(each.share for each in held) > PARTS
        )

    def money(self, parts: int) -> Decimal:
        """What parts of capital are worth."""
        return Decimal(parts * self.unit).scaleb(-6)


def held_off_words(why: str) -> tuple[str, str]:
    """Reason and code of an order that is rejected only because the firm takes no new risk; `why` begins with the
    code. The same when it is given and when it is derived."""
    return f"{why}; only orders that reduce risk pass", why.partition(" ")[0]


class FirmSlices(Protocol):
    """The store. Safe to use from several threads; each call but `log` is one round trip.

    Every call raises StateUnavailableError where the store cannot be asked in time, and StateError where the
    firm was not founded.
    """

    def found(self, capital: Decimal | int | str, groups: Mapping[str, Iterable[str]]) -> FirmState:
        """Begin with the firm's capital, all of it free; or say it anew, with more groups or other capital.

        Where the store has forgotten all, nothing is given out before it heard of every group.

        Args:
            capital: In the policies' currency. Other capital than before counts from the start of the day.
            groups: Every group that there is or may be, with its accounts and strategies, as `account/NAME`
                and `strategy/NAME`; each of those trades in one group alone.

        Raises:
            InputError: a group is left out that there is, two have the same book, or capital is to leave that
                groups hold.
        """
        ...

    def state(self) -> FirmState:
        """How it stands."""
        ...

    def renew(
        self,
        group: str,
        held: Slice,
        *,
        lease_ms: int,
        is_over: bool | None = None,
        switch: FirmSwitch | None = None,
    ) -> FirmState:
        """Tell what a group holds, and that it lives.

        Args:
            group: Its name.
            held: As its log has it.
            lease_ms: For how long it counts as alive from now on; 0 where somebody else speaks for it.
            is_over: As in `GroupState`; None leaves it.
            switch: The firm's kill switch as the group knows it; a newer one stays.

        Raises:
            InputError: the firm has no such group.
        """
        ...

    def take(self, group: str, held: Slice, capital: int, share: int) -> FirmState:
        """Give out as many parts as are free, up to these; for what is missing, others are asked.

        `held` is what the group's log has, so that a request whose answer was lost takes nothing twice: where
        the store has given out more than that, it gives nothing.
        """
        ...

    def set_switch(self, state: str, by: str, reason: str) -> FirmState:
        """Set the firm's kill switch."""
        ...

    def log(self, group: str, origin: str) -> SharedLog:
        """The log of a group's books; `origin` names one run of a guard, and is never used twice."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...
