"""Halts: of books, where a gate says so, and of approved orders that have not left yet."""

from collections.abc import Sequence
from typing import NamedTuple

from ringfence.backends.numba_kernel.slots import LEVELS
from ringfence.errors import RingfenceError
from ringfence.language.answers import denial
from ringfence.language.decision import GateResult
from ringfence.language.gates import Gate
from ringfence.language.linking import LinkedSet
from ringfence.language.tickets import Refusal
from ringfence.runtime.approvals import Approval
from ringfence.runtime.breach_ticks import held_times, target_of
from ringfence.runtime.evaluator import Found, halting_gates
from ringfence.runtime.guard_columns import GuardColumns

__all__ = ["GuardHalts", "StandingGate"]


class StandingGate(NamedTuple):
    """What a gate that halts books found in one, without an order.

    Attributes:
        target: The switch of the book.
        breach: The check that lies furthest beyond its limit; None where the limit is kept.
        times: As `held_times` gives them of the books in which it was found.
    """

    gate: Gate
    target: str
    breach: GateResult | None
    times: Sequence[int]


class GuardHalts(GuardColumns):
    """The halts of `CentralRiskGuard`."""

    def halt_standing(
        self, found: Sequence[StandingGate], linked: LinkedSet, at_ns: int
    ) -> tuple[str, ...]:
        """Halt the books whose gates found a breach as they stood, until a person resets them.

        A book whose switch is `reducing` takes no new risk already and is left so: a person may be taking its positions down.
        So is one whose switch was set since.

        Args:
            found: By gates of `linked`.
            linked: Where other limits hold meanwhile, nothing is done.
            at_ns: When the books stood so.

        Returns:
            The switches that were set.

        Raises:
            StateError, AuditError: a book was halted, which could not be kept or recorded.
            StateError: others share the books, and cannot be asked; until they can no order is approved, and no book is
                halted.
        """
        halted: list[str] = []
        failed: Exception | None = None
        sequence = 0
        with self._alone():
            if self._closed:
                return ()
            if self._keeper.is_shared and any(
                breach is not None and not self._is_settled(target, at_ns)
                for _, target, breach, _ in found
            ):
                # Another guard may have halted the book already, or a person have set its switch there.
                self._keeper.ready(self._clock.now_ns())
                self._keeper.current()
                self._bind_anew()
            if self.evaluator.linked is not linked:
                return ()
            for gate, target, breach, times in found:
                if breach is None:
                    if self._breaches:
                        self._breaches.forget(gate, target)
                elif not self._is_settled(target, at_ns) and self._breaches.confirm(
                    gate, target, times
                ):
                    halted.append(target)
                    try:
                        sequence = self._halt(gate, target, breach)
                    except (RingfenceError, OSError) as error:
                        # It holds in memory, and so must those of the books that follow.
                        failed = error
        if sequence:
            # Once for all, and no order waits meanwhile.
            self._audit.wait(sequence)
        if failed is not None:
            raise failed
        return tuple(halted)

    def held_back(self, approval: Approval) -> Refusal | None:
        """Why an approved order may not leave any more; None where it may.

        `ENDED`: it was cancelled or has expired here, and its headroom was given back. `SWITCHED`: a switch was set since that
        would have rejected it; where that is `reducing`, any order that is not `reduce_only`.

        Raises:
            StateError: others share the books, and cannot be asked.
        """
        with self._lock:
            if self._keeper.is_shared:
                self._keeper.ready(self._clock.now_ns())
                self._keeper.current()
                self._bind_anew()
            if approval.approval_id not in self._books.ledger.orders.working:
                return Refusal("ENDED", "its order has ended in the books")
            for target in _targets(approval):
                switch = self._books.switches.switches.get(target)
                if switch is None or switch.state == "active":
                    continue
                is_new = switch.at_ns > approval.issued_ns and not approval.reduce_only
                if switch.state == "halted" or is_new:
                    return Refusal("SWITCHED", f"`{target}` was set to {switch.state} since")
        return None

    def _is_settled(self, target: str, at_ns: int) -> bool:
        """Whether a switch takes no new risk already, or was set after `at_ns`."""
        switch = self._books.switches.switches.get(target)
        return switch is not None and (switch.state != "active" or switch.at_ns > at_ns)

    def _trip(self, found: Found) -> None:
        """Halt the books whose gates say so after an order was decided, until a person resets them.

        As in `halt_standing` one that is `reducing` is left so.
        """
        account, strategy = found.route.key[:2]
        books = self._books.ledger.arrays.books
        for k, is_breach in halting_gates(found):
            gate = found.route.bounds[k].gate
            target = target_of(gate, account, strategy)
            if not is_breach:
                self._breaches.forget(gate, target)
                continue
            if self._books.switches.state(target) != "active":
                continue
            times = held_times(books, found.route.books[LEVELS.index(gate.level)])
            if not self._breaches.confirm(gate, target, times):
                continue
            try:
                # The order's own record comes after it, and is waited for.
                self._halt(gate, target, self.evaluator.results(found)[k])
            except (RingfenceError, OSError):
                # It holds in memory; that the state or the log cannot be written rejects what follows.
                continue

    def _halt(self, gate: Gate, target: str, breach: GateResult) -> int:
        """Set the switch of a book; the number of its record, for which the caller waits."""
        self._breaches.forget(gate, target)
        reason = denial(gate.rule, breach, self._linked.currency)
        if gate.confirm_ticks > 1:
            reason += f" met at {gate.confirm_ticks} ticks"
        fields = [target, "halted", f"rule:{gate.name}", reason]
        _, sequence, failed = self._book("switch", *fields, audit={"switch": fields})
        if failed is not None:
            raise failed
        return sequence


def _targets(approval: Approval) -> tuple[str, ...]:
    """The switches that an order is under."""
    return (
        "firm",
        f"account/{approval.account}",
        f"strategy/{approval.strategy}",
        f"venue/{approval.venue}",
        f"symbol/{approval.symbol}",
    )
