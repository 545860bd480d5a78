"""Which policy set a guard decides with: swapping it, its lease, and a set that runs in its shadow."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ringfence.errors import AuditError, StateError
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import KILL_STATES
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import Asked
from ringfence.runtime.audit_decision import policy_set_body
from ringfence.runtime.evaluator import Evaluator, Found, Route, gate_needs
from ringfence.runtime.guard_feeds import GuardFeeds
from ringfence.runtime.policy_lease import lease_words
from ringfence.runtime.policy_set import PolicySet

__all__ = ["GuardPolicies"]

_DECISIONS = ("APPROVE", "REDUCE_SIZE", "REJECT")
_REDUCING = KILL_STATES.index("reducing")
_KILL_SWITCH = "KILL_SWITCH"


class GuardPolicies(GuardFeeds):
    """The policy sets of `CentralRiskGuard`."""

    def __init__(self, *parts: Any) -> None:
        self._shadow: Evaluator | None = None
        self._shadow_policies: LinkedSet | None = None
        self._shadow_counts: Counter[str] = Counter()
        super().__init__(*parts)
        self._confirmed_ns = self._swapped_ns = self._clock.now_ns()

    def use(
        self, policy_set: PolicySet, *, by: str, source: Mapping[str, Any] | None = None
    ) -> None:
        """Decide with another policy set from the next order on. What is reserved stays reserved.

        An order sees the one set or the other, whole. Compile the set beforehand, where its structure is new:
        orders wait for what is missing.

        Args:
            policy_set: The set.
            by: Who or what brings it.
            source: Where it comes from (commit, author and the like), for the audit record.

        Raises:
            StateError: it does not fit the books (another currency, a held symbol under other rules), or the
                guard is closed; the old set stays.
            AuditError: the change could not be recorded, and the old set stays; where the log took the record and
                failed to write it, the new set is in force, and orders are rejected until the log is open again.
        """
        linked, before = policy_set.linked, self._linked
        # All that takes time is done while orders are still decided with the old set: compiled code is loaded,
        # limits are laid out, and bound to what orders ask about.
        evaluator, bound = self._evaluator_of(linked), self._books.slice.share
        self._make_ready(evaluator)
        gate_needs(linked)
        if self._records:
            self._record("policy-set", policy_set_body(linked))
        body = {
            "before": before.sha256,
            "after": linked.sha256,
            "by": by,
            "source": dict(source or {}),
        }
        with self._alone():
            if self._closed:
                raise StateError("the guard is closed", "open it again")
            before = self._linked
            self._keeper.adopt(linked)
            self._linked = linked
            try:
                sequence = self._audit.append("policy-swap", body | {"before": before.sha256})
            except AuditError:
                self._linked = before
                self._keeper.adopt(before)
                raise
            self._breaches.clear()
            self.evaluator, self._bound = evaluator, bound
            self._bind_anew()
            self._confirmed_ns = self._swapped_ns = self._clock.now_ns()
            self._fit_shadow()
        self._audit.wait(sequence)

    def _make_ready(self, evaluator: Evaluator) -> None:
        """Do beforehand what the first orders under other limits would wait for."""
        evaluator.know_routes_of(self.evaluator)

    @property
    def linked(self) -> LinkedSet:
        """The policy set that decides, linked."""
        return self._linked

    def confirm_policies(self) -> None:
        """The policy set is current, as of now: its lease begins anew."""
        with self._lock:
            self._confirmed_ns = self._clock.now_ns()

    @property
    def policy_lease_ns(self) -> int | None:
        """What is left of the policy lease, in ns; below zero once it is over, None without one."""
        lease = self.settings.policy_lease_ns
        return None if lease is None else self._confirmed_ns + lease - self._clock.now_ns()

    def shadow(self, policy_set: PolicySet | None) -> None:
        """Ask another whole set about each order as well, and record what it would have decided; None ends it.

        It changes no decision. How often the two differ counts from here.

        Raises:
            AuditError: the set could not be recorded.
        """
        evaluator = None
        if policy_set is not None:
            evaluator = self._evaluator_of(policy_set.linked)
            if self._records:
                self._record("policy-set", policy_set_body(policy_set.linked))
        with self._lock:
            self._shadow_policies = None if policy_set is None else policy_set.linked
            self._shadow = evaluator
            self._shadow_counts.clear()
            self._fit_shadow()

    @property
    def shadow_set(self) -> str:
        """SHA-256 of the set that runs in the shadow; empty where none does."""
        shadow = self._shadow
        return "" if shadow is None else shadow.linked.sha256

    @property
    def shadow_differences(self) -> dict[str, int]:
        """How often the shadow decided otherwise, as `APPROVE to REJECT`, and of how many `decisions`."""
        with self._lock:
            return dict(self._shadow_counts)

    def _fit_shadow(self) -> None:
        self._books.fit_too(self._shadow_policies)

    def _bind(self) -> None:
        super()._bind()
        if self._shadow_policies is not None:
            self._shadow = self._evaluator_of(self._shadow_policies)
            self._fit_shadow()

    @property
    def _has_more(self) -> bool:
        """Whether a record may say more than the decision: of a lease, or of a set in the shadow."""
        return self._shadow is not None or self.settings.policy_lease_ns is not None

    def _ask(self, route: Route, asked: Asked, lots: int, now: int) -> Found | Refusal:
        """Ask the gates; once the lease is over, as if the firm took only orders that reduce risk."""
        if not self._is_lease_over(now):
            return self.evaluator.ask(route, asked, lots, now)
        switches = self._books.ledger.arrays.books.kill_book
        before = switches[0]
        switches[0] = max(before, _REDUCING)
        try:
            return self.evaluator.ask(route, asked, lots, now)
        finally:
            switches[0] = before

    def _is_lease_over(self, now: int) -> bool:
        lease = self.settings.policy_lease_ns
        return lease is not None and now - self._confirmed_ns > lease

    def _words(self, found: Found) -> tuple[str, str]:
        """Reason and code of a decision that is no approval."""
        reason, code = self.evaluator.reason(found)
        lease = self.settings.policy_lease_ns
        if (
            lease is None
            or code != _KILL_SWITCH
            or not self._is_lease_over(found.now_ns)
            or self._books.switches.state("firm") != "active"
        ):
            return reason, code
        return lease_words(found.now_ns - self._confirmed_ns, lease)

    def _beside(self, found: Found) -> dict[str, Any]:
        """What a record says of a lease that is over, and of the set in the shadow."""
        beside: dict[str, Any] = {}
        if self._is_lease_over(found.now_ns):
            beside["lease"] = {
                "confirmed_ns": self._confirmed_ns,
                "lease_ns": self.settings.policy_lease_ns,
            }
        if self._shadow is not None:
            beside["shadow"] = self._ask_shadow(self._shadow, found)
        return beside

    def _ask_shadow(self, shadow: Evaluator, found: Found) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "policy_set": shadow.linked.sha256,
            "decision": "REJECT",
            "lots": 0,
        }
        route = shadow.route(found.asked)
        if isinstance(route, Refusal):
            return answer | {"code": route.code}
        lots = shadow.lots(route, found.asked)
        if isinstance(lots, Refusal):
            return answer | {"code": lots.code}
        other = shadow.ask(route, found.asked, lots, found.now_ns)
        if isinstance(other, Refusal):
            return answer | {"code": other.code}
        code = shadow.reason(other)[1] if other.decision else ""
        return answer | {
            "decision": _DECISIONS[other.decision],
            "lots": other.lots,
            "code": code,
        }

    def _count_shadow(self, found: Found, beside: Mapping[str, Any]) -> None:
        if "shadow" not in beside:
            return
        ours, theirs = _DECISIONS[found.decision], beside["shadow"]
        self._shadow_counts["decisions"] += 1
        if theirs["decision"] != ours:
            self._shadow_counts[f"{ours} to {theirs['decision']}"] += 1
        elif theirs["lots"] != found.lots:
            self._shadow_counts["another size"] += 1
