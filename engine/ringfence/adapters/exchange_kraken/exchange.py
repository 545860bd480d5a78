"""Kraken as an `Exchange`: orders out at most once, their state by asking, their fills in order."""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ringfence.adapters.exchange_kraken.answers import Effect
from ringfence.adapters.exchange_kraken.client import KrakenClient, RequestFailed
from ringfence.adapters.exchange_kraken.fills import TradeHistory, cursor_at
from ringfence.adapters.exchange_kraken.instruments import read_pairs
from ringfence.adapters.exchange_kraken.names import venue_name
from ringfence.adapters.exchange_kraken.orders import OrderSearch, ack_of
from ringfence.adapters.exchange_kraken.sent import NAMES, Sent, SentOrders, terms_of
from ringfence.adapters.exchange_kraken.stream import KrakenStream
from ringfence.errors import ExchangeError
from ringfence.language.instruments import Instrument
from ringfence.runtime.exchanges import (
    ExchangeFill,
    ExchangeOrder,
    OpenOrder,
    OrderAck,
    OrderState,
    Watch,
    cut_to_step,
)
from ringfence.runtime.latest_rows import LatestRows
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock

__all__ = ["KrakenExchange"]

_SECOND = 1_000_000_000
# Kraken's matching engine refuses an order that reaches it after its deadline, which lies between 2 and 60
# seconds ahead.
_SHORTEST_NS, _LONGEST_NS = 2 * _SECOND, 60 * _SECOND
_ORDER_TYPES = {"limit": "limit", "market": "market", "stop": "stop-loss"}


class KrakenExchange:
    """Fulfils `Exchange` for one account at Kraken.

    `reduce_only` is no parameter of a spot order; the guard has seen that it is true of the order.
    """

    venue = "kraken"

    def __init__(
        self,
        client: KrakenClient,
        account: str,
        *,
        stream_url: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Load the pairs' trading rules.

        Args:
            client: With the account's API key.
            account: Its name in policies.
            stream_url: Kraken's private websocket; None to ask and never be told.

        Raises:
            ExchangeError: Kraken cannot be reached.
        """
        self.accounts = frozenset({account})
        self._client = client
        self._clock = clock
        self._stream_url = stream_url
        self._pairs = read_pairs(client.markets())
        self._search = OrderSearch(client)
        self._history = TradeHistory(client, self._pairs, self._our_name)
        self._lock = threading.Lock()
        self._sent = SentOrders()
        self._known = LatestRows[str](NAMES)
        # Whatever an earlier process has sent can arrive no later than this, by Kraken's clock.
        self._earlier_until_ns = self._search.time_ns() + _LONGEST_NS

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Kraken's own lot and price steps and minimum sizes, by symbol."""
        return self._pairs.instruments

    def submit(self, order: ExchangeOrder) -> OrderAck:
        """As `Exchange.submit`; of the last 100,000 client order ids none is sent twice."""
        self._served(order.account)
        name = venue_name(order.client_order_id)
        if not order.client_order_id:
            raise ExchangeError("NAME", "an order without a client order id cannot be found again")
        instrument = self._pairs.instruments.get(order.symbol)
        if instrument is None:
            raise ExchangeError("SYMBOL", f"`{order.symbol}` is not traded here")
        size = cut_to_step(order.size, instrument.lot_step)
        fault = _fault(order, size, instrument)
        if fault:
            return _rejected(order.client_order_id, fault)
        now_ns = self._clock.now_ns()
        until_ns = min(order.deadline_ns, now_ns + _LONGEST_NS - _SECOND)
        sent = Sent(order.client_order_id, format(size, "f"), terms_of(order), until_ns)
        if sent.deadline_ns - now_ns < _SHORTEST_NS:
            raise ExchangeError(
                "TOO_LATE", "less than 2 s are left, and no shorter deadline is taken"
            )
        if not self._sent.add(name, sent):
            known = self._sent.get(name)
            if known is not None and (known.size, known.terms) != (sent.size, sent.terms):
                return _rejected(
                    order.client_order_id, "its client order id stands for another order"
                )
            return self.find(order.account, order.client_order_id)
        return self._send(name, order, sent)

    def find(self, account: str, client_order_id: str) -> OrderAck:
        """As `Exchange.find`: asks for orders of that name, open and closed."""
        self._served(account)
        name = venue_name(client_order_id)
        sent = self._sent.get(name)
        if sent is not None and sent.refused:
            return _rejected(client_order_id, sent.refused)
        until_ns = sent.deadline_ns if sent else self._earlier_until_ns
        # Asked first: what is not there after its deadline will never be.
        is_over = self._search.time_ns() > until_ns + _SECOND
        found = self._search.by_name(name, sent.txid if sent else "")
        if found is not None:
            txid, told = found
            return ack_of(client_order_id, txid, told)
        if is_over:
            return _rejected(client_order_id, "it never arrived, and its deadline has passed")
        size = Decimal(sent.size if sent else 0)
        reason = "not there, and may still arrive"
        return OrderAck(client_order_id, "", OrderState.UNKNOWN, size, reason=reason)

    def cancel(self, account: str, client_order_id: str) -> bool:
        """As `Exchange.cancel`."""
        self._served(account)
        try:
            answer = self._client.repeat("CancelOrder", cl_ord_id=venue_name(client_order_id))
        except RequestFailed as failed:
            if "Unknown order" in failed.failure.reason:
                return False
            raise ExchangeError("REFUSED", failed.failure.reason) from None
        return int(answer.get("count", 0)) > 0

    def open_orders(self, account: str) -> tuple[OpenOrder, ...]:
        """As `Exchange.open_orders`; orders that were not sent here have no client order id."""
        self._served(account)
        orders = []
        for txid, told in self._search.open().items():
            descr = told["descr"]
            orders.append(
                OpenOrder(
                    self._our_name(told.get("cl_ord_id")),
                    txid,
                    self._pairs.symbol(descr["pair"]),
                    descr["type"],
                    "stop" if descr["ordertype"] == "stop-loss" else descr["ordertype"],
                    Decimal(told["vol"]),
                    Decimal(told["vol_exec"]),
                    None if descr["ordertype"] == "market" else Decimal(descr["price"]),
                )
            )
        return tuple(orders)

    def fills_after(self, account: str, cursor: str) -> tuple[ExchangeFill, ...]:
        """As `Exchange.fills_after`."""
        self._served(account)
        return self._history.after(cursor)

    def cursor_at(self, account: str, moment_ns: int) -> str:
        """As `Exchange.cursor_at`."""
        self._served(account)
        return cursor_at(moment_ns)

    def balances(self, account: str) -> Mapping[str, Decimal]:
        """As `Exchange.balances`; what earns rewards but can be sold at once (`.F`) counts, what is staked
        (`.S`, `.M`, `.B` and the like) is a currency of its own."""
        self._served(account)
        owned: dict[str, Decimal] = {}
        for asset, amount in self._client.ask("Balance").items():
            name, _, kind = asset.partition(".")
            currency = self._client.currency(name)
            if kind not in ("", "F"):
                currency = f"{currency}.{kind}"
            owned[currency] = owned.get(currency, Decimal(0)) + Decimal(amount)
        return owned

    def know(self, client_order_ids: Iterable[str]) -> None:
        """As `Exchange.know`; of use where Kraken took a hash for the name."""
        for client_order_id in client_order_ids:
            name = venue_name(client_order_id)
            if name != client_order_id:
                with self._lock:
                    if name not in self._known:
                        self._known.add(name, client_order_id)

    def watch(self, account: str, tell: Callable[[OrderAck | None], None]) -> Watch | None:
        """As `Exchange.watch`, over Kraken's websocket where the exchange was made with its address."""
        self._served(account)
        if self._stream_url is None:
            return None
        return KrakenStream(
            self._stream_url,
            lambda: str(self._client.ask("GetWebSocketsToken")["token"]),
            self._our_name,
            tell,
        )

    def _send(self, name: str, order: ExchangeOrder, sent: Sent) -> OrderAck:
        parameters = {
            "pair": self._pairs.ids[order.symbol],
            "type": order.side,
            "ordertype": _ORDER_TYPES[order.type],
            # Text, digit by digit: no float on the way could raise it.
            "volume": sent.size,
            "cl_ord_id": name,
            "deadline": _rfc3339(sent.deadline_ns),
            # Fees of a sale would come out of the base otherwise, and the position be smaller than the fills.
            "oflags": "fciq",
        }
        if order.price is not None:
            parameters["price"] = format(order.price, "f")
        try:
            answer = self._client.send(
                "AddOrder",
                parameters,
                may_wait=lambda: self._clock.now_ns() < sent.deadline_ns,
            )
        except RequestFailed as failed:
            if failed.failure.effect is Effect.UNKNOWN:
                return self._settle(order, sent, failed.failure.reason)
            sent.refused = failed.failure.reason
            return _rejected(order.client_order_id, sent.refused)
        sent.txid = _txid(answer)
        return OrderAck(order.client_order_id, sent.txid, OrderState.WORKING, Decimal(sent.size))

    def _settle(self, order: ExchangeOrder, sent: Sent, reason: str) -> OrderAck:
        # Asked, and never sent anew: only the answer tells whether the order is there.
        name = order.client_order_id
        try:
            return self.find(order.account, name)
        except ExchangeError as error:
            reason = f"{reason}; {error.message}"
            return OrderAck(name, "", OrderState.UNKNOWN, Decimal(sent.size), reason=reason)

    def _our_name(self, told: str | None) -> str:
        # What a hash stands for knows only who made it, or was told of the name.
        name = told or ""
        sent = self._sent.get(name)
        if sent is not None:
            return sent.client_order_id
        with self._lock:
            return self._known.get(name) or name

    def _served(self, account: str) -> None:
        if account not in self.accounts:
            raise ExchangeError("ACCOUNT", f"account `{account}` is not served here")


def _fault(order: ExchangeOrder, size: Decimal, instrument: Instrument) -> str:
    if order.side not in ("buy", "sell") or order.type not in _ORDER_TYPES:
        return f"`{order.side}` `{order.type}` is no order of this exchange"
    if (order.price is None) != (order.type == "market"):
        return "a market order has no price, and every other order has one"
    if size <= 0 or (instrument.min_size is not None and size < instrument.min_size):
        return f"{size} is below the minimum size {instrument.min_size}"
    tick = instrument.tick_size
    if order.price is not None and tick and cut_to_step(order.price, tick) != order.price:
        # Not rounded: another price is another order than the approved one.
        return f"the price is no multiple of {tick}"
    if order.price is not None and size * order.price < Decimal(repr(instrument.min_notional)):
        return f"below the minimum notional {instrument.min_notional}"
    return ""


def _rejected(client_order_id: str, reason: str) -> OrderAck:
    return OrderAck(client_order_id, "", OrderState.REJECTED, Decimal(0), reason=reason)


def _txid(answer: Any) -> str:
    txids = answer.get("txid") if isinstance(answer, dict) else None
    return str(txids[0]) if isinstance(txids, list) and txids else ""


def _rfc3339(moment_ns: int) -> str:
    # Cut to milliseconds, which moves it to the earlier side.
    moment = datetime.fromtimestamp(moment_ns // _SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment_ns % _SECOND // 1_000_000:03d}Z"
