"""What the kernel gets between orders: marks, fills, money and days, refilled as they run out."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.jit_replay import (
    MORE_DAYS,
    MORE_FILLS,
    MORE_MARKS,
    MORE_MONEY,
    MORE_OPEN,
)
from ringfence.backends.numba_kernel.layout import Events
from ringfence.replay.batches import FillBatch, MarkBatch
from ringfence.replay.engine_money import MoneyBatch
from ringfence.replay.trading_days import TradingDays

__all__ = ["Feed"]

_OPEN = 1 << 12
_LEVELS = 3
_NEVER = -(2**63)
# As the kernel finds the place of an order's position in its map.
_HASH = 0x9E3779B1

Batch = TypeVar("Batch", MarkBatch, FillBatch, MoneyBatch)


class Feed:
    """The kernel's events of one replay.

    Attributes:
        events: The arrays; others after each `more`.
        has_fills: Whether orders work until their fills come.

    Args:
        marks, fills, money: Batches in time order; None where there are none.
        day: Time and zone of the start of trading days.
        waits: How many gates wait for several ticks before they halt a book, and how many books there are.
    """

    def __init__(
        self,
        *,
        marks: Iterator[MarkBatch] | None,
        fills: Iterator[FillBatch] | None,
        money: Iterator[MoneyBatch],
        day: tuple[str, str],
        waits: tuple[int, int],
    ) -> None:
        self._marks, self._fills, self._money = marks, fills, money
        self._day = day
        self._days: TradingDays | None = None
        cursor = np.zeros(layout.CURSOR_WIDTH, np.int64)
        cursor[layout.NEXT_EVENT] = _NEVER
        cursor[layout.MARK_END] = marks is None
        cursor[layout.FILL_END] = fills is None
        cursor[layout.HAS_FILLS] = fills is not None
        cursor[layout.FREE_AT] = size = _OPEN if fills is not None else 1
        self.has_fills = fills is not None
        self.events = _empty(cursor, size)._replace(
            confirm_n=np.zeros(waits, np.int32), confirm_ts=np.zeros(waits, np.int64)
        )
        self._more: dict[int, Callable[[], Events]] = {
            MORE_MARKS: self._more_marks,
            MORE_FILLS: self._more_fills,
            MORE_MONEY: self._more_money,
            MORE_DAYS: self._more_days,
            MORE_OPEN: self._more_open,
        }

    def start(self, moment_ns: int) -> None:
        """Begin with the trading day that holds the first order's time."""
        if self._days is None:
            self._days = TradingDays(self._day, moment_ns)
            self.events = self._more_days()

    def room_for_halts(self, orders: int) -> None:
        """So many orders may halt the books of each of their levels; those of earlier orders are forgotten."""
        self.events.cursor[layout.HALTS_AT] = 0
        most = _LEVELS * orders
        if self.events.halts.shape[0] < most:
            self.events = self.events._replace(halts=np.zeros((most, layout.HALT_WIDTH), np.int64))

    def end(self) -> None:
        """No order is left, so no day has to start any more."""
        self.events = self.events._replace(days=np.zeros(0, np.int64))
        self.events.cursor[layout.DAY_AT] = 0

    def more(self, status: int) -> None:
        """Give the kernel what it stopped for; `events` has other arrays afterwards."""
        self.events = self._more[status]()

    def _more_marks(self) -> Events:
        batch = self._next(self._marks, layout.MARK_AT, layout.MARK_END)
        if batch is None:
            return self.events
        return self.events._replace(
            mark_ts=batch.ts,
            mark_symbol=batch.symbol,
            mark_bid=batch.bid,
            mark_ask=batch.ask,
            mark_last=batch.last,
            mark_bid_depth=batch.bid_depth,
            mark_ask_depth=batch.ask_depth,
            mark_volume=batch.volume,
        )

    def _more_fills(self) -> Events:
        batch = self._next(self._fills, layout.FILL_AT, layout.FILL_END)
        if batch is None:
            return self.events
        return self.events._replace(
            fill_ts=batch.ts,
            fill_position=batch.position,
            fill_size=batch.size,
            fill_price=batch.price,
            fill_fee=batch.fee,
            fill_last=batch.last,
        )

    def _more_money(self) -> Events:
        batch = self._next(self._money, layout.MONEY_AT, layout.MONEY_END)
        if batch is None:
            return self.events
        return self.events._replace(
            money_ts=batch.ts,
            money_book=batch.book,
            money_kind=batch.kind,
            money_amount=batch.amount,
            money_firm=batch.firm,
        )

    def _next(self, batches: Iterator[Batch] | None, at: int, end: int) -> Batch | None:
        batch = next(batches, None) if batches is not None else None
        if batch is None:
            self.events.cursor[end] = 1
        else:
            self.events.cursor[at] = 0
        return batch

    def _more_days(self) -> Events:
        days = self._days.following() if self._days is not None else np.zeros(0, np.int64)
        self.events.cursor[layout.DAY_AT] = 0
        return self.events._replace(days=days)

    def _more_open(self) -> Events:
        """Room for twice as many working orders, and for as many ends."""
        events = self.events
        size, cursor = events.open.shape[0], events.cursor
        grown = _empty(cursor, 2 * size)
        grown.open[:size], grown.open_lots[:size] = events.open, events.open_lots
        free = int(cursor[layout.FREE_AT])
        grown.free[:free] = events.free[:free]
        grown.free[free : free + size] = np.arange(size, 2 * size)
        cursor[layout.FREE_AT] = free + size
        ends = int(cursor[layout.END_AT])
        grown.ends[:ends] = events.ends[:ends]
        held = events.map_key >= 0
        _put_all(grown, events.map_key[held], events.map_slot[held])
        names = ("open", "open_lots", "free", "map_key", "map_slot", "ends")
        return events._replace(**{name: getattr(grown, name) for name in names})


def _put_all(events: Events, keys: layout.Longs, slots: layout.Ints) -> None:
    """Fill an empty map: each key stands at its home, or behind it with no gap between."""
    size = events.map_key.shape[0]
    homes = (keys * _HASH) & (size - 1)
    order = np.argsort(homes, kind="stable")
    keys, slots, homes = keys[order], slots[order], homes[order]
    places = np.maximum.accumulate(homes - np.arange(len(homes))) + np.arange(len(homes))
    inside = places < size
    events.map_key[places[inside]] = keys[inside]
    events.map_slot[places[inside]] = slots[inside]
    # Few run over the end of the map, and go on at its beginning.
    at = 0
    for key, slot in zip(keys[~inside].tolist(), slots[~inside].tolist(), strict=True):
        while events.map_key[at] != -1:
            at += 1
        events.map_key[at], events.map_slot[at] = key, slot


def _empty(cursor: layout.Longs, size: int) -> Events:
    """No event is there yet, and `size` orders may work at a time."""
    floats, longs = np.zeros(0), np.zeros(0, np.int64)
    ints, small, flags = np.zeros(0, np.int32), np.zeros(0, np.int8), np.zeros(0, np.uint8)
    return Events(
        cursor=cursor,
        mark_ts=longs,
        mark_symbol=ints,
        mark_bid=floats,
        mark_ask=floats,
        mark_last=floats,
        mark_bid_depth=floats,
        mark_ask_depth=floats,
        mark_volume=floats,
        fill_ts=longs,
        fill_position=longs,
        fill_size=floats,
        fill_price=floats,
        fill_fee=floats,
        fill_last=flags,
        money_ts=longs,
        money_book=ints,
        money_kind=small,
        money_amount=floats,
        money_firm=flags,
        days=longs,
        open=np.full((size, layout.OPEN_WIDTH), -1, np.int64),
        open_lots=np.zeros((size, 5)),
        free=np.arange(size, dtype=np.int32),
        map_key=np.full(4 * size, -1, np.int64),
        map_slot=np.zeros(4 * size, np.int32),
        ends=np.zeros((size, 3), np.int64),
        halts=np.zeros((0, layout.HALT_WIDTH), np.int64),
        confirm_n=np.zeros((0, 0), np.int32),
        confirm_ts=np.zeros((0, 0), np.int64),
    )
