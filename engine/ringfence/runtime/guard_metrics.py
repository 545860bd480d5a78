"""What a guard counts: decisions, how long they took, its switches, its policy set, its shadow."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ringfence.language.decision import RiskDecision
from ringfence.language.orders import KILL_STATES
from ringfence.runtime.book_arrays import FIRM
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.runtime.guard_slices import GuardSlices
from ringfence.runtime.metric_table import metric, one
from ringfence.runtime.metrics import HistogramValue, Metric, Sample

__all__ = ["GuardMetrics"]

# Powers of two of a nanosecond, from 1 us to a second: from less than a decision takes to a slow disk's sync.
_SHORTEST, _LONGEST = 10, 30
_BOUNDS = tuple(2**bits * 1e-9 for bits in range(_SHORTEST, _LONGEST + 1))
# Names come from policies, and sets with other names follow one another for as long as a process runs.
_MOST_LABELS = 1_000
_OTHER = "other"
# Looked up once: a name of an enum's member takes longer than any other.
_APPROVE = RiskDecision.APPROVE


class GuardMetrics(GuardSlices):
    """The metrics of `CentralRiskGuard`."""

    def __init__(self, *parts: Any) -> None:
        self._decided: Counter[tuple[str, str]] = Counter()
        self._rejected: Counter[tuple[str, str]] = Counter()
        self._approved = self._repeats = 0
        self._took, self._took_ns = [0] * (_LONGEST + 2), 0
        super().__init__(*parts)

    def _count_decision(self, answer: GuardDecision, taken_ns: int) -> None:
        """Count an answer that took so long."""
        bits = taken_ns.bit_length()
        with self._lock:
            if answer.decision is _APPROVE:
                self._approved += 1
            else:
                self._count_other(answer)
            if answer.repeated:
                self._repeats += 1
            self._took[bits if bits <= _LONGEST else -1] += 1
            self._took_ns += taken_ns

    def _count_decisions(self, answers: Sequence[GuardDecision], taken_ns: int) -> None:
        """Count answers that took so long each."""
        others = [each for each in answers if each.decision is not _APPROVE or each.repeated]
        for answer in others:
            self._count_decision(answer, taken_ns)
        if count := len(answers) - len(others):
            bits = taken_ns.bit_length()
            with self._lock:
                self._approved += count
                self._took[bits if bits <= _LONGEST else -1] += count
                self._took_ns += count * taken_ns

    def _count_other(self, answer: GuardDecision) -> None:
        decision, code = answer.decision, answer.code
        _count(self._decided, decision.value, code, other=(decision.value, _OTHER))
        if decision is RiskDecision.REJECT:
            _count(self._rejected, answer.decided_by, code, other=(_OTHER, _OTHER))

    def metrics(self) -> Iterable[Metric]:
        """The guard's metrics as they are now, those of its books' store among them."""
        with self._lock:
            yield from self._own_metrics()
            yield from self._keeper.metrics()
            yield from self._slice_metrics()

    def _own_metrics(self) -> Iterable[Metric]:
        books, switches = self._books, self._books.switches
        working = books.ledger.orders.working
        counts = (sum(self._took[: _SHORTEST + 1]), *self._took[_SHORTEST + 1 :])
        decided = {(RiskDecision.APPROVE.value, ""): self._approved, **self._decided}
        yield metric(
            "ringfence_decisions",
            (
                Sample({"decision": decision, "code": code}, count)
                for (decision, code), count in decided.items()
            ),
        )
        yield metric(
            "ringfence_rejections",
            (
                Sample({"gate": gate, "code": code}, count)
                for (gate, code), count in self._rejected.items()
            ),
        )
        yield one("ringfence_decisions_repeated", self._repeats)
        yield one(
            "ringfence_decision_seconds", HistogramValue(_BOUNDS, counts, self._took_ns * 1e-9)
        )
        yield one("ringfence_working_orders", len(working))
        yield one(
            "ringfence_orphaned_orders", sum(each.order_id in working for each in self.orphans)
        )
        yield one("ringfence_unreconciled_accounts", len(switches.unreconciled))
        yield metric(
            "ringfence_reconciliations",
            (Sample({"result": name}, count) for name, count in self._reconciled.items()),
        )
        yield metric(
            "ringfence_kill_switch",
            (
                Sample({"target": target}, KILL_STATES.index(switches.state(target)))
                for target in {FIRM: None, **switches.switches}
            ),
        )
        yield metric(
            "ringfence_ledger_notices",
            (Sample({"code": code}, n) for code, n in books.ledger.counts.items()),
        )
        yield one("ringfence_policy_info", 1, {"policy_set": self.policy_set})
        yield one("ringfence_policy_loaded_timestamp_seconds", self._swapped_ns * 1e-9)
        left = self.policy_lease_ns
        if left is not None:
            yield one("ringfence_policy_lease_seconds", left * 1e-9)
        yield metric(
            "ringfence_shadow_decisions",
            (Sample({"difference": what}, n) for what, n in self._shadow_counts.items()),
        )
        yield one("ringfence_listener_errors", self._listener_errors)


def _count(
    counts: Counter[tuple[str, str]], first: str, second: str, *, other: tuple[str, str]
) -> None:
    key = first, second
    if key not in counts and len(counts) >= _MOST_LABELS:
        key = other
    counts[key] += 1
