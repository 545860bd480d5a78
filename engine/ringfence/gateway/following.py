"""Follows an account at an exchange, and tells the guard: fills, and orders that ended.

Fills come from the exchange's history after a cursor, and are booked before the cursor is kept: a restart
misses none, and tells some twice, which the guard counts once. An order's end is told once the guard knows
the fills that the exchange counts for it.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence.errors import ExchangeError, LedgerError
from ringfence.gateway.cursors import Cursor
from ringfence.gateway.gateway import Gateway
from ringfence.gateway.guarded import ENDED, LATE_NS, Guard, Records, is_over, settle
from ringfence.gateway.looping import Looking
from ringfence.runtime.exchanges import ExchangeFill, OrderAck, OrderState, Watch
from ringfence.runtime.metric_table import metric, one
from ringfence.runtime.metrics import Metric, Sample
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from ringfence.runtime.guard_core import WorkingOrder

__all__ = ["FollowSettings", "Follower"]

_MINUTE = 60_000_000_000


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """How often a follower looks, in seconds.

    Attributes:
        poll_s: Between two looks, where the exchange has to be asked.
        told_poll_s: The same while a connection tells of every order.
        longest_retry_s: After failures the wait doubles up to this.
    """

    poll_s: float = 2.0
    told_poll_s: float = 60.0
    longest_retry_s: float = 60.0


class Follower:
    """Follows one account. Use one for each account of a gateway; all methods may be called from any thread.

    Args:
        guard: Told of fills and ends.
        gateway: Asked for them. Its answers to submissions are listened to.
        account: Whose orders.
        cursor: Where to go on, and where that is kept. Without one, fills count from a minute before the
            oldest order that works was approved.
        audit: Takes records of fills that belong to no order of the guard (`foreign-fill`) and of those that
            it refused (`fill-refused`).
    """

    def __init__(
        self,
        guard: Guard,
        gateway: Gateway,
        account: str,
        cursor: Cursor,
        audit: Records | None = None,
        *,
        settings: FollowSettings | None = None,
        clock: Clock = SYSTEM_CLOCK,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.account = account
        self.guard, self.gateway = guard, gateway
        self._kept, self._audit = cursor, audit
        self._settings = settings or FollowSettings()
        self._clock, self._monotonic = clock, monotonic
        self._one_pass, self._lock = threading.Lock(), threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._cursor: str | None = None
        self._is_saved = True
        # What was told since the last look; None asks for a look at everything.
        self._news: list[OrderAck | None] = []
        self._never_sent: dict[str, OrderAck] = {}
        # Orders that are over, and whose fills are not all known yet.
        self._over: dict[str, OrderAck] = {}
        # The same of orders that work on.
        self._behind: dict[str, OrderAck] = {}
        # Orders that the exchange has named before: they are not on their way any more.
        self._seen: set[str] = set()
        self._failures, self._full_look_s = 0, 0.0
        self.failing = ""
        """Why the last look failed; empty where it did not."""
        self._watch: Watch | None = None
        self._looking = Looking(f"follow-{account}", self._look, self._failed)
        gateway.listen(self._submitted)

    def start(self) -> None:
        """Follow from now on, in a thread."""
        if self._watch is None:
            self._full_look_s = 0.0
            self._watch = self.gateway.watch(self.account, self._told)
        self._looking.start()

    def stop(self) -> None:
        """Follow no further; what was not told yet is told after the next start."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        self._looking.stop()

    def __enter__(self) -> "Follower":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def catch_up(self) -> int:
        """Tell the guard everything that has happened until now; the number of fills that were new to it.

        An order that the exchange gives no clear answer about counts on, and is asked for again.

        Raises:
            ExchangeError: the exchange cannot be asked; what it told before that is booked.
            StateError, AuditError: the guard cannot keep or record what it is told; it is told again.
            OSError, InputError: the cursor cannot be kept or read.
        """
        with self._one_pass:
            return self._pass([*self._take_news(), None])

    def metrics(self) -> Iterable[Metric]:
        """What it counted; see `runtime.metrics.Source`."""
        with self._lock:
            counts = sorted(self._counts.items())
            waiting = len(self._over)
        labels = {"venue": self.gateway.venue, "account": self.account}
        watch = self._watch
        for kind, label in (("fills", "result"), ("ends", "state"), ("follow_failures", "error")):
            yield metric(
                f"ringfence_{kind}",
                (Sample({**labels, label: key}, n) for (of, key), n in counts if of == kind),
            )
        yield one("ringfence_orders_awaiting_fills", waiting, labels)
        yield one("ringfence_stream_up", int(_is_up(watch)), labels)

    # Being told

    def _told(self, answer: OrderAck | None) -> None:
        with self._lock:
            self._news.append(answer)
        self._looking.wake()

    def _submitted(self, approval_id: str, answer: OrderAck) -> None:
        with self._lock:
            if answer.state is OrderState.REJECTED:
                # The exchange's own word for this very order: nothing of it is on its way.
                self._never_sent[approval_id] = answer
            else:
                self._news.append(answer)
        if answer.state is not OrderState.WORKING or answer.filled:
            self._looking.wake()

    # Looking

    def _look(self) -> float:
        now_s = self._monotonic()
        news = self._take_news()
        if now_s >= self._full_look_s:
            news.append(None)
        try:
            with self._one_pass:
                self._pass(news)
        except Exception as error:
            # whatever it was, what was told is looked at again
            self._failed(error)
            self._failures += 1
            self.failing = getattr(error, "message", None) or type(error).__name__
            with self._lock:
                self._news.append(None)
            return min(
                self._settings.poll_s * 2.0 ** min(self._failures - 1, 30),
                self._settings.longest_retry_s,
            )
        self._failures, self.failing = 0, ""
        poll_s = self._settings.poll_s
        if _is_up(self._watch) and not (self._over or self._behind):
            poll_s = self._settings.told_poll_s
        if None in news:
            self._full_look_s = self._monotonic() + poll_s
        return max(0.0, min(poll_s, self._full_look_s - self._monotonic()))

    def _take_news(self) -> list[OrderAck | None]:
        with self._lock:
            news, self._news = self._news, []
        return news

    def _failed(self, error: Exception) -> None:
        self._count("follow_failures", getattr(error, "code", None) or type(error).__name__)

    def _count(self, kind: str, key: str) -> None:
        with self._lock:
            self._counts[kind, key] += 1

    def _pass(self, news: list[OrderAck | None]) -> int:
        orders = self._orders()
        self.gateway.know(orders)
        told: dict[str, OrderAck] = {}
        for each in (*self._behind.values(), *news):
            if each and (name := each.client_order_id) in orders:
                # The answer to an order may be handed on after what the exchange has told of it since.
                told[name] = max(each, told.get(name, each), key=_progress)
        self._seen = self._seen & orders.keys() | told.keys()
        new = 0
        if (
            None in news
            or self._over
            or any(answer.filled > orders[name].filled for name, answer in told.items())
        ):
            new = self._book_fills(orders)
            orders = self._orders()
        self._settle_never_sent()
        for name, answer in told.items():
            if name in orders and is_over(orders[name], answer, self._clock.now_ns()):
                self._over[name] = answer
        try:
            if None in news:
                self._ask_for(orders)
        finally:
            self._settle_over(orders)
        # The history may say later than the stream that an order has traded.
        self._behind = {
            name: answer
            for name, answer in told.items()
            if name in orders and name not in self._over and answer.filled > orders[name].filled
        }
        return new

    def _orders(self) -> "dict[str, WorkingOrder]":
        orders = self.guard.working_orders(account=self.account, venue=self.gateway.venue)
        return {order.client_order_id: order for order in orders if order.client_order_id}

    # Fills

    def _book_fills(self, orders: "dict[str, WorkingOrder]") -> int:
        new = 0
        if self._cursor is None:
            self._cursor = self._kept.load()
        if self._cursor is None:
            since_ns = min([each.approved_ns for each in orders.values()] + [self._clock.now_ns()])
            self._cursor = self.gateway.cursor_at(self.account, since_ns - _MINUTE)
            self._is_saved = False
        try:
            for fill in self.gateway.fills(self.account, after=self._cursor):
                new += self._book(fill, orders)
                self._cursor, self._is_saved = fill.cursor, False
        finally:
            if not self._is_saved:
                self._kept.save(self._cursor)
                self._is_saved = True
        return new

    def _book(self, fill: ExchangeFill, orders: "dict[str, WorkingOrder]") -> bool:
        order = orders.get(fill.client_order_id)
        order_id = order.order_id if order is not None else ""
        order_id = order_id or self.guard.order_of(fill.client_order_id)
        if not order_id:
            self._note("foreign", "foreign-fill", fill)
            return False
        try:
            found = self.guard.on_fill(order_id, fill.cumulative_size, fill.price, _fee(fill))
        except LedgerError as error:
            # It will not be taken the next time either; the books are compared with the venue for that.
            self._note("refused", "fill-refused", fill, str(error))
            return False
        self._count("fills", "booked" if found else "known")
        return bool(found)

    def _note(self, result: str, kind: str, fill: ExchangeFill, reason: str = "") -> None:
        self._count("fills", result)
        if self._audit is not None:
            body: dict[str, Any] = {
                "venue": self.gateway.venue,
                "account": self.account,
                "fill": fill.fill_id,
                "order": fill.exchange_order_id,
                "client_order_id": fill.client_order_id,
                "symbol": fill.symbol,
                "side": fill.side,
                "size": str(fill.size),
                "price": str(fill.price),
            }
            self._audit.append(kind, body | ({"reason": reason} if reason else {}))

    # Ends

    def _settle_never_sent(self) -> None:
        with self._lock:
            never_sent = dict(self._never_sent)
        if not never_sent:
            return
        # Looked at after those: also what was approved and refused a moment ago, and what has no name to be sent under.
        orders = self.guard.working_orders(account=self.account, venue=self.gateway.venue)
        by_id = {order.order_id: order for order in orders}
        for order_id, answer in never_sent.items():
            order = by_id.get(order_id)
            if order is not None:
                self._end(order, answer)
            with self._lock:
                del self._never_sent[order_id]

    def _ask_for(self, orders: "dict[str, WorkingOrder]") -> None:
        """Ask for every order that the exchange does not name among those that work."""
        working = {each.client_order_id for each in self.gateway.open_orders(self.account)}
        self._seen |= working & orders.keys()
        for name, order in orders.items():
            now_ns = self._clock.now_ns()
            if name in working:
                continue
            # Until its approval has run out an order may be on its way, or not sent yet.
            if name not in self._seen and now_ns < order.expires_ns + LATE_NS:
                continue
            try:
                answer = self.gateway.find(self.account, name)
            except ExchangeError as error:
                if error.code == "UNREACHABLE":
                    raise
                # One order that cannot be found out about holds up no other, and is asked for again.
                self._failed(error)
                continue
            if is_over(order, answer, now_ns):
                self._over[name] = answer
            else:
                self._over.pop(name, None)

    def _settle_over(self, orders: "dict[str, WorkingOrder]") -> None:
        for name, answer in list(self._over.items()):
            order = orders.get(name)
            if order is None or self._end(order, answer):
                del self._over[name]

    def _end(self, order: "WorkingOrder", answer: OrderAck) -> bool:
        if not settle(self.guard, order, answer):
            return False
        self._count("ends", answer.state.value)
        return True


def _progress(answer: OrderAck) -> tuple[bool, bool, Decimal]:
    """What only grows: an order is named by the exchange, trades, and ends."""
    return bool(answer.exchange_order_id), answer.state in ENDED, answer.filled


def _is_up(watch: Watch | None) -> bool:
    return watch is not None and watch.is_up


def _fee(fill: ExchangeFill) -> Decimal:
    base, _, quote = fill.symbol.partition("/")
    if fill.fee_currency in ("", quote) or not quote:
        return fill.fee
    # In any other currency its worth is not known, and neither are the books then.
    return fill.fee * fill.price if fill.fee_currency == base else Decimal("nan")
