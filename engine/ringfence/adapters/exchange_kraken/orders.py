"""Asking Kraken where an order stands."""

from decimal import Decimal
from typing import Any

from ringfence.adapters.exchange_kraken.client import KrakenClient
from ringfence.errors import ExchangeError
from ringfence.runtime.exchanges import OrderAck, OrderState

__all__ = ["STATES", "OrderSearch", "ack_of"]

STATES = {
    "pending": OrderState.WORKING,
    "open": OrderState.WORKING,
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
    "expired": OrderState.EXPIRED,
}
_SECOND = 1_000_000_000


class OrderSearch:
    """Finds orders by our names for them, which Kraken keeps as `cl_ord_id`."""

    def __init__(self, client: KrakenClient) -> None:
        self._client = client

    def time_ns(self) -> int:
        """Kraken's clock, in nanoseconds since 1970 UTC, cut to whole seconds."""
        return int(self._client.public("Time")["unixtime"]) * _SECOND

    def open(self) -> dict[str, dict[str, Any]]:
        """All open orders by Kraken's names."""
        told: dict[str, dict[str, Any]] = self._client.ask("OpenOrders")["open"]
        return told

    def by_name(self, name: str, txid: str) -> tuple[str, dict[str, Any]] | None:
        """Kraken's name and word for an order, or None where there is none.

        Args:
            name: Its `cl_ord_id`.
            txid: Kraken's name for it, if that is known.
        """
        if txid:
            told = self._client.ask("QueryOrders", txid=txid)
            if txid in told:
                return txid, told[txid]
        # First the open ones: an order that closes in between is then among the closed ones. Names are
        # compared here too, in case the parameter is not heeded.
        for endpoint, key in (("OpenOrders", "open"), ("ClosedOrders", "closed")):
            for found, told in self._client.ask(endpoint, cl_ord_id=name)[key].items():
                if told.get("cl_ord_id") == name:
                    return found, told
        return None


def ack_of(client_order_id: str, txid: str, told: dict[str, Any]) -> OrderAck:
    """An acknowledgement from Kraken's word for an order.

    Raises:
        ExchangeError: it is in a state that Kraken does not document.
    """
    state = STATES.get(told["status"])
    if state is None:
        raise ExchangeError("ANSWER", f"an order's state is `{told['status']}`")
    return OrderAck(
        client_order_id,
        txid,
        state,
        Decimal(told["vol"]),
        Decimal(told["vol_exec"]),
        str(told.get("reason") or ""),
    )
