"""Sends the recorded orders through the guard and its paper exchange, at the pace at which they once came.

Prices, sizes, sides and the time between them are real; only the clock is moved, so that what happened then
happens now. At the end of the recording the accounts close what they hold, and it begins anew.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Self

from ringfence.errors import RingfenceError
from ringfence.language.orders import OrderRequest
from ringfence.runtime.asked import MarketData
from ringfence.service.demo.data import DemoData, Moment
from ringfence.service.desk import Desk

__all__ = ["Traffic"]

_log = logging.getLogger(__name__)
VENUE = "paper"
# What the takers of the recording did not get at once, they did not wait for.
_PATIENCE_NS = 2_000_000_000
# A machine that cannot keep up leaves orders out rather than send them ever later.
_LATEST_NS = 1_000_000_000
_CLOSING_STEPS = 200
# In the quote currency; below what the shipped policies let a single order have.
_CLOSING_NOTIONAL = 100_000.0


class Traffic:
    """A thread that trades; a `with` block runs it.

    Args:
        desk: Has a paper venue called `paper`.
        data: What is replayed.
        every: Every so-many-th order of the recording is sent.
        wait: Waits so many seconds, and says whether to stop.
    """

    def __init__(
        self,
        desk: Desk,
        data: DemoData,
        every: int = 1,
        *,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._desk, self._data, self._every = desk, data, every
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._sent: deque[tuple[int, str, str]] = deque()
        self._laps = self._number = 0
        self.counts: Counter[str] = Counter()
        """What came of the orders: decisions, `late` for those left out, `failed`."""
        self._thread = threading.Thread(target=self._run, name="ringfence-demo", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def lap(self) -> None:
        """Replay the recording once, then close what is held."""
        self._laps += 1
        shift, last = 0, dict[str, Moment]()
        for moment in self._data.moments(self._every):
            now = self._desk.clock.now_ns()
            shift = shift or now - moment.at
            due = moment.at + shift
            if due > now and self._wait((due - now) / 1e9):
                return
            self._try(self._cancel_old)
            if not moment.is_order:
                last[moment.symbol] = moment
                self._try(self._mark, moment, due)
            elif self._desk.clock.now_ns() - due > _LATEST_NS:
                self.counts["late"] += 1
            else:
                self._try(self._order, moment)
            if self._stopping.is_set():
                return
        self._close(last)

    def _run(self) -> None:
        while not self._stopping.is_set():
            before = self._number
            self._try(self.lap)
            if self._number == before and self._wait(1.0):
                return

    def _try(self, act: Callable[..., object], *values: object) -> None:
        try:
            act(*values)
        except (RingfenceError, OSError) as error:
            # A switch, a full disk: the desk goes on, and so does the recording.
            self.counts["failed"] += 1
            if self.counts["failed"] == 1:
                _log.warning("the demo's traffic: %s", error)

    def _mark(self, moment: Moment, at: int) -> None:
        data = MarketData(
            moment.bid, moment.ask, moment.last, at, moment.bid_depth, moment.ask_depth
        )
        self._desk.guard.on_mark(moment.symbol, data)

    def _order(self, moment: Moment) -> None:
        self._send(
            OrderRequest(
                moment.account,
                moment.symbol,
                moment.side,
                repr(moment.size),
                repr(moment.price),
                strategy=moment.strategy,
                type=moment.type,
            )
        )

    def _send(self, order: OrderRequest) -> None:
        self._number += 1
        order.venue, order.client_order_id = VENUE, f"demo-{self._laps}-{self._number}"
        answer = self._desk.guard.evaluate_order(order)
        self.counts[answer.decision.value] += 1
        if answer.approval is None:
            return
        order.size = answer.size
        self._desk.gateways[VENUE].submit(answer.approval, order)
        until = self._desk.clock.now_ns() + _PATIENCE_NS
        self._sent.append((until, order.account, order.client_order_id))

    def _cancel_old(self) -> None:
        now = self._desk.clock.now_ns()
        while self._sent and self._sent[0][0] <= now:
            _, account, name = self._sent.popleft()
            self._desk.gateways[VENUE].cancel(account, name)

    def _close(self, last: dict[str, Moment]) -> None:
        """Sell what is held and buy back what is owed, in orders of a bearable size."""
        for _ in range(_CLOSING_STEPS):
            closing = [
                order for account in self._accounts() for order in self._closing(account, last)
            ]
            if not closing or self._wait(0.5):
                return
            for moment in last.values():
                self._try(self._mark, moment, self._desk.clock.now_ns())
            for order in closing:
                self._try(self._send, order)
            for follower in self._desk.followers:
                self._try(follower.catch_up)

    def _accounts(self) -> list[str]:
        return [each.account for each in self._desk.followers if each.gateway.venue == VENUE]

    def _closing(self, account: str, last: dict[str, Moment]) -> list[OrderRequest]:
        found = []
        for symbol, position in self._desk.guard.book(f"account/{account}").positions.items():
            moment = last.get(symbol)
            if not position.lots or moment is None or not moment.bid or not moment.ask:
                continue
            sells = position.size > 0
            price = moment.bid if sells else moment.ask
            step = self._desk.guard.linked.desk.instruments[symbol].lot_step
            most = max(step, step * int(_CLOSING_NOTIONAL / price / float(step)))
            side = "sell" if sells else "buy"
            size = min(abs(position.size), most)
            found.append(
                OrderRequest(
                    account, symbol, side, size, repr(price), strategy="taker", type="limit"
                )
            )
        return found
