"""Fills from Kraken's trade history, oldest first, with what each order had filled by then."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from ringfence.adapters.exchange_kraken.client import KrakenClient
from ringfence.adapters.exchange_kraken.instruments import Pairs
from ringfence.errors import ExchangeError
from ringfence.runtime.exchanges import ExchangeFill

__all__ = ["TradeHistory", "cursor_at"]

_AT_ONCE = 20
_Moment = tuple[Decimal, str]
_Trades = dict[str, dict[str, Any]]


class TradeHistory:
    """Reads trades after a moment. A cursor is a trade's time and name, so one may go on anywhere."""

    def __init__(self, client: KrakenClient, pairs: Pairs, our_name: Callable[[Any], str]) -> None:
        self._client = client
        self._pairs = pairs
        self._our_name = our_name

    def after(self, cursor: str) -> tuple[ExchangeFill, ...]:
        """Fills after a cursor; from the first where it is empty.

        Raises:
            ExchangeError: Kraken cannot be asked, or the cursor is none.
        """
        start = _read_cursor(cursor)
        trades = {
            name: trade
            for name, trade in self._page_through(start[0]).items()
            if _moment(name, trade) > start
        }
        ordered = sorted(trades, key=lambda name: _moment(name, trades[name]))
        if not ordered:
            return ()
        orders = self._orders({trade["ordertxid"] for trade in trades.values()})
        filled = self._filled_before(orders, trades, _moment(ordered[0], trades[ordered[0]]))
        fills = []
        for name in ordered:
            trade = trades[name]
            txid = trade["ordertxid"]
            filled[txid] = filled.get(txid, Decimal(0)) + Decimal(trade["vol"])
            fills.append(self._fill(name, trade, orders.get(txid, {}), filled[txid]))
        return tuple(fills)

    def _page_through(self, start: Decimal) -> _Trades:
        # Newest first, so a trade that comes in meanwhile shifts the pages: it may show one trade twice,
        # and never hides one.
        found: _Trades = {}
        offset = 0
        while True:
            # A second earlier: the start is exclusive, and trades may share a moment.
            since = str(max(0, int(start) - 1))
            page = self._client.ask("TradesHistory", start=since, ofs=str(offset))["trades"]
            if not page:
                return found
            found |= page
            offset += len(page)

    def _orders(self, txids: set[str]) -> _Trades:
        found: _Trades = {}
        for some in _chunks(sorted(txids)):
            found |= self._client.ask("QueryOrders", txid=",".join(some), trades="true")
        return found

    def _filled_before(
        self, orders: _Trades, trades: _Trades, first: _Moment
    ) -> dict[str, Decimal]:
        # Of orders that had traded before the cursor, what they had filled by then.
        earlier = sorted(
            {name for told in orders.values() for name in told.get("trades") or ()} - trades.keys()
        )
        filled: dict[str, Decimal] = {}
        for some in _chunks(earlier):
            for name, trade in self._client.ask("QueryTrades", txid=",".join(some)).items():
                if _moment(name, trade) < first:
                    txid = trade["ordertxid"]
                    filled[txid] = filled.get(txid, Decimal(0)) + Decimal(trade["vol"])
        return filled

    def _fill(
        self, name: str, trade: dict[str, Any], order: dict[str, Any], filled: Decimal
    ) -> ExchangeFill:
        symbol = self._pairs.symbol(trade["pair"])
        base, _, quote = symbol.partition("/")
        moment = _moment(name, trade)
        return ExchangeFill(
            fill_id=name,
            cursor=f"{moment[0]}/{name}",
            client_order_id=self._our_name(order.get("cl_ord_id")),
            exchange_order_id=trade["ordertxid"],
            symbol=symbol,
            side=trade["type"],
            size=Decimal(trade["vol"]),
            cumulative_size=filled,
            price=Decimal(trade["price"]),
            fee=Decimal(trade["fee"]),
            # Kraken's fees are in the quote currency unless an order asks for the base.
            fee_currency=base if "fcib" in str(order.get("oflags", "")) else quote,
            timestamp=int(moment[0] * 1_000_000_000),
        )


def cursor_at(moment_ns: int) -> str:
    """A cursor that every trade from that moment on (ns since 1970, UTC) comes after."""
    # A microsecond earlier: the times of trades pass through float64, which rounds by less.
    return f"{Decimal(moment_ns - 1_000).scaleb(-9):f}/"


def _moment(name: str, trade: dict[str, Any]) -> _Moment:
    return Decimal(repr(trade["time"])), name


def _read_cursor(cursor: str) -> _Moment:
    moment, _, name = cursor.partition("/")
    try:
        return (Decimal(moment), name) if cursor else (Decimal(0), "")
    except InvalidOperation:
        raise ExchangeError("CURSOR", f"`{cursor}` is no cursor of a fill") from None


def _chunks(names: list[str]) -> list[list[str]]:
    return [names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE)]
