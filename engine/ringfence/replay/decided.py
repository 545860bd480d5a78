"""What the engine hands on: each batch of orders with its decisions, as numpy columns and codes."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ringfence.replay.batches import Floats, Int8s, OrderBatch

__all__ = ["DECISIONS", "OUTCOMES", "DecidedBatch", "GateColumn", "Halt", "Int16s"]

#: What a gate says of an order; the place in this tuple is the code in `DecidedBatch.outcome`.
OUTCOMES = ("absent", "pass", "reduce", "breach", "exempt", "unknown")
#: What becomes of an order; the place in this tuple is the code in `DecidedBatch.decision`.
DECISIONS = ("APPROVE", "REDUCE_SIZE", "REJECT")

Int16s: TypeAlias = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class GateColumn:
    """The gates of one name and level, as one group of columns.

    Where several policies bind one order with the same gate, the k-th of them is in the k-th group.

    Attributes:
        name: Prefix of the columns, unique: `total-exposure` (account level), `firm.total-exposure`,
            `strategy.total-exposure`; with `#2` appended for the second group.
        gate: Name of the gate.
        level: `firm`, `account` or `strategy`.
        unit: Kind of the measure and the limit: `money`, `ratio`, `count`, `duration`, `state` or
            `quantity`.
        policies: The policies, `name@version`, that state such a gate.
        shadow: Whether it only records.
        floors: Whether some limit of it is the least that may be, not the most.
    """

    name: str
    gate: str
    level: str
    unit: str
    policies: tuple[str, ...]
    shadow: bool
    floors: bool = False


class Halt(NamedTuple):
    """A book that a gate halted.

    Attributes:
        ts: When, ns since 1970, UTC.
        book: Place in the engine's `names.books()`.
        column: Place in the engine's `columns` of the gate.
    """

    ts: int
    book: int
    column: int


@dataclass(slots=True)
class DecidedBatch:
    """Orders and what was decided; n orders, G gate columns.

    The arrays may be views of buffers that the engine writes again at its next batch: copy what is
    to be kept.

    Attributes:
        orders: The orders, in time order.
        decision: Place in `DECISIONS`, shape (n,).
        size: Size that may be sent, in units of the base; 0 for a rejected order, shape (n,).
        code: Place in the engine's `codes` of the reason, -1 where approved, shape (n,).
        gate: Place in the engine's `columns` of the gate that decided, -1 where none, shape (n,).
        notional: Of the size asked, in the policy set's currency; NaN without a price, shape (n,).
        outcome: Place in `OUTCOMES`, shape (G, n).
        measure, limit: NaN where the gate is absent, exempt or unknown, shape (G, n).
        equity: Sum of the accounts' equity when the order was decided; NaN where unknown, shape (n,).
        drawdown: Fall of that equity from its peak, a ratio; NaN where unknown, shape (n,).
    """

    orders: OrderBatch
    decision: Int8s
    size: Floats
    code: Int16s
    gate: Int16s
    notional: Floats
    outcome: npt.NDArray[np.uint8]
    measure: Floats
    limit: Floats
    equity: Floats
    drawdown: Floats

    def __len__(self) -> int:
        return len(self.orders)
