"""What is known of a replay before its first order: its gates in their sequences, and how it goes."""

from typing import NamedTuple

__all__ = ["Course", "Step"]


class Step(NamedTuple):
    """A gate of a list, as far as it is the same for every order and every limit.

    Attributes:
        slot: Place among the slots.
        column: Of the results.
        level: 0 firm, 1 account, 2 strategy.
        enforces, reduces, exempts: Whether a breach counts; may reduce; spares reducing orders.
        windows: Whether overrides may change the limits in time.
        bits: Which checks bind, None where overrides change that.
    """

    slot: int
    column: int
    level: int
    enforces: bool
    reduces: bool
    exempts: bool
    windows: bool
    bits: int | None


class Course(NamedTuple):
    """How a replay goes, as far as it is the same for every order of it.

    Attributes:
        own_prices: Whether an order's price is the mark (there are no others).
        frozen: Whether every order fills as it really did, whatever is decided.
        firm, strategy: Whether orders move such books beside the account's.
        halts: Whether a gate halts books.
    """

    own_prices: bool
    frozen: bool
    firm: bool
    strategy: bool
    halts: bool

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels of the books that move."""
        moved = {0: self.firm, 1: True, 2: self.strategy}
        return tuple(n for n, moves in moved.items() if moves)
