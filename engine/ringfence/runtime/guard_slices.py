"""A guard of one group of several: its slice of the firm, more of it when needed, and the firm's kill switch."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from ringfence.errors import InputError, LedgerError, RingfenceError, StateError
from ringfence.runtime.evaluator import Found
from ringfence.runtime.firm_slices import (
    PARTS,
    FirmSlices,
    FirmState,
    GroupState,
    Slice,
)
from ringfence.runtime.group_visit import prices_of, visit
from ringfence.runtime.guard_held_off import GuardHeldOff
from ringfence.runtime.metrics import Metric
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.shared_books import SharedBooks
from ringfence.runtime.slice_metrics import slice_metrics
from ringfence.runtime.slice_use import lack_of, spare, use_of
from ringfence.runtime.sliced_limits import require_sliceable

__all__ = ["GuardSlices"]

_STEP = PARTS // 16
# What a group keeps besides what it uses, so that slices do not go to and fro with every order.
_KEPT = 1 / 16
_MOST_ASKS = 8
_ASK_AGAIN_NS = 250_000_000
_RETRY_NS = 1_000_000_000
_NS_PER_MS = 1_000_000
_LEASES_BETWEEN = 12
# Used in full, with what divisions round.
_FULL = 1.0 + 1e-9


class GuardSlices(GuardHeldOff):
    """The slices of `CentralRiskGuard`."""

    def __init__(self, linked: Any, audit: Any, state: Any, clock: Any, settings: Any, *more: Any):
        self._most_asks = 0 if settings.slices is None else _MOST_ASKS
        self._asks_left = 0
        self._ask_again_ns = self._retry_ns = 0
        self._visit_again_ns: dict[str, int] = {}
        self._visiting = threading.Lock()
        self._is_short = False
        self._untold_switch: tuple[str, str, str] | None = None
        self._moves: Counter[str] = Counter({"in": 0, "out": 0})
        self._reclaims = self._visits = 0
        if settings.slices is not None:
            if not settings.group:
                raise InputError("a guard with slices needs a group", fix="name it in its settings")
            require_sliceable(linked)
        super().__init__(linked, audit, state, clock, settings, *more)

    def _start(self, is_shared: bool) -> None:
        if self._slices is not None:
            if not is_shared:
                raise InputError(
                    "slices are held by books that guards share",
                    fix="open the guard with the log of its group: `slices.log(group, name)`",
                )
            self._keeper.ready(self._clock.now_ns())
            self._join(self._slices)
        elif self._books.slice_unit:
            raise InputError(
                "these books hold a slice of a firm", fix="give the guard `slices` and its `group`"
            )
        super()._start(is_shared)

    def _join(self, slices: FirmSlices) -> None:
        self._bind()
        state = self._renew(slices, is_over=None)
        try:
            self._take_over(state)
        except LedgerError as error:
            raise StateError(
                "the group's books were begun without a slice",
                fix="begin them anew under another name, and move the positions there",
            ) from error
        if not (self._books.slice.share or self._raise(slices)):
            self._visit(slices, slices.state(), _is_forsaken)
            self._raise(slices)
        self._take_over_switch(state)

    def _renew(self, slices: FirmSlices, *, is_over: bool | None) -> FirmState:
        lease_ms = self.settings.slice_lease_ns // _NS_PER_MS
        books, group = self._books, self.settings.group
        state = slices.renew(
            group, books.slice, lease_ms=lease_ms, is_over=is_over, switch=books.firm_switch
        )
        self._heard_ns = self._clock.now_ns()
        self._own_books = state.groups[group].books
        return state

    # Now and then

    def catch_up(self) -> None:
        """As `GuardPolicies.catch_up`; a guard of a group also tells the firm that it lives, and hears of it."""
        super().catch_up()
        slices, now = self._slices, self._clock.now_ns()
        if slices is None or now < self._retry_ns:
            return
        try:
            self._tell_switch(slices)
            with self._lock:
                loss = self._use(every_symbol=False).loss
            # The store is asked while orders are decided, and so is every other group's.
            state = self._renew(slices, is_over=not loss <= _FULL)
            with self._alone():
                if not self._closed:
                    self._hear(slices, state)
        except StateError:
            self._retry_ns = now + _RETRY_NS
            raise
        if self._is_short or self._watches(state):
            self._visit(slices, state, _is_forsaken)
        if self._why_held_off:
            self._visit(slices, state, _is_left_over)

    def _hear(self, slices: FirmSlices, state: FirmState) -> None:
        self._take_over(state)
        self._take_over_switch(state)
        self._ask_again_ns = 0
        use = self._use(every_symbol=False)
        for _ in range(_MOST_ASKS):
            # What markets did to it is covered first; only what cannot be holds off the others.
            if use.most != use.most or use.most <= _FULL or not self._raise(slices, use.most):
                break
            use = self._use(every_symbol=False)
            state = self._renew(slices, is_over=not use.loss <= _FULL)
        if (state.is_wanted or state.is_overdrawn) and use.most <= 1.0:
            self._give_back(slices, state)
        over = [
            name
            for name, each in state.groups.items()
            if each.is_over and name != self.settings.group
        ]
        self._why_held_off = ""
        if state.is_overdrawn:
            self._why_held_off = "FIRM_OVERDRAWN the groups hold more than the firm has"
        elif over:
            names = ",".join(over)
            self._why_held_off = f"FIRM_OVER_LIMIT groups={names} lost more than their slices allow"

    def _use(self, *, every_symbol: bool) -> Any:
        self._bind_anew()
        now = max(self._clock.now_ns(), self._books.now_ns)
        return use_of(self.evaluator, self._books, now, every_symbol=every_symbol)

    def _take_over(self, state: FirmState) -> bool:
        """Let the group's log have what the store gave out; whether that was more than it had."""
        held = state.slice_of(self.settings.group).joined(self._books.slice)
        if held == self._books.slice and self._books.slice_unit:
            return False
        self._happen("slice", *held, state.unit, audit=self._told(held, state))
        self._moves["in"] += 1
        self._bind_anew()
        return True

    def _told(self, held: Slice, state: FirmState) -> Mapping[str, Any]:
        return {
            "group": self.settings.group,
            "capital": str(state.money(held.capital)),
            "share": held.share / PARTS,
        }

    # More

    def _has_more_room(self, found: Found) -> bool:
        """Whether the firm gave out more, where its limits stood in an order's way: it is decided anew then."""
        slices, now = self._slices, found.now_ns
        if slices is None or not self._asks_left or now < self._ask_again_ns:
            return False
        lack = lack_of(found, nothing=not self._books.slice.capital)
        if not lack:
            return False
        self._asks_left -= 1
        with suppress(RingfenceError):
            if self._raise(slices, lack):
                return True
        self._ask_again_ns = now + _ASK_AGAIN_NS
        return False

    def _raise(self, slices: FirmSlices, lack: float = 0.0) -> bool:
        """Take more of what is free, a step or what a use of `lack` times the slice needs; whether there was some."""
        group, held = self.settings.group, self._books.slice
        parts = _step(held.capital, lack), _step(held.share, lack)
        grown = self._take_over(slices.take(group, held, *parts))
        self._is_short = not grown
        return grown

    def _watches(self, state: FirmState) -> bool:
        """Whether it is for this group to see what those lose that nobody speaks for."""
        return self.settings.group == min(
            (name for name, each in state.groups.items() if each.is_live), default=""
        )

    def _visit(
        self, slices: FirmSlices, state: FirmState, wanted: Callable[[GroupState], bool]
    ) -> None:
        """Look into the books of other groups, never while orders wait, and of one not too often."""
        own, now = self.settings.group, self._clock.now_ns()
        if not self._visiting.acquire(blocking=False):
            return
        try:
            for name, each in state.groups.items():
                if name == own or not wanted(each) or now < self._visit_again_ns.get(name, 0):
                    continue
                # Once everything spare was taken, there is hardly more to be had.
                leases = 1 if each.is_over else _LEASES_BETWEEN
                self._visit_again_ns[name] = now + leases * self.settings.slice_lease_ns
                self._visits += 1
                with self._lock:
                    prices = prices_of(self._books)
                # No origin is ever used twice.
                origin = f"{own}:{self._run}-{self._visits}"
                with suppress(StateError, OSError):
                    self._reclaims += visit(
                        slices, name, origin, state, prices, self._linked, self._build, now
                    )
        finally:
            self._visiting.release()

    # Less

    def _give_back(self, slices: FirmSlices, state: FirmState) -> None:
        """Give back what is not used; in the group's log first, where it still stands as it was looked at."""
        books, keeper = self._books, self._keeper
        use = self._use(every_symbol=True)
        capital, share = spare(books, use.most, _KEPT)
        if not (capital or share) or not isinstance(keeper, SharedBooks):
            return
        held = books.slice.less(capital, share)
        now = max(self._clock.now_ns(), books.now_ns)
        if keeper.keep_here(["slice", now, *held, books.slice_unit]):
            self._bind_anew()
            self._moves["out"] += 1
            self._audit.append("slice", self._told(held, state))
            self._renew(slices, is_over=None)

    # The firm's switch

    def set_kill_switch(
        self,
        target: str,
        state: str,
        *,
        by: str,
        reason: str,
        seen_ns: int | None = None,
        rearm: bool = False,
    ) -> None:
        """As `GuardFeeds.set_kill_switch`; the firm's is told to all groups, and `rearm` holds for this group's part of it.

        Raises:
            StateError: it is set in this group, and the others will be told once the store can be asked.
        """
        super().set_kill_switch(target, state, by=by, reason=reason, seen_ns=seen_ns, rearm=rearm)
        if self._slices is not None and target == "firm":
            self._untold_switch = state, by, reason
            self._tell_switch(self._slices)

    def _tell_switch(self, slices: FirmSlices) -> None:
        untold = self._untold_switch
        if untold is None:
            return
        try:
            slices.set_switch(*untold)
        except StateError as error:
            raise StateError(
                f"the firm's switch is set in this group alone: {error.message}",
                fix="the other groups are told once the store of slices can be asked",
            ) from error
        self._untold_switch = None

    def _take_over_switch(self, state: FirmState) -> None:
        switch = state.switch
        if switch is None or switch.version <= self._books.firm_switch.version:
            return
        fields = [switch.state, switch.by, switch.reason]
        before = self._books.switches.state("firm")
        body = {"switch": ["firm", *fields], "before": before, "version": switch.version}
        self._happen("firm", switch.version, *fields, audit=body)

    # What it is told

    def on_balance(self, book: str, kind: str, amount: Any) -> None:
        """As `GuardFeeds.on_balance`; in a group the firm's book has the capital of its slice."""
        if self._slices is not None and book == "firm":
            raise InputError(
                "the firm's book of a group holds its slice of the capital",
                fix="give the firm its capital when its slices are founded",
            )
        super().on_balance(book, kind, amount)

    def use(
        self, policy_set: PolicySet, *, by: str, source: Mapping[str, Any] | None = None
    ) -> None:
        """As `GuardPolicies.use`; also an InputError where a gate of the firm cannot be split over groups."""
        if self._slices is not None:
            require_sliceable(policy_set.linked)
        super().use(policy_set, by=by, source=source)

    def _slice_metrics(self) -> Iterable[Metric]:
        return slice_metrics(self._books, self._moves, self._reclaims)


def _step(held: int, lack: float) -> int:
    return max(_STEP, min(PARTS, math.ceil(held * (lack - _FULL)))) if lack < math.inf else _STEP


def _is_left_over(group: GroupState) -> bool:
    """Whether it reported a loss, and nobody is there to say that it is no more."""
    return group.is_over and not group.is_live


def _is_forsaken(group: GroupState) -> bool:
    """Whether nobody speaks for what it holds."""
    return group.slice is None or (
        not group.is_live and bool(group.slice.capital or group.slice.share)
    )
