"""When only orders that reduce risk pass whatever switches say, and orders that belong to another group."""

from typing import Any

from ringfence.language.orders import KILL_STATES
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import Asked, shown
from ringfence.runtime.evaluator import Found, Route
from ringfence.runtime.firm_slices import FirmSlices, held_off_words
from ringfence.runtime.guard_policies import GuardPolicies

__all__ = ["GuardHeldOff"]

_REDUCING = KILL_STATES.index("reducing")


class GuardHeldOff(GuardPolicies):
    """How `CentralRiskGuard` decides where it is held off: its clock is behind what the books have seen, its policies know the
    order's symbol or venue no more, or the firm that it is a group of lost too much (`GuardSlices` says when).
    """

    def __init__(self, linked: Any, audit: Any, state: Any, clock: Any, settings: Any, *more: Any):
        self._slices: FirmSlices | None = settings.slices
        self._own_books: frozenset[str] = frozenset()
        self._heard_ns = 0
        self._why_held_off = ""
        # Of the order that was asked about last.
        self._why_reducing = ""
        super().__init__(linked, audit, state, clock, settings, *more)

    def _ask(self, route: Route, asked: Asked, lots: int, now: int) -> Any:
        """Ask the gates; where something holds orders off, as if the firm took only orders that reduce risk."""
        if self._slices is not None and (elsewhere := self._elsewhere(route)):
            return Refusal(
                "OTHER_GROUP", f"{elsewhere} does not trade in group={self.settings.group}"
            )
        self._why_reducing = self._held_off(now) or self._gone(route)
        if not self._why_reducing:
            return super()._ask(route, asked, lots, now)
        switches = self._books.ledger.arrays.books.kill_book
        before = switches[0]
        switches[0] = max(before, _REDUCING)
        try:
            return super()._ask(route, asked, lots, now)
        finally:
            switches[0] = before

    def _elsewhere(self, route: Route) -> str:
        """A book of the order that is not of this group, so that its limits would hold twice; empty for none."""
        account, strategy = route.key[:2]
        if f"account/{account}" not in self._own_books:
            return f"account/{account}"
        name = f"strategy/{strategy}"
        is_limited = any(bound.gate.level == "strategy" for bound in route.bounds)
        return name if strategy and is_limited and name not in self._own_books else ""

    def _held_off(self, now: int) -> str:
        """Why only orders that reduce risk may pass, whatever they are of; empty where nothing holds them off."""
        if told := self._clock_behind(now):
            return told
        if self._slices is None:
            return ""
        if now - self._heard_ns > self.settings.slice_lease_ns:
            return "FIRM_UNHEARD the store of the firm's slices has not answered for too long"
        return self._why_held_off

    def _clock_behind(self, now: int) -> str:
        """Why the clock is not to be trusted: time in the books stands still meanwhile, and old prices do not age."""
        behind = now - self._clock.now_ns()
        if behind <= self.settings.max_skew_ns:
            return ""
        return f"CLOCK_BEHIND the clock is {behind / 1e9:,.3f}s behind what the books have seen"

    def _gone(self, route: Route) -> str:
        """What of an order the policy set in force knows no more: books go on with what they knew before."""
        _, _, venue, symbol = route.key
        desk = self._linked.desk
        if symbol not in desk.instruments:
            return f"UNKNOWN_INSTRUMENT symbol {shown(symbol)} is no instrument of these policies"
        if venue and venue not in desk.venues and venue not in self.settings.venues:
            return f"UNKNOWN_VENUE venue {shown(venue)} is not declared any more"
        return ""

    def _words(self, found: Found) -> tuple[str, str]:
        reason, code = super()._words(found)
        why = self._why_reducing
        if not why or code != "KILL_SWITCH" or self._books.switches.state("firm") != "active":
            return reason, code
        return held_off_words(why)

    @property
    def _has_more(self) -> bool:
        return self._slices is not None or bool(self._why_reducing) or super()._has_more

    def _beside(self, found: Found) -> dict[str, Any]:
        beside = super()._beside(found)
        books = self._books
        if books.slice_unit:
            beside["slice"] = [self.settings.group, books.slice.capital, books.slice.share]
        if self._why_reducing:
            beside["held_off"] = self._why_reducing
        return beside
