"""Cancels working orders where a kill switch says so.

It looks at how the switches stand, and not at how they came to: so it also works after a restart, and for
switches that another guard of the same books has set. An order counts as open until the exchange has said
that it ended and the guard knows its fills.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ringfence.errors import ApprovalError, AuditError, ExchangeError, StateError
from ringfence.gateway.gateway import Gateway
from ringfence.gateway.guarded import Guard, Records, is_over, settle
from ringfence.gateway.looping import Looking
from ringfence.runtime.exchanges import OrderAck, OrderState
from ringfence.runtime.metric_table import metric, one
from ringfence.runtime.metrics import Metric, Sample
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from ringfence.runtime.guard_core import WorkingOrder

__all__ = ["CancelSettings", "SwitchCancels"]


@dataclass(frozen=True, slots=True)
class CancelSettings:
    """Which switches cancel, and how hard it is tried.

    Attributes:
        halted: Globs of targets (`firm`, `account/*`) whose state `halted` cancels every order in their scope.
        reducing: The same for `reducing`, which cancels orders that could add risk.
        look_s: Seconds between two looks while nothing is heard.
        first_retry_s, longest_retry_s: From a failure to the next try, twice as long each time.
        told_after: So many failures in a row of one order make a record `cancel-failed`.
    """

    halted: tuple[str, ...] = ("*",)
    reducing: tuple[str, ...] = ()
    look_s: float = 1.0
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0
    told_after: int = 3


@dataclass(slots=True)
class _Attempt:
    """What was tried for an order; `over` is the exchange's word that it has ended."""

    order: "WorkingOrder"
    causes: tuple[str, ...]
    failures: int = 0
    due_s: float = 0.0
    was_sent: bool = False
    is_withdrawn: bool = False
    is_cancelled: bool = False
    is_told: bool = False
    over: OrderAck | None = None


class SwitchCancels:
    """Cancels through one gateway. Use one for each: a venue that does not answer then holds up no other.

    Args:
        guard: Whose switches and orders; pass `heard` to its `listen`, to act at once.
        gateway: Cancels, and uses up approvals that were not sent yet.
        audit: Takes a record of each order that was ended (`switch-cancel`) or cannot be (`cancel-failed`).
    """

    def __init__(
        self,
        guard: Guard,
        gateway: Gateway,
        audit: Records | None = None,
        *,
        settings: CancelSettings | None = None,
        clock: Clock = SYSTEM_CLOCK,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard, self._gateway, self._audit = guard, gateway, audit
        self._settings = settings or CancelSettings()
        self._clock, self._monotonic = clock, monotonic
        self._one_look, self._lock = threading.Lock(), threading.Lock()
        self._attempts: dict[str, _Attempt] = {}
        self._counts: Counter[str] = Counter()
        self._pause_until_s = 0.0
        self._has_heard = False
        self._looking = Looking(f"cancel-{gateway.venue}", self.look, self._failed)

    def start(self) -> None:
        """Cancel from now on, in a thread; also what switches that were set before ask for."""
        self._looking.start()

    def stop(self) -> None:
        """Cancel nothing more."""
        self._looking.stop()

    def __enter__(self) -> "SwitchCancels":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def heard(self, event: list[Any]) -> None:
        """Something has happened at the guard; a switch is looked at at once."""
        if event[0] == "switch":
            self._has_heard = True
            self._looking.wake()

    def look(self) -> float:
        """Do what is due.

        Returns:
            Seconds until the next look is due at the latest.
        """
        with self._one_look:
            self._has_heard = False
            self._note_wanted()
            for attempt in list(self._attempts.values()):
                # First what needs no exchange: approvals that could still be sent.
                if not attempt.was_sent:
                    self._withdraw(attempt)
            # Every cancel before any question: questions are paced, and cancels are not.
            for attempt in self._due():
                is_sent = not attempt.is_withdrawn and not attempt.is_cancelled
                if is_sent and self._is_due(attempt):
                    self._try(attempt, self._cancel)
            for attempt in self._due():
                if self._has_heard:
                    # Another switch was set: its cancels go first.
                    return 0.0
                if attempt.is_cancelled and self._is_due(attempt) and self._is_working(attempt):
                    self._try(attempt, self._confirm)
            return self._next_s()

    def metrics(self) -> Iterable[Metric]:
        """What it counted, by venue; see `runtime.metrics.Source`."""
        venue = self._gateway.venue
        with self._lock:
            done = tuple(
                Sample({"venue": venue, "result": result}, n)
                for result, n in sorted(self._counts.items())
            )
            left = [each for each in self._attempts.values() if not each.is_withdrawn]
        failing = sum(1 for each in left if each.is_told)
        here = {"venue": venue}
        yield metric("ringfence_switch_cancels", done)
        yield one("ringfence_switch_cancels_open", len(left), here)
        yield one("ringfence_switch_cancels_failing", failing, here)

    def _failed(self, error: Exception) -> None:
        with self._lock:
            self._counts[f"error-{type(error).__name__}"] += 1

    # What is wanted

    def _note_wanted(self) -> None:
        """Begin an attempt for each order that has to end, and drop those that are not wanted any more."""
        halted, reducing = self._switches()
        if not (halted or reducing or self._attempts):
            return
        working = self._guard.working_orders(venue=self._gateway.venue)
        wanted = self._wanted(working, halted, reducing)
        gone = [each for each in self._attempts.values() if each.order.order_id not in wanted]
        still = {order.order_id for order in working}
        for attempt in gone:
            order_id = attempt.order.order_id
            if attempt.is_cancelled and order_id not in still:
                # Whoever follows the account was quicker to tell the guard.
                self._done(attempt, "ended")
            with self._lock:
                self._attempts.pop(order_id, None)
        for order, causes in wanted.values():
            with self._lock:
                attempt = self._attempts.setdefault(order.order_id, _Attempt(order, causes))
            attempt.order = order

    def _switches(self) -> tuple[set[str], set[str]]:
        """Targets that are halted, and those that are reducing, where that cancels."""
        settings = self._settings
        halted, reducing = set(), set()
        for switch in self._guard.kill_switches:
            if switch.state == "halted" and _matches(switch.target, settings.halted):
                halted.add(switch.target)
            elif switch.state == "reducing" and _matches(switch.target, settings.reducing):
                reducing.add(switch.target)
        return halted, reducing

    def _wanted(
        self, working: "Iterable[WorkingOrder]", halted: set[str], reducing: set[str]
    ) -> dict[str, "tuple[WorkingOrder, tuple[str, ...]]"]:
        """Orders that have to end, and the switches that say so."""
        found: dict[str, tuple[WorkingOrder, tuple[str, ...]]] = {}
        room: dict[tuple[str, str], Decimal] = {}
        for order in working:
            if order.venue != self._gateway.venue or order.account not in self._gateway.accounts:
                continue
            targets = _targets(order)
            causes = [target for target in targets if target in halted]
            softer = [target for target in targets if target in reducing]
            if causes or (softer and self._adds_risk(order, room)):
                found[order.order_id] = order, tuple(causes or softer)
        return found

    def _adds_risk(self, order: "WorkingOrder", room: dict[tuple[str, str], Decimal]) -> bool:
        """Whether an order, filled after the older ones that stay, could leave its account with more risk."""
        key = order.account, order.symbol
        if key not in room:
            held = self._guard.book(f"account/{order.account}").positions.get(order.symbol)
            room[key] = held.size if held is not None else Decimal(0)
        held_size = room[key]
        rest = order.size if order.side == "buy" else -order.size
        if held_size * rest < 0 and abs(rest) <= abs(held_size):
            room[key] = held_size + rest
            return False
        return True

    # Ending an order

    def _withdraw(self, attempt: _Attempt) -> None:
        order = attempt.order
        if not attempt.is_withdrawn:
            try:
                attempt.is_withdrawn = self._gateway.withdraw(order.order_id, order.expires_ns)
                attempt.was_sent = not attempt.is_withdrawn
            except ApprovalError:
                # Whether it was sent cannot be told: then it is cancelled as if it had been.
                return
        if attempt.is_withdrawn:
            never = OrderAck(order.client_order_id, "", OrderState.CANCELLED, Decimal(0))
            self._settle(attempt, never, "withdrawn")

    def _due(self) -> list[_Attempt]:
        """Who waited longest is first: an order that fails again and again holds up no other."""
        return sorted(self._attempts.values(), key=lambda each: each.due_s)

    def _is_due(self, attempt: _Attempt) -> bool:
        # While the venue cannot be reached, what is left would only wait for it as well.
        return max(attempt.due_s, self._pause_until_s) <= self._monotonic()

    def _is_working(self, attempt: _Attempt) -> bool:
        """Whether the order still counts at the guard; takes it over as it is now."""
        for order in self._guard.working_orders():
            if order.order_id == attempt.order.order_id:
                attempt.order = order
                return True
        return False

    def _try(self, attempt: _Attempt, step: Callable[[_Attempt], None]) -> None:
        try:
            step(attempt)
        except ExchangeError as error:
            self._note_failure(attempt, error.code, error.message)

    def _cancel(self, attempt: _Attempt) -> None:
        order = attempt.order
        if not order.client_order_id:
            raise ExchangeError("NAME", "it has no client order id")
        self._gateway.cancel(order.account, order.client_order_id)
        attempt.is_cancelled = True

    def _confirm(self, attempt: _Attempt) -> None:
        """Ask where an order stands, and tell the guard of its end."""
        order = attempt.order
        if attempt.over is None:
            answer = self._gateway.find(order.account, order.client_order_id)
            if is_over(order, answer, self._clock.now_ns()):
                attempt.over = answer
            else:
                # It works on, or may still arrive: it is cancelled again.
                attempt.is_cancelled = False
        attempt.failures = 0
        attempt.due_s = self._monotonic() + self._settings.look_s
        if attempt.over is not None:
            self._settle(attempt, attempt.over, attempt.over.state.value)

    def _settle(self, attempt: _Attempt, answer: OrderAck, result: str) -> None:
        try:
            is_settled = settle(self._guard, attempt.order, answer)
        except (StateError, AuditError) as error:
            # Told again at the next look; other orders must not wait for the guard's disk.
            attempt.due_s = self._monotonic() + self._settings.look_s
            self._failed(error)
            return
        if is_settled:
            self._done(attempt, result)

    def _done(self, attempt: _Attempt, result: str) -> None:
        with self._lock:
            self._counts[result] += 1
            self._attempts.pop(attempt.order.order_id, None)
        self._record("switch-cancel", attempt, result=result)

    def _note_failure(self, attempt: _Attempt, code: str, reason: str) -> None:
        settings = self._settings
        attempt.failures += 1
        wait_s = settings.first_retry_s * 2.0 ** min(attempt.failures - 1, 30)
        attempt.due_s = self._monotonic() + min(wait_s, settings.longest_retry_s)
        if code == "UNREACHABLE":
            self._pause_until_s = attempt.due_s
        with self._lock:
            self._counts["failed"] += 1
        if attempt.failures >= settings.told_after and not attempt.is_told:
            attempt.is_told = True
            self._record("cancel-failed", attempt, code=code, reason=reason)

    def _record(self, kind: str, attempt: _Attempt, **more: str) -> None:
        if self._audit is None:
            return
        order = attempt.order
        body = {
            "order": order.order_id,
            "client_order_id": order.client_order_id,
            "venue": order.venue,
            "account": order.account,
            "symbol": order.symbol,
            "switches": list(attempt.causes),
            **more,
        }
        try:
            self._audit.append(kind, body)
        except AuditError as error:
            # A log that is full must not keep an order alive.
            self._failed(error)

    def _next_s(self) -> float:
        now_s = self._monotonic()
        due = [max(each.due_s, self._pause_until_s) - now_s for each in self._attempts.values()]
        return max(0.0, min([self._settings.look_s, *due]))


def _matches(target: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(target, glob) for glob in globs)


def _targets(order: "WorkingOrder") -> tuple[str, ...]:
    return (
        "firm",
        f"account/{order.account}",
        f"strategy/{order.strategy}",
        f"venue/{order.venue}",
        f"symbol/{order.symbol}",
    )
