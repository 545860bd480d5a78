"""What a guard counts: decisions, how long they took, its switches, its policy set, its shadow."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ringfence.language.decision import RiskDecision
from ringfence.language.orders import KILL_STATES
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.runtime.guard_slices import GuardSlices
from ringfence.runtime.metrics import HistogramValue, Metric, Sample

__all__ = ["GuardMetrics"]

# Powers of two of a nanosecond, from 4 us to a second: from what a decision takes to a slow disk's sync.
_SHORTEST, _LONGEST = 12, 30
_BOUNDS = tuple(2**bits * 1e-9 for bits in range(_SHORTEST, _LONGEST + 1))


class GuardMetrics(GuardSlices):
    """The metrics of `CentralRiskGuard`."""

    def __init__(self, *parts: Any) -> None:
        self._decided: Counter[tuple[str, str]] = Counter()
        self._approved = self._repeats = 0
        self._took, self._took_ns = [0] * (_LONGEST + 2), 0
        super().__init__(*parts)

    def _count_decision(self, answer: GuardDecision, taken_ns: int) -> None:
        with self._lock:
            if answer.decision is RiskDecision.APPROVE:
                # The name of an enum's member is looked up slowly.
                self._approved += 1
            else:
                self._decided[answer.decision.value, answer.code] += 1
            if answer.repeated:
                self._repeats += 1
            bits = taken_ns.bit_length()
            self._took[bits if bits <= _LONGEST else -1] += 1
            self._took_ns += taken_ns

    def metrics(self) -> Iterable[Metric]:
        """The guard's metrics as they are now, those of its books' store among them."""
        with self._lock:
            yield from self._own_metrics()
            yield from self._keeper.metrics()
            yield from self._slice_metrics()

    def _own_metrics(self) -> Iterable[Metric]:
        books = self._books
        counts = (sum(self._took[: _SHORTEST + 1]), *self._took[_SHORTEST + 1 :])
        decided = dict(self._decided)
        if self._approved:
            decided[RiskDecision.APPROVE.value, ""] = self._approved
        yield Metric(
            "ringfence_decisions",
            "counter",
            "Orders decided, by decision and code.",
            tuple(
                Sample({"decision": decision, "code": code}, count)
                for (decision, code), count in decided.items()
            ),
        )
        yield _one("ringfence_decisions_repeated", "counter", "Answers given again.", self._repeats)
        yield Metric(
            "ringfence_decision_seconds",
            "histogram",
            "Time from an order to its decision, recording included.",
            (Sample({}, HistogramValue(_BOUNDS, counts, self._took_ns * 1e-9)),),
        )
        yield _one(
            "ringfence_working_orders",
            "gauge",
            "Approved orders that have not ended.",
            len(books.ledger.orders.working),
        )
        yield _one(
            "ringfence_orphaned_orders",
            "gauge",
            "Orders of an earlier process that still work.",
            sum(each.order_id in books.ledger.orders.working for each in self.orphans),
        )
        yield _one(
            "ringfence_unreconciled_accounts",
            "gauge",
            "Accounts that differ from their venue.",
            len(books.switches.unreconciled),
        )
        yield Metric(
            "ringfence_kill_switch",
            "gauge",
            "0 active, 1 reducing, 2 halted.",
            tuple(
                Sample({"target": each.target}, KILL_STATES.index(each.state))
                for each in books.switches.switches.values()
            ),
        )
        yield Metric(
            "ringfence_ledger_notices",
            "counter",
            "Events that were booked, or left out, but should not have happened.",
            tuple(Sample({"code": code}, n) for code, n in books.ledger.counts.items()),
        )
        yield Metric(
            "ringfence_policy_info",
            "gauge",
            "The policy set that decides.",
            (Sample({"policy_set": self.policy_set}, 1),),
        )
        yield _one(
            "ringfence_policy_loaded_timestamp_seconds",
            "gauge",
            "When the policy set came into force.",
            self._swapped_ns * 1e-9,
        )
        left = self.policy_lease_ns
        if left is not None:
            yield _one(
                "ringfence_policy_lease_seconds", "gauge", "What is left of the lease.", left * 1e-9
            )
        yield Metric(
            "ringfence_shadow_decisions",
            "counter",
            "Decisions beside a shadow set, by how the shadow differed.",
            tuple(Sample({"difference": what}, n) for what, n in self._shadow_counts.items()),
        )
        yield _one(
            "ringfence_listener_errors", "counter", "Errors of listeners.", self._listener_errors
        )


def _one(name: str, kind: Any, help: str, value: float) -> Metric:
    return Metric(name, kind, help, (Sample({}, value),))
