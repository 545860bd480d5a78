"""What the gates would say of an order now: nothing is reserved, recorded or counted."""

import math
from decimal import Decimal

from ringfence.errors import StateError
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import Asked
from ringfence.runtime.evaluator import Found
from ringfence.runtime.guard_decision import ZERO
from ringfence.runtime.guard_standing import GuardStanding

__all__ = ["CLOSED", "NO_STATE", "GuardLooks"]

_REJECT = 2
NO_STATE = Refusal("STATE_UNAVAILABLE", "the guard's state could not be written")
CLOSED = Refusal("GUARD_CLOSED", "the guard is closed")


class GuardLooks(GuardStanding):
    """Looks at orders that are not decided; all of them need the guard's lock, or take it."""

    def _now_for_look(self) -> int | Refusal:
        """The time, with books and limits as they are then; or why nothing can be looked at."""
        if self._closed:
            return CLOSED
        try:
            now = self._keeper.ready(self._clock.now_ns())
        except (OSError, StateError):
            return NO_STATE
        self._bind_anew()
        return now

    def _look(self, asked: Asked, now: int) -> Found | Refusal:
        """What the gates find of an order."""
        route = self.evaluator.route(asked)
        if isinstance(route, Refusal):
            return route
        lots = self.evaluator.lots(route, asked)
        if isinstance(lots, Refusal):
            return lots
        found: Found | Refusal = self._ask(route, asked, lots, now)
        return found

    def largest_size(self, asked: Asked) -> Decimal:
        """The largest size, at most what is asked, of which an order like this one would be approved now.

        Found by bisection between the smallest size that its venue takes and what is asked: some 30 questions of
        the kernel. Where a gate of the desk's own falls as the size grows, it is a size that passes, and perhaps
        not the largest.

        Returns:
            In units of the base, a multiple of the lot step; zero where none passes, and while nothing can be decided.
        """
        with self._lock:
            now = self._now_for_look()
            if isinstance(now, Refusal):
                return ZERO
            found = self._look(asked, now)
            if isinstance(found, Refusal):
                return ZERO
            return self._largest_lots(found) * found.route.instrument.lot_step

    def _largest_lots(self, found: Found) -> int:
        if found.decision != _REJECT:
            return found.lots
        least = self._least_lots(found)
        passing = self._passing(found, least)
        if not passing:
            # Its smallest value, divided by the price, may have been rounded down.
            least += 1
            passing = self._passing(found, least)
        low, high = least + 1, found.asked_lots - 1
        while passing and low <= high:
            middle = (low + high) // 2
            if more := self._passing(found, middle):
                passing, low = more, middle + 1
            else:
                high = middle - 1
        return passing

    def _passing(self, found: Found, lots: int) -> int:
        """What would be approved of so many lots; 0 where nothing would, and where it is not less than was asked."""
        if lots >= found.asked_lots:
            return 0
        seen = self._ask(found.route, found.asked, lots, found.now_ns)
        return 0 if isinstance(seen, Refusal) else seen.lots

    def _least_lots(self, found: Found) -> int:
        """The smallest order that its venue takes, in lots; of its smallest value, rounded down."""
        instrument, price = found.route.instrument, found.answer.value
        least = math.ceil((instrument.min_size or 0) / instrument.lot_step)
        value = float(instrument.lot_step) * price * instrument.multiplier
        if instrument.min_notional > 0 and value > 0:
            least = max(least, int(instrument.min_notional / value))
        return max(1, least)
