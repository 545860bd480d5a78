"""The paper exchange: fills approved orders against the market data it is told.

The same seed, clock and calls give the same acknowledgements and fills. Nothing here knows a network.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from typing import Literal

from ringfence.adapters.exchange_paper.orders import (
    PaperOrder,
    Quote,
    above_zero,
    fault_of,
    known_depth,
    reached,
)
from ringfence.errors import ExchangeError, InputError
from ringfence.language.instruments import Instrument
from ringfence.language.orders import Market
from ringfence.runtime.exchanges import (
    ExchangeFill,
    ExchangeOrder,
    OpenOrder,
    OrderAck,
    OrderState,
    Watch,
    cut_to_step,
)
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock, Random, SeededRandom

__all__ = ["PaperExchange", "PaperSettings"]

# Fills, and orders that have ended, are known for so long; who follows has read them within seconds.
_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """How the paper exchange behaves.

    Attributes:
        fill_by: `mark`: all of an order at the mark (without one the last price). `book`: against bid or
            ask, as far as its depth goes; a depth that is not known has no end.
        maker_fee, taker_fee: Share of the notional, in the quote currency; below zero for a rebate.
        latency_ns: From submission until an order can fill.
        partial_share: Share of fills, 0 to 1, that are cut to a random part of what they could be.
        reject_share: Share of orders, 0 to 1, that are rejected for no reason of theirs.
        owned: What each account owns of each currency at first. Nothing checks that it suffices.
    """

    fill_by: Literal["mark", "book"] = "book"
    maker_fee: Decimal = Decimal("0.0016")
    taker_fee: Decimal = Decimal("0.0026")
    latency_ns: int = 0
    partial_share: float = 0.0
    reject_share: float = 0.0
    owned: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shares_fit = 0 <= self.partial_share <= 1 and 0 <= self.reject_share <= 1
        if self.fill_by not in ("mark", "book") or not shares_fit or self.latency_ns < 0:
            raise InputError(
                "the paper exchange's settings do not fit",
                "`fill_by` is mark or book, shares lie between 0 and 1, the latency is not below 0",
            )


@dataclass
class PaperExchange:
    """Fulfils `Exchange` for paper trading.

    Attributes:
        instruments: By symbol; their lot steps, tick sizes and bounds are checked as an exchange would.
        accounts: The accounts it acts for.
        seed: Of partial fills and rejections.
    """

    instruments: Mapping[str, Instrument]
    accounts: frozenset[str]
    seed: int = 0
    venue: str = "paper"
    settings: PaperSettings = field(default_factory=PaperSettings)
    clock: Clock = SYSTEM_CLOCK

    def __post_init__(self) -> None:
        self._random: Random = SeededRandom(self.seed)
        self._lock = threading.Lock()
        self._orders: OrderedDict[tuple[str, str], PaperOrder] = OrderedDict()
        self._working: dict[tuple[str, str], PaperOrder] = {}
        self._quotes: dict[str, Quote] = {}
        self._fills: deque[tuple[str, ExchangeFill]] = deque(maxlen=_REMEMBERED)
        self._orders_taken = self._filled = 0
        self._balances = {name: dict(owned) for name, owned in self.settings.owned.items()}

    def on_market(self, symbol: str, market: Market) -> None:
        """Take in market data, and fill what it reaches."""
        with self._lock:
            # Orders whose latency has passed meet the market they arrived in, not the next one.
            self._match()
            self._quotes[symbol] = self._quote(market)
            self._match()

    def submit(self, order: ExchangeOrder) -> OrderAck:
        """As `Exchange.submit`."""
        with self._lock:
            self._served(order.account)
            key = (order.account, order.client_order_id)
            known = self._orders.get(key)
            if known is not None:
                return self._again(known, order)
            now_ns = self.clock.now_ns()
            if now_ns >= order.deadline_ns:
                raise ExchangeError("TOO_LATE", "the order's deadline has passed")
            made = self._arrive(order, now_ns)
            self._orders[key] = made
            self._forget()
            if made.state is OrderState.WORKING:
                self._working[key] = made
                self._match()
            return made.ack()

    def find(self, account: str, client_order_id: str) -> OrderAck:
        """As `Exchange.find`."""
        with self._lock:
            self._served(account)
            self._match()
            order = self._orders.get((account, client_order_id))
            if order is None:
                reason = "no such order"
                return OrderAck(client_order_id, "", OrderState.REJECTED, Decimal(0), reason=reason)
            return order.ack()

    def cancel(self, account: str, client_order_id: str) -> bool:
        """As `Exchange.cancel`."""
        with self._lock:
            self._served(account)
            self._match()
            order = self._working.pop((account, client_order_id), None)
            if order is None:
                return False
            order.state = OrderState.CANCELLED
            return True

    def open_orders(self, account: str) -> tuple[OpenOrder, ...]:
        """As `Exchange.open_orders`."""
        with self._lock:
            self._served(account)
            self._match()
            return tuple(
                OpenOrder(
                    order.sent.client_order_id,
                    order.exchange_order_id,
                    order.sent.symbol,
                    order.sent.side,
                    order.sent.type,
                    order.sent.size,
                    order.filled,
                    order.sent.price,
                )
                for (owner, _), order in self._working.items()
                if owner == account
            )

    def fills_after(self, account: str, cursor: str) -> tuple[ExchangeFill, ...]:
        """As `Exchange.fills_after`."""
        with self._lock:
            self._served(account)
            self._match()
            try:
                start = int(cursor or 0)
            except ValueError:
                raise ExchangeError("CURSOR", f"`{cursor}` is no cursor of a fill") from None
            known = islice(self._fills, max(start - self._first, 0), None)
            return tuple(fill for owner, fill in known if owner == account)

    def cursor_at(self, account: str, moment_ns: int) -> str:
        """As `Exchange.cursor_at`."""
        with self._lock:
            self._served(account)
            # A fill bears the time of its quote, so they need not stand in the order of time.
            numbered = enumerate(self._fills, self._first)
            later = (at for at, (_, fill) in numbered if fill.timestamp >= moment_ns)
            return str(next(later, self._filled))

    def balances(self, account: str) -> Mapping[str, Decimal]:
        """As `Exchange.balances`; below zero where an account sold or paid more than it owned."""
        with self._lock:
            self._served(account)
            self._match()
            return dict(self._balances.get(account, {}))

    def know(self, client_order_ids: Iterable[str]) -> None:
        """As `Exchange.know`: every name stays as it is here."""
        del client_order_ids

    def watch(self, account: str, tell: Callable[[OrderAck | None], None]) -> Watch | None:
        """As `Exchange.watch`: there is only asking."""
        del account, tell
        return None

    @property
    def _first(self) -> int:
        """How many fills there were before the oldest that is remembered."""
        return self._filled - len(self._fills)

    def _forget(self) -> None:
        while len(self._orders) > _REMEMBERED + len(self._working):
            oldest = next(iter(self._orders))
            if oldest in self._working:
                self._orders.move_to_end(oldest)
            else:
                del self._orders[oldest]

    def _move(self, account: str, currency: str, amount: Decimal) -> None:
        owned = self._balances.setdefault(account, {})
        owned[currency] = owned.get(currency, Decimal(0)) + amount

    def _served(self, account: str) -> None:
        if account not in self.accounts:
            raise ExchangeError("ACCOUNT", f"account `{account}` is not served here")

    def _again(self, known: PaperOrder, order: ExchangeOrder) -> OrderAck:
        asked = (order.symbol, order.side, order.type, order.price)
        sent = known.sent
        if asked == (sent.symbol, sent.side, sent.type, sent.price) and sent.size == cut_to_step(
            order.size, known.instrument.lot_step
        ):
            return known.ack()
        reason = "its client order id stands for another order"
        return OrderAck(order.client_order_id, "", OrderState.REJECTED, Decimal(0), reason=reason)

    def _arrive(self, order: ExchangeOrder, now_ns: int) -> PaperOrder:
        instrument = self.instruments.get(order.symbol)
        fault = "unknown symbol" if instrument is None else ""
        instrument = instrument or Instrument(order.symbol)
        cut = replace(order, size=cut_to_step(order.size, instrument.lot_step))
        self._orders_taken += 1
        made = PaperOrder(
            cut, f"P{self._orders_taken}", instrument, now_ns + self.settings.latency_ns
        )
        made.reason = fault or fault_of(cut, instrument) or self._whim()
        if made.reason:
            made.state = OrderState.REJECTED
        return made

    def _whim(self) -> str:
        return "rejected at random" if self._chance(self.settings.reject_share) else ""

    def _chance(self, share: float) -> bool:
        return share > 0 and self._uniform() < share

    def _uniform(self) -> float:
        # 53 bits: what float64 holds exactly, so never 1.
        return (int.from_bytes(self._random.bytes(8), "big") >> 11) / 2**53

    def _quote(self, market: Market) -> Quote:
        if self.settings.fill_by == "book":
            return Quote(
                above_zero(market.bid),
                above_zero(market.ask),
                known_depth(market.bid_depth),
                known_depth(market.ask_depth),
                self.clock.now_ns(),
            )
        mark = above_zero(market.mark) or above_zero(market.last)
        return Quote(mark, mark, None, None, self.clock.now_ns())

    def _match(self) -> None:
        now_ns = self.clock.now_ns()
        for key, order in list(self._working.items()):
            quote = self._quotes.get(order.sent.symbol)
            # Each order meets each quote once, so asking for its state does not move it.
            if quote is not None and quote is not order.met and order.active_ns <= now_ns:
                order.met = quote
                self._fill(order, quote)
            if order.state is not OrderState.WORKING:
                del self._working[key]

    def _fill(self, order: PaperOrder, quote: Quote) -> None:
        buys = order.sent.side == "buy"
        price, depth = (quote.ask, quote.ask_depth) if buys else (quote.bid, quote.bid_depth)
        if price is not None and reached(order, price, buys):
            size = order.rest if depth is None else min(order.rest, depth)
            size = cut_to_step(size, order.instrument.lot_step)
            if size > 0 and self._chance(self.settings.partial_share):
                size = self._part(size, order.instrument.lot_step)
            if size > 0:
                self._book(order, size, price, max(order.active_ns, quote.moment_ns))
            if depth is not None:
                quote.take(buys, size)
        order.rested = True

    def _part(self, size: Decimal, lot_step: Decimal) -> Decimal:
        lots = int(size // lot_step)
        return max(1, int(lots * self._uniform())) * lot_step

    def _book(self, order: PaperOrder, size: Decimal, found: Decimal, moment_ns: int) -> None:
        order.filled += size
        if order.rest == 0:
            order.state = OrderState.FILLED
        sent = order.sent
        # What waited in the book makes liquidity and trades at its own price; what was filled on its
        # arrival takes it, at the price that it found.
        makes = order.rested and sent.type == "limit"
        rate = self.settings.maker_fee if makes else self.settings.taker_fee
        price = sent.price if makes and sent.price is not None else found
        worth = size * price * Decimal(repr(order.instrument.multiplier))
        self._filled += 1
        number = str(self._filled)
        fill = ExchangeFill(
            fill_id=f"F{number}",
            cursor=number,
            client_order_id=sent.client_order_id,
            exchange_order_id=order.exchange_order_id,
            symbol=sent.symbol,
            side=sent.side,
            size=size,
            cumulative_size=order.filled,
            price=price,
            fee=worth * rate,
            fee_currency=order.instrument.quote,
            timestamp=moment_ns,
        )
        self._fills.append((sent.account, fill))
        signed = 1 if sent.side == "buy" else -1
        base, _, quote = sent.symbol.partition("/")
        self._move(sent.account, order.instrument.base or base, signed * size)
        self._move(sent.account, order.instrument.quote or quote, -signed * worth - fill.fee)
