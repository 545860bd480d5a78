"""What a guard answers for one order."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Protocol

from ringfence.language.decision import GateResult, RiskDecision

__all__ = ["TO_BE_MADE", "ZERO", "GuardDecision", "Signed"]

ZERO = Decimal(0)
#: In place of an approval that is signed, and that a `Signed` makes once somebody wants it.
TO_BE_MADE = object()


class Teller(Protocol):
    """Tells what gates found, from what was kept of it."""

    def results(self, found: Any) -> tuple[GateResult, ...]:
        """Every gate's result."""
        ...


class Signed(Teller, Protocol):
    """Tells of an order that is signed, and whose approval is yet to be made."""

    def approval(self, found: Any) -> Any:
        """The approval."""
        ...


class Looks(Protocol):
    """Looks at an order anew."""

    def largest_size(self, asked: Any) -> Decimal:
        """The largest size that would be approved now."""
        ...


class GuardDecision:
    """The answer for one order; unpacks as `decision, reason, adjusted_size = ...`.

    Attributes:
        id: Names the decision, and the order that it approved: tell fills and cancels by it.
        decision: APPROVE, REDUCE_SIZE or REJECT.
        reason: A stable code and named values; empty for APPROVE.
        size: The size that may be sent: as asked, reduced, or zero.
        code: The reason's code such as `TOTAL_EXPOSURE`; empty for APPROVE.
        policy_set: SHA-256 of the policy set that decided.
        decided_ns: When, ns since 1970, UTC.
        decided_by: The gate that rejected or reduced it; empty where no gate did, and for a repeated answer.
        repeated: The same order was asked before, and this is the answer of then.
    """

    __slots__ = (
        "_approval",
        "_found",
        "_gates",
        "_room",
        "_teller",
        "code",
        "decided_by",
        "decided_ns",
        "decision",
        "id",
        "policy_set",
        "reason",
        "repeated",
        "size",
    )

    def __init__(
        self,
        id: str,
        decision: RiskDecision,
        reason: str,
        size: Decimal,
        code: str,
        policy_set: str,
        approval: Any,
        decided_ns: int,
        teller: Teller | None = None,
        found: Any = None,
        *,
        decided_by: str = "",
        repeated: bool = False,
        room: tuple[Looks, Any] | None = None,
    ) -> None:
        self.id, self.decision, self.reason, self.size = id, decision, reason, size
        self.code, self.policy_set, self._approval = code, policy_set, approval
        self.decided_ns, self.decided_by, self.repeated = decided_ns, decided_by, repeated
        # No function that remembers both: the fewer objects a decision leaves, the rarer the search for garbage.
        self._teller, self._found, self._room = teller, found, room
        self._gates: tuple[GateResult, ...] | None = None if teller is not None else ()

    def __iter__(self) -> Iterator[Any]:
        return iter((self.decision, self.reason, self.size))

    def __repr__(self) -> str:
        return f"GuardDecision({self.id!r}, {self.decision.value}, {self.reason!r}, {self.size})"

    @property
    def approval(self) -> Any:
        """What the gateway takes; None for REJECT, and where the guard signs nothing."""
        if self._approval is TO_BE_MADE:
            # Another thread may ask for the gates meanwhile, and let go of both; then it is made already.
            signed: Any = self._teller
            found = self._found
            if signed is not None and found is not None:
                self._approval = signed.approval(found)
        return self._approval

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """Every gate that binds the order: measure, limit, margin and outcome at the size asked.

        Empty where the order could not be judged, and where an earlier answer was repeated.
        """
        teller, found = self._teller, self._found
        if self._gates is None and teller is not None and found is not None:
            results, _ = teller.results(found), self.approval
            self._gates = results
            # It holds the arrays of a policy set.
            self._teller = self._found = None
        return self._gates or ()

    @property
    def headroom(self) -> Decimal:
        """The largest size that passes, at most what was asked; units of the base, a multiple of the lot step.

        For APPROVE and REDUCE_SIZE it is what may be sent. For a REJECT by gates it is looked for when it is asked
        for, on the books and market data of then: zero where no size passes, or nothing can be decided. It is
        no approval: ask again with that size. Zero, too, where no gate was asked.
        """
        if self._room is None:
            return self.size
        looks, asked = self._room
        return looks.largest_size(asked)

    def gate(self, name: str) -> GateResult:
        """The result of the gate called `name`; raises KeyError where there is none."""
        for result in self.gates:
            if result.gate == name:
                return result
        raise KeyError(name)
