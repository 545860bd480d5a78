"""What the engine gets: a few thousand rows at a time, as numpy columns and integer codes.

Every numpy array is one-dimensional, C-contiguous, writable and owns its memory, so that compiled code
sees one type. Missing prices are NaN, missing end times 0.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "BalanceBatch",
    "Codes",
    "FillBatch",
    "Flags",
    "Floats",
    "Int8s",
    "MarkBatch",
    "OrderBatch",
    "Times",
]

Times: TypeAlias = npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.int32]
Floats: TypeAlias = npt.NDArray[np.float64]
Int8s: TypeAlias = npt.NDArray[np.int8]
Flags: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class OrderBatch:
    """Orders in time order, ties in the order of the source.

    Attributes:
        start: Position of the first one in the whole stream, from 0.
        ts: Nanoseconds since 1970, UTC.
        order_id: As Arrow: text, or int64 where the source has whole numbers.
        account, strategy, venue, symbol: Places in the stream's tables of names.
        side: +1 buy, -1 sell.
        type: Place in `codes.ORDER_TYPES`.
        size: In units of the base, above zero and finite.
        price: Limit or trigger price; NaN where missing.
        reduce_only: 1 or 0.
        end_ts: When it was cancelled or expired, nanoseconds; 0 where it was not.
        expired: 1 where `end_ts` is when it expired, 0 where it was cancelled.
        row: Row in the source, from 1.
        n_fills: How many fills the order has in the stream of fills; 0 where there is none.
    """

    start: int
    ts: Times
    order_id: pa.Array
    account: Codes
    strategy: Codes
    venue: Codes
    symbol: Codes
    side: Int8s
    type: Int8s
    size: Floats
    price: Floats
    reduce_only: Flags
    end_ts: Times
    expired: Flags
    row: Times
    n_fills: Codes

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class MarkBatch:
    """Prices in time order; each number is NaN where the source has none.

    Attributes:
        start: Position of the first one in the whole stream, from 0.
        ts: Nanoseconds since 1970, UTC.
        symbol: Place in the table of symbols.
        bid, ask, last: Prices.
        bid_depth, ask_depth, volume: In units of the base.
        row: Row in the source, from 1.
    """

    start: int
    ts: Times
    symbol: Codes
    bid: Floats
    ask: Floats
    last: Floats
    bid_depth: Floats
    ask_depth: Floats
    volume: Floats
    row: Times

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class FillBatch:
    """Fills in time order, ties in the order of their orders.

    Attributes:
        start: Position of the first one in the whole stream, from 0.
        ts: Nanoseconds since 1970, UTC.
        position: Place of the filled order in the stream of orders, from 0.
        size: In units of the base, above zero.
        price: Above zero.
        fee: In the quote currency; negative for a rebate.
        last: 1 for the last fill of an order without an end of its own, else 0.
        row: Row in the source, from 1.
    """

    start: int
    ts: Times
    position: Times
    size: Floats
    price: Floats
    fee: Floats
    last: Flags
    row: Times

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class BalanceBatch:
    """Money that comes and goes, in time order.

    Attributes:
        start: Position of the first one in the whole stream, from 0.
        ts: Nanoseconds since 1970, UTC; 0 for an opening balance without a time.
        book: Place in the table of books: `firm`, `account/NAME`, `strategy/NAME`.
        kind: Place in `codes.BALANCE_KINDS`.
        amount: In the book's currency; above zero for deposits and withdrawals.
        row: Row in the source, from 1.
    """

    start: int
    ts: Times
    book: Codes
    kind: Int8s
    amount: Floats
    row: Times

    def __len__(self) -> int:
        return len(self.ts)
