"""What the guard answers: APPROVE, REDUCE_SIZE or REJECT, and every gate's part in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ringfence.errors import Span

__all__ = ["Decision", "GateResult", "Outcome", "RiskDecision", "margin_of"]


class RiskDecision(StrEnum):
    """The three answers."""

    APPROVE = "APPROVE"
    REDUCE_SIZE = "REDUCE_SIZE"
    REJECT = "REJECT"


class Outcome(StrEnum):
    """What one gate found. `unknown` (missing, NaN, infinite or stale input) blocks like a breach."""

    PASS = "pass"  # nosec B105  # an outcome, no secret
    REDUCE = "reduce"
    BREACH = "breach"
    EXEMPT = "exempt"
    UNKNOWN = "unknown"


def margin_of(outcome: str, measure: float, limit: float) -> float:
    """What is left between a measure and its limit; negative beyond the limit, NaN where either is unknown.

    Some limits are the most that may be, others the least: the outcome tells on which side of it the measure is.
    """
    left = abs(limit - measure)
    return left if outcome == Outcome.PASS else -left


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's measure against its limit, for the order as asked.

    `measure`, `limit` and `margin` (what is left; negative beyond the limit) are in `unit`, money in
    the policy set's currency, durations in seconds; NaN where unknown or exempt. Of several limits in
    one gate the closest is shown; `check` names it.
    """

    gate: str
    rule: str
    policy: str
    level: str
    mode: str
    outcome: Outcome
    check: str
    measure: float
    limit: float
    margin: float
    unit: str
    headroom: Decimal | None
    reason: str
    source: Span | None

    @property
    def utilisation(self) -> float:
        """Measure / limit; NaN where either is unknown."""
        if self.limit == 0:
            return 0.0 if self.measure == 0 else float("inf")
        return self.measure / self.limit


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one order; unpacks as `decision, reason, size = ...`.

    Attributes:
        decision: APPROVE, REDUCE_SIZE or REJECT.
        reason: One line a trader understands; empty for APPROVE.
        size: The size that may be sent: as asked, reduced, or zero.
        code: Stable denial code such as `TOTAL_EXPOSURE`; empty for APPROVE.
        gates: Every declared gate: evaluated, or exempt with its reason.
        policy_set: SHA-256 of the policy set that decided.
    """

    decision: RiskDecision
    reason: str
    size: Decimal
    code: str
    gates: tuple[GateResult, ...]
    policy_set: str

    def __iter__(self) -> Iterator[object]:
        return iter((self.decision, self.reason, self.size))

    def gate(self, name: str) -> GateResult:
        """The result of the gate called `name`, or `policy/name` where several policies have one.

        Raises:
            KeyError: there is none.
        """
        policy, _, gate = name.rpartition("/")
        for result in self.gates:
            if result.gate == gate and policy in ("", result.policy.partition("@")[0]):
                return result
        raise KeyError(name)
