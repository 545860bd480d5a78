"""What a guard answers for one order."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Protocol

from ringfence.language.decision import GateResult, RiskDecision

__all__ = ["ZERO", "GuardDecision"]

ZERO = Decimal(0)


class Teller(Protocol):
    """Tells what gates found, from what was kept of it."""

    def results(self, found: Any) -> tuple[GateResult, ...]:
        """Every gate's result."""
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
        approval: What the gateway takes; None for REJECT, and where the guard signs nothing.
        decided_ns: When, ns since 1970, UTC.
        decided_by: The gate that rejected or reduced it; empty where no gate did, and for a repeated answer.
        repeated: The same order was asked before, and this is the answer of then.
    """

    __slots__ = (
        "_found",
        "_gates",
        "_teller",
        "approval",
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
    ) -> None:
        self.id, self.decision, self.reason, self.size = id, decision, reason, size
        self.code, self.policy_set, self.approval = code, policy_set, approval
        self.decided_ns, self.decided_by, self.repeated = decided_ns, decided_by, repeated
        # No function that remembers both: the fewer objects a decision leaves, the rarer the search for garbage.
        self._teller, self._found = teller, found
        self._gates: tuple[GateResult, ...] | None = None if teller is not None else ()

    def __iter__(self) -> Iterator[Any]:
        return iter((self.decision, self.reason, self.size))

    def __repr__(self) -> str:
        return f"GuardDecision({self.id!r}, {self.decision.value}, {self.reason!r}, {self.size})"

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """Every gate that binds the order: measure, limit, margin and outcome at the size asked.

        Empty where the order could not be judged, and where an earlier answer was repeated.
        """
        if self._gates is None and self._teller is not None:
            self._gates = self._teller.results(self._found)
            # It holds the arrays of a policy set.
            self._teller = self._found = None
        return self._gates or ()

    @property
    def headroom(self) -> Decimal:
        """The largest size that may be sent, at most what was asked.

        Zero for a REJECT, also where a smaller order would pass: a gate that rejects is not asked for its room
        (`on_breach: reduce` is). What passes now, `LimitsNow` tells, and the page of limits.
        """
        return self.size

    def gate(self, name: str) -> GateResult:
        """The result of the gate called `name`; raises KeyError where there is none."""
        for result in self.gates:
            if result.gate == name:
                return result
        raise KeyError(name)
