"""Orders for the benchmarks, as Parquet: seeded, sorted by time, written in chunks.

Each account trades eleven of the symbols, one more than it may hold. In each symbol it builds a position
over some orders and takes it down again, so that books stay as full after ten million orders as after
a hundred thousand, and the gates have something to do.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.market import SYMBOLS, price_walks

__all__ = ["COLUMNS", "Workload", "account_name", "marks_file", "orders_file"]

COLUMNS = (
    "ts", "order_id", "account", "strategy", "venue", "symbol", "side", "type", "size", "price",
    "reduce_only",
)  # fmt: skip
STRATEGIES = ("carry", "maker", "taker", "trend", "value")
VENUES = ("north", "south")
START_NS = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * 1_000_000_000
#: Time from one order to the next: 25 orders a second.
STEP_NS = 40_000_000
MINUTE_NS = 60_000_000_000
CHUNK_ROWS = 1 << 20
OWN_SYMBOLS = 11
SEED = 20260105
#: Part of the files' names; to be raised when the generator changes, so that no old file is used.
EDITION = 2

Whole = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Workload:
    """How many orders, over how many accounts."""

    orders: int
    accounts: int = 1000

    @property
    def name(self) -> str:
        return f"{self.orders}-orders-{self.accounts}-accounts-{EDITION}"


def account_name(place: int) -> str:
    """Name of the account at a place; names sort as their places do."""
    return f"acc-{place:05d}"


def orders_file(workload: Workload, directory: Path) -> Path:
    """The Parquet file of a workload, written now if it is not there."""
    path = directory / f"orders-{workload.name}.parquet"
    if not path.exists():
        _write(path, _order_tables(workload))
    return path


def marks_file(workload: Workload, directory: Path) -> Path:
    """Quotes of every symbol, one a minute, for the time of a workload's orders."""
    path = directory / f"marks-{workload.name}.parquet"
    if not path.exists():
        _write(path, iter([_marks(workload)]))
    return path


def _write(path: Path, tables: Iterator[pa.Table]) -> None:
    """Write aside, then rename: a run that was stopped leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        first = next(tables)
        with pq.ParquetWriter(aside, first.schema) as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _order_tables(workload: Workload) -> Iterator[pa.Table]:
    minutes = workload.orders * STEP_NS // MINUTE_NS + 1
    walks = price_walks(minutes, SEED)
    # How many orders an account has sent in a symbol: where it stands in its round.
    sent = np.zeros(workload.accounts * len(SYMBOLS), np.int64)
    for number, start in enumerate(range(0, workload.orders, CHUNK_ROWS)):
        rows = min(CHUNK_ROWS, workload.orders - start)
        # Whole chunks are drawn, so that a shorter file is the beginning of a longer one.
        random = np.random.default_rng([SEED, 1, workload.accounts, number])
        yield _chunk(workload, random, start, walks, sent).slice(0, rows)


def _chunk(
    workload: Workload, random: np.random.Generator, start: int, walks: Real, sent: Whole
) -> pa.Table:
    rows = CHUNK_ROWS
    place = np.arange(start, start + rows, dtype=np.int64)
    ts = START_NS + place * STEP_NS + random.integers(0, STEP_NS, rows)
    account = random.integers(0, workload.accounts, rows)
    symbol = (account * 7 + random.integers(0, OWN_SYMBOLS, rows)) % len(SYMBOLS)
    side, notional, closing = _rounds(account * len(SYMBOLS) + symbol, sent)
    lot_scale = 10.0 ** np.array([each.lot_places for each in SYMBOLS])
    first = np.array([each.first_price for each in SYMBOLS])
    lots = np.maximum(10.0, np.rint(notional / first[symbol] * lot_scale[symbol]))
    tick_scale = 10.0 ** np.array([each.tick_places for each in SYMBOLS])
    minute = np.minimum((ts - START_NS) // MINUTE_NS, len(walks) - 1)
    near = walks[minute, symbol] * (1.0 + 0.0002 * random.standard_normal(rows))
    names = pa.array([each.name for each in SYMBOLS])
    accounts = pa.array([account_name(each) for each in range(workload.accounts)])
    columns = {
        "ts": pa.array(ts, pa.timestamp("ns", tz="UTC")),
        "order_id": pa.array(place + 1),
        "account": accounts.take(pa.array(account)),
        "strategy": pa.array(STRATEGIES).take(pa.array(account % len(STRATEGIES))),
        "venue": pa.array(VENUES).take(pa.array(symbol % len(VENUES))),
        "symbol": names.take(pa.array(symbol)),
        "side": pa.array(("sell", "buy")).take(pa.array((side + 1) // 2)),
        "type": pa.array(("limit", "market")).take(
            pa.array((random.random(rows) < 0.1).astype(np.int64))
        ),
        "size": pa.array(lots / lot_scale[symbol]),
        "price": pa.array(np.rint(near * tick_scale[symbol]) / tick_scale[symbol]),
        "reduce_only": pa.array(closing & (random.random(rows) < 0.05)),
    }
    return pa.table(columns).select(COLUMNS)


def _rounds(pair: Whole, sent: Whole) -> tuple[Whole, Real, npt.NDArray[np.bool_]]:
    """Side, value and whether it closes, by where each (account, symbol) stands in its round.

    A round is n orders one way and the same n sizes back; n and the sizes belong to the pair.
    """
    count = sent[pair] + _ordinals(pair)
    np.add.at(sent, pair, 1)
    length = 3 + _scattered(pair, 1, 8)
    # Each pair begins somewhere in its round: otherwise all books would be full at one time.
    count += _scattered(pair, 4, 20)
    step = count % length
    half = count // length + _scattered(pair, 2, 2)
    side: Whole = 1 - 2 * (half % 2)
    closing: npt.NDArray[np.bool_] = count // length % 2 == 1
    # From 500 to 50,000, most of them small.
    notional = 500.0 * 10.0 ** (2.0 * _scattered(pair * 64 + step, 3, 1000) / 999.0)
    return side, np.asarray(notional, np.float64), closing


def _ordinals(keys: Whole) -> Whole:
    """How many equal keys stand before each."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    lengths = np.diff(np.r_[starts, len(keys)])
    result = np.empty(len(keys), np.int64)
    result[order] = np.arange(len(keys)) - np.repeat(starts, lengths)
    return result


def _scattered(keys: Whole, salt: int, below: int) -> Whole:
    """A number for each key that looks random and is always the same."""
    mixed = keys.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(below)).astype(np.int64)


def _marks(workload: Workload) -> pa.Table:
    minutes = workload.orders * STEP_NS // MINUTE_NS + 1
    last = price_walks(minutes, SEED)
    ts = START_NS + np.arange(minutes, dtype=np.int64) * MINUTE_NS
    names = pa.array([each.name for each in SYMBOLS])
    symbols = np.tile(np.arange(len(SYMBOLS)), minutes)
    return pa.table(
        {
            "ts": pa.array(np.repeat(ts, len(SYMBOLS)), pa.timestamp("ns", tz="UTC")),
            "symbol": names.take(pa.array(symbols)),
            "bid": pa.array((last * 0.9999).ravel()),
            "ask": pa.array((last * 1.0001).ravel()),
            "last": pa.array(last.ravel()),
        }
    )
