"""What a guard would decide: nothing is reserved, recorded or counted."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.live_entry import code_of
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import Asked, read_order
from ringfence.runtime.evaluator import Evaluator, decider_of
from ringfence.runtime.guard_answers import GuardAnswers
from ringfence.runtime.guard_decision import ZERO, GuardDecision

__all__ = ["GuardPreview", "Previewed"]

# Orders that are looked at while others wait: a fraction of a millisecond.
_AT_A_TIME = 128
_WORDS = ("APPROVE", "REDUCE_SIZE", "REJECT")
_KILL_SWITCH = "KILL_SWITCH"


class Previewed(NamedTuple):
    """What would be decided of one order.

    `size` is what might be sent; `code` is empty for APPROVE, and `gate` where no gate decided.
    """

    decision: str
    size: Decimal
    code: str
    gate: str = ""


class GuardPreview(GuardAnswers):
    """The previews of `CentralRiskGuard`: orders on the books and market data as they are now."""

    def preview_order(self, order_request: Any) -> GuardDecision:
        """What would be decided of an order now, in full; its id is empty, and it has no approval.

        A `client_order_id` is not looked at.
        """
        asked = read_order(order_request)
        with self._lock:
            now = self._now_for_look()
            if isinstance(now, Refusal):
                return self._plain("", now, self._clock.now_ns())
            found = asked if isinstance(asked, Refusal) else self._look(asked, now)
            if isinstance(found, Refusal):
                return self._plain("", found, now)
            words = self.evaluator.in_words(found)
            reason, code = self._words(found) if found.decision else ("", "")
            return GuardDecision(
                "",
                words.decision,
                reason,
                found.lots * found.route.instrument.lot_step if found.lots else ZERO,
                code,
                self._linked.sha256,
                None,
                now,
                self.evaluator,
                found,
                room=None if found.lots else (self, found.asked),
            )

    def preview_orders(self, orders: Iterable[Asked | Refusal]) -> list[Previewed]:
        """What would be decided of each order, were it the only one: none sees the others.

        The guard decides others' orders in between; all of a hundred or so are looked at together.

        Args:
            orders: As `asked.read_order` or `asked.read_known` gives them.
        """
        found: list[Previewed] = []
        coming = iter(orders)
        while some := list(islice(coming, _AT_A_TIME)):
            with self._lock:
                found += self._preview_some(some)
        return found

    def _preview_some(self, orders: Sequence[Asked | Refusal]) -> list[Previewed]:
        now = self._now_for_look()
        if isinstance(now, Refusal):
            return [Previewed(_WORDS[2], ZERO, now.code)] * len(orders)
        # A name that is met for the first time may bind the evaluator anew.
        codes, of = _codes(self.evaluator), self.evaluator
        found = []
        for asked in orders:
            seen = asked if isinstance(asked, Refusal) else self._look(asked, now)
            if isinstance(seen, Refusal):
                found.append(Previewed(_WORDS[2], ZERO, seen.code))
                continue
            if seen.decision == 0:
                found.append(Previewed(_WORDS[0], seen.asked.size, ""))
                continue
            if self.evaluator is not of:
                codes, of = _codes(self.evaluator), self.evaluator
            code = codes[code_of(seen.content)]
            if code == _KILL_SWITCH:
                code = self._words(seen)[1]
            size = seen.lots * seen.route.instrument.lot_step if seen.lots else ZERO
            found.append(Previewed(_WORDS[seen.decision], size, code, decider_of(seen)))
        return found


def _codes(evaluator: Evaluator) -> tuple[str, ...]:
    """Codes of reasons by the kernel's."""
    return (*layout.REFUSALS, *evaluator.denials)
