"""The gateway: sends an order where the guard's approval is genuine, unused and for exactly that order.

What goes out is built from the signed approval. The order that is handed in is only compared with it, so
nothing that happens to that order afterwards can reach the exchange.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from time import perf_counter
from typing import Any, Protocol

from ringfence.errors import ApprovalError, ExchangeError
from ringfence.language.orders import OrderRequest, to_decimal
from ringfence.language.tickets import Refusal
from ringfence.runtime.approvals import REFUSED, Approval, Signer, snapshot
from ringfence.runtime.exchanges import (
    Exchange,
    ExchangeFill,
    ExchangeOrder,
    OpenOrder,
    OrderAck,
    OrderState,
    Watch,
)
from ringfence.runtime.metric_table import metric, one
from ringfence.runtime.metrics import Histogram, Metric, Sample
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock
from ringfence.runtime.used_approvals import UsedApprovals

__all__ = ["Gateway", "RefusalLog"]

_OPERATIONS = ("submit", "find", "cancel", "open_orders", "balances", "fills")
# Seconds; from a paper exchange in this process to an exchange that does not answer.
_BOUNDS = (0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_REPLAYED = "REPLAYED"
_COMPARED = ("account", "strategy", "venue", "symbol", "side", "type", "client_order_id")
# Whoever forges an approval chooses its texts; the audit log has a bound.
_LONGEST_TEXT = 200


class RefusalLog(Protocol):
    """The part of the audit log that the gateway needs."""

    def append(self, kind: str, body: Mapping[str, Any]) -> int:
        """Take in a record and give its sequence number."""
        ...


class HoldsBack(Protocol):
    """The part of `CentralRiskGuard` that the gateway asks."""

    def held_back(self, approval: Approval) -> Refusal | None:
        """Why an approved order may not leave any more; None where it may."""
        ...


class Gateway:
    """The only holder of the exchange, and so of its credentials.

    Counts what it did: `sent` orders, and `refused` approvals by code.

    Args:
        guard: Asked before an order leaves whether it still counts in the books, and whether a switch was set since.
            None where the gateway is a process of its own: an approval is then good until it runs out.
    """

    def __init__(
        self,
        exchange: Exchange,
        signer: Signer,
        used: UsedApprovals,
        audit: RefusalLog | None = None,
        *,
        guard: HoldsBack | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._exchange = exchange
        self._guard = guard
        self._signer = signer
        self._used = used
        self._audit = audit
        self._clock = clock
        self._lock = threading.Lock()
        self._sent = 0
        # What never happened is told as 0, so that its first time shows as a rise.
        self._refused: Counter[str] = Counter(dict.fromkeys(REFUSED, 0))
        self._cancels: Counter[str] = Counter()
        self._took = {name: Histogram(_BOUNDS) for name in _OPERATIONS}
        self._errors: Counter[str] = Counter()
        self._listeners: list[Callable[[str, OrderAck], None]] = []

    @property
    def venue(self) -> str:
        """The exchange's name in orders and policies."""
        return self._exchange.venue

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts that it acts for."""
        return self._exchange.accounts

    @property
    def sent(self) -> int:
        """Orders that were handed to the exchange, whatever it answered."""
        return self._sent

    @property
    def refused(self) -> dict[str, int]:
        """Refused approvals by code."""
        with self._lock:
            return {code: count for code, count in self._refused.items() if count}

    def submit(self, approval: Approval, order: OrderRequest, *, again: bool = False) -> OrderAck:
        """Send the approved order.

        Args:
            approval: The guard's; it is used up as soon as all checks passed, whatever happens then.
            order: The order as the caller means it, with the size that the guard gave.
            again: Whether the caller may ask for the same order at another time, as its own client does who got no
                answer. That it was sent then is no attempt at anything, and is neither counted nor recorded.

        Returns:
            The exchange's answer. Where its state is `unknown` ask `find`; never send anew before.

        Raises:
            ApprovalError: nothing was sent: `FORGED`, `EXPIRED`, `FOREIGN` (another venue or account),
                `ALTERED` (another order), `REPLAYED` (used before), `ENDED` (its order was cancelled or has expired in the
                guard's books), `SWITCHED` (a kill switch was set since) or `REGISTER_DOWN` (whether it was used, or
                still counts, cannot be told).
            AuditError: nothing was sent, and the refusal could not be recorded.
            ExchangeError: nothing was sent, for the exchange could not be reached or refuses such orders.
        """
        # The approval that is checked is the one that is sent; the caller's objects are not read again.
        taken: Approval | None = None
        try:
            taken = snapshot(approval)
            self._signer.check(taken, now_ns=self._clock.now_ns())
            self._check_place(taken)
            self._check_order(taken, order)
            self._claim(taken)
            self._check_held_back(taken)
        except ApprovalError as refusal:
            if not (again and refusal.code == _REPLAYED):
                self._record(refusal, taken)
            raise
        with self._lock:
            self._sent += 1
        outgoing = ExchangeOrder(
            account=taken.account,
            symbol=taken.symbol,
            side=taken.side,
            type=taken.type,
            size=taken.size,
            price=taken.price,
            client_order_id=taken.client_order_id,
            deadline_ns=taken.expires_ns,
        )
        try:
            with self._counted("submit"):
                answer = self._exchange.submit(outgoing)
        except ExchangeError as error:
            self._tell_never(taken, str(error))
            raise
        self._tell(taken.approval_id, answer)
        return answer

    def listen(self, callback: Callable[[str, OrderAck], None]) -> None:
        """Call `callback(approval_id, answer)` after every submission, before `submit` returns.

        What certainly never reached the exchange is told as `REJECTED`. The callback must be quick and must
        not raise.
        """
        with self._lock:
            self._listeners.append(callback)

    def withdraw(self, approval_id: str, expires_ns: int) -> bool:
        """Use an approval up, so that it can never be sent.

        Returns:
            True where it had not been sent; False where it was, or where that is forgotten.

        Raises:
            ApprovalError: `REGISTER_DOWN`: whether it was used cannot be told.
        """
        return self._use(approval_id, expires_ns)

    def find(self, account: str, client_order_id: str) -> OrderAck:
        """Where an order stands, as `Exchange.find`."""
        with self._counted("find"):
            return self._exchange.find(account, client_order_id)

    def cancel(self, account: str, client_order_id: str) -> bool:
        """Cancel an order, as `Exchange.cancel`. Needs no approval: it takes risk away."""
        result = "failed"
        try:
            with self._counted("cancel"):
                done = self._exchange.cancel(account, client_order_id)
            result = "cancelled" if done else "not-working"
            return done
        finally:
            with self._lock:
                self._cancels[result] += 1

    def open_orders(self, account: str) -> tuple[OpenOrder, ...]:
        """Orders that work, as `Exchange.open_orders`."""
        with self._counted("open_orders"):
            return self._exchange.open_orders(account)

    def balances(self, account: str) -> Mapping[str, Decimal]:
        """What the account owns of each currency, as `Exchange.balances`."""
        with self._counted("balances"):
            return self._exchange.balances(account)

    def know(self, client_order_ids: Iterable[str]) -> None:
        """Names under which earlier processes sent orders, as `Exchange.know`."""
        self._exchange.know(client_order_ids)

    def cursor_at(self, account: str, moment_ns: int) -> str:
        """Where to go on for every fill from a moment on, as `Exchange.cursor_at`."""
        return self._exchange.cursor_at(account, moment_ns)

    def watch(self, account: str, tell: Callable[[OrderAck | None], None]) -> Watch | None:
        """Be told of orders at once, as `Exchange.watch`."""
        return self._exchange.watch(account, tell)

    def fills(
        self, account: str, *, after: str = "", poll: Callable[[], bool] | None = None
    ) -> Iterator[ExchangeFill]:
        """Fills of an account, oldest first, each once.

        Args:
            after: `cursor` of the last fill that is known; empty for all.
            poll: Called when there are no more; it waits as long as it likes and says whether to ask
                again. Without it the iterator ends there.

        Raises:
            ExchangeError: the exchange cannot be asked; a new iterator goes on from the last cursor.
        """
        cursor = after
        while True:
            with self._counted("fills"):
                found = self._exchange.fills_after(account, cursor)
            for fill in found:
                cursor = fill.cursor
                yield fill
            if poll is None or not poll():
                return

    def metrics(self) -> Iterable[Metric]:
        """What it counted, by venue; see `runtime.metrics.Source`."""
        venue = self.venue
        with self._lock:
            sent, took = self._sent, {name: each.value() for name, each in self._took.items()}
            counted = [
                ("approvals_refused", "code", dict(self._refused)),
                ("cancels", "result", dict(self._cancels)),
                ("exchange_errors", "code", dict(self._errors)),
            ]
        yield one("ringfence_orders_sent", sent, {"venue": venue})
        for name, label, counts in counted:
            yield metric(
                f"ringfence_{name}",
                (Sample({"venue": venue, label: key}, n) for key, n in counts.items()),
            )
        yield metric(
            "ringfence_exchange_request_seconds",
            (Sample({"venue": venue, "operation": name}, each) for name, each in took.items()),
        )

    @contextmanager
    def _counted(self, operation: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        except ExchangeError as error:
            with self._lock:
                self._errors[error.code] += 1
            raise
        finally:
            with self._lock:
                self._took[operation].observe(perf_counter() - started)

    def _tell(self, approval_id: str, answer: OrderAck) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for callback in listeners:
            callback(approval_id, answer)

    def _tell_never(self, approval: Approval, reason: str) -> None:
        """The order has never reached the exchange, and never will."""
        name = approval.client_order_id
        self._tell(
            approval.approval_id, OrderAck(name, "", OrderState.REJECTED, Decimal(0), reason=reason)
        )

    def _check_place(self, approval: Approval) -> None:
        if approval.venue != self._exchange.venue:
            raise ApprovalError(
                "FOREIGN", f"it is for venue `{approval.venue}`, this is `{self._exchange.venue}`"
            )
        if approval.account not in self._exchange.accounts:
            raise ApprovalError("FOREIGN", f"account `{approval.account}` is not served here")

    def _check_order(self, approval: Approval, order: OrderRequest) -> None:
        asked = _read_once(order)
        for name in _COMPARED:
            # Exact types here and below: a subclass may compare as it likes.
            if type(asked[name]) is not str or asked[name] != getattr(approval, name):
                raise ApprovalError("ALTERED", f"the order's {name} is not the approved one")
        if asked["reduce_only"] is not approval.reduce_only:
            raise ApprovalError("ALTERED", "the order's reduce_only is not the approved one")
        if _plain_decimal(asked["size"]) != approval.size:
            raise ApprovalError("ALTERED", f"the order's size is not the approved {approval.size}")
        has_price = asked["price"] is not None
        price = _plain_decimal(asked["price"])
        if price != approval.price or has_price is (price is None):
            raise ApprovalError(
                "ALTERED", f"the order's price is not the approved {approval.price}"
            )

    def _claim(self, approval: Approval) -> None:
        if not self._use(approval.approval_id, approval.expires_ns):
            raise ApprovalError(_REPLAYED, "it was used before")

    def _check_held_back(self, approval: Approval) -> None:
        """An approval that is held back stays used up: its order can never leave."""
        if self._guard is None:
            return
        try:
            held = self._guard.held_back(approval)
        except Exception as error:
            raise ApprovalError(
                "REGISTER_DOWN", f"cannot tell whether its order still counts: {error}"
            ) from error
        if held is not None:
            self._tell_never(approval, held.message)
            raise ApprovalError(held.code, held.message)

    def _use(self, approval_id: str, expires_ns: int) -> bool:
        try:
            first = self._used.claim(approval_id, expires_ns)
        except Exception as error:
            # Whatever went wrong there: without an answer it counts as used.
            raise ApprovalError(
                "REGISTER_DOWN", f"cannot tell whether it was used: {error}"
            ) from error
        return first is True

    def _record(self, refusal: ApprovalError, approval: Approval | None) -> None:
        with self._lock:
            self._refused[refusal.code] += 1
        if self._audit is None:
            return
        body: dict[str, Any] = {"code": refusal.code, "message": _short(refusal.message)}
        if approval is not None:
            # Without its signature: one that is genuine and unused could be used by who reads the log.
            body |= {
                name: _short(str(getattr(approval, name)))
                for name in ("approval_id", *_COMPARED, "policy_set", "size", "price")
            }
        self._audit.append("approval_refused", body)


def _read_once(order: OrderRequest) -> dict[str, Any]:
    try:
        return {name: getattr(order, name) for name in (*_COMPARED, "reduce_only", "size", "price")}
    except Exception as error:
        # A foreign order's properties may raise anything.
        raise ApprovalError(
            "ALTERED", f"the order cannot be read: {type(error).__name__}"
        ) from error


def _plain_decimal(value: object) -> Decimal | None:
    # No whole number of that many digits is a size; Python refuses to print one.
    if type(value) is int and abs(value) >= 10**40:
        return None
    return to_decimal(value) if type(value) in (Decimal, int, float, str) else None


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
