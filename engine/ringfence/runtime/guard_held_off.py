"""What a guard of a group decides otherwise: orders that belong elsewhere, and a firm that takes no new risk."""

from typing import Any

from ringfence.language.orders import KILL_STATES
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import Asked
from ringfence.runtime.evaluator import Found, Route
from ringfence.runtime.firm_slices import FirmSlices, held_off_words
from ringfence.runtime.guard_policies import GuardPolicies

__all__ = ["GuardHeldOff"]

_REDUCING = KILL_STATES.index("reducing")


class GuardHeldOff(GuardPolicies):
    """How `CentralRiskGuard` decides in a group; `GuardSlices` says when it is held off, and what is its own."""

    def __init__(self, linked: Any, audit: Any, state: Any, clock: Any, settings: Any, *more: Any):
        self._slices: FirmSlices | None = settings.slices
        self._own_books: frozenset[str] = frozenset()
        self._heard_ns = 0
        self._why_held_off = ""
        super().__init__(linked, audit, state, clock, settings, *more)

    def _ask(self, route: Route, asked: Asked, lots: int, now: int) -> Any:
        """Ask the gates; while another group lost too much, as if the firm took only orders that reduce risk."""
        if self._slices is None:
            return super()._ask(route, asked, lots, now)
        if elsewhere := self._elsewhere(route):
            return Refusal(
                "OTHER_GROUP", f"{elsewhere} does not trade in group={self.settings.group}"
            )
        if not self._held_off(now):
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
        """Why only orders that reduce risk may pass; empty where nothing holds them off."""
        if self._slices is None:
            return ""
        if now - self._heard_ns > self.settings.slice_lease_ns:
            return "FIRM_UNHEARD the store of the firm's slices has not answered for too long"
        return self._why_held_off

    def _words(self, found: Found) -> tuple[str, str]:
        reason, code = super()._words(found)
        why = self._held_off(found.now_ns)
        if not why or code != "KILL_SWITCH" or self._books.switches.state("firm") != "active":
            return reason, code
        return held_off_words(why)

    @property
    def _has_more(self) -> bool:
        return self._slices is not None or super()._has_more

    def _beside(self, found: Found) -> dict[str, Any]:
        beside = super()._beside(found)
        books = self._books
        if books.slice_unit:
            beside["slice"] = [self.settings.group, books.slice.capital, books.slice.share]
            if why := self._held_off(found.now_ns):
                beside["held_off"] = why
        return beside
