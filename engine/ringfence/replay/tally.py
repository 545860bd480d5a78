"""The streaming tally of one run: counts, notional, utilisation and series, in memory that stays flat.

Sums are taken in row order, so that they are the same bit for bit however the rows were cut into
batches. Quantiles of utilisation come from histograms with bins of half a percent of the limit: they
are the upper edge of their bin, never above the peak, which is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from ringfence.replay.buckets import MOST, Buckets
from ringfence.replay.compiled import compiled
from ringfence.replay.decided import DecidedBatch, GateColumn

__all__ = ["BINS", "Peak", "Tally", "quantiles"]

#: Bins of a utilisation histogram: each half a percent of the limit wide, its upper edge included; the last
#: holds all above 200 %.
BINS = 401
_BIN_SHARE = 0.005
_SHARES = (0.5, 0.9, 0.99)
# Rows that the compiled code looks at together.
_BLOCK = 256


@dataclass(slots=True)
class Peak:
    """A gate's highest utilisation, and the order that had it first."""

    use: float = -1.0
    ts: int = 0
    order_id: str = ""


class Tally:
    """Counts what one engine decided, batch after batch.

    Attributes:
        decisions: Orders by decision, shape (3,).
        sums: Notional asked, approved, cut and rejected, and how many orders had none.
        codes: Orders by reason; gates: (columns, 2), rejected and reduced; gates_money: notional held.
        outcomes: (columns, 6), orders by outcome.
        parts, money: For account, strategy and symbol: (names, 3) orders by decision, (names, 2)
            notional asked and approved.
        peaks: One for each gate column.
        buckets: Of the series: `by_decision` (240, 3), `uses` (240, columns) highest utilisation,
            `histograms` (240, columns, BINS), `state` (240, 2) last equity and deepest drawdown.
    """

    def __init__(self, columns: Sequence[GateColumn], codes: int) -> None:
        gates = len(columns)
        self.columns = tuple(columns)
        self.rows = 0
        self.first_ts = 0
        self.last_ts = 0
        self.sums = np.zeros(5)
        self.codes = np.zeros(codes, np.int64)
        self.gates = np.zeros((gates, 2), np.int64)
        self.gates_money = np.zeros(gates)
        self.outcomes = np.zeros((gates, 6), np.int64)
        self.parts = [np.zeros((0, 3), np.int64) for _ in range(3)]
        self.money = [np.zeros((0, 2)) for _ in range(3)]
        self.peaks = [Peak() for _ in columns]
        self.buckets = Buckets()
        self.by_decision = np.zeros((MOST, 3), np.int64)
        self.uses = np.full((MOST, gates), -1.0)
        self.histograms = np.zeros((MOST, gates, BINS), np.int32)
        self.state = np.full((MOST, 2), np.nan)
        self._compiled = compiled("tally")
        self._shown = np.array([column.unit != "state" for column in columns], np.uint8)
        self._found = np.zeros(gates, np.int64)
        # What it works in: for each of four neighbours a histogram, and one bin for what has no place.
        self._room = (
            np.zeros((4, BINS + 1), np.int32),
            np.zeros(_BLOCK),
            np.zeros(_BLOCK, np.int32),
        )

    @property
    def decisions(self) -> npt.NDArray[np.int64]:
        """Orders by decision."""
        return np.asarray(self.by_decision.sum(axis=0), np.int64)

    def add(self, batch: DecidedBatch) -> None:
        """Count a batch; nothing of it is kept by reference."""
        rows = len(batch)
        if not rows:
            return
        orders = batch.orders
        if not self.rows:
            self.first_ts = int(orders.ts[0])
            self._bucket(self.first_ts)
        self.last_ts = int(orders.ts[-1])
        names = (orders.account, orders.strategy, orders.symbol)
        for place, codes in enumerate(names):
            self._grow(place, int(codes.max()) + 1)
        outcome, apart = _flat(batch.outcome)
        measure, measures_apart = _flat(batch.measure)
        columns = (apart, measures_apart, outcome, measure, _flat(batch.limit)[0])
        # Widened for the last row at once: the first batch would else pass through every width.
        self._bucket(self.last_ts)
        start = 0
        while start < rows:
            bucket = self._bucket(int(orders.ts[start]))
            end_ns = self.buckets.start_ns(bucket + 1)
            stop = rows
            if orders.ts[-1] >= end_ns:
                stop = int(np.searchsorted(orders.ts, end_ns, side="left"))
            self._count(batch, names, columns, bucket, start, stop)
            start = stop
        self.rows += rows

    def _bucket(self, moment_ns: int) -> int:
        place, moved = self.buckets.place(moment_ns)
        if moved is not None:
            self._merge(moved)
        return place

    def _count(
        self,
        batch: DecidedBatch,
        names: tuple[Any, ...],
        columns: tuple[Any, ...],
        bucket: int,
        start: int,
        stop: int,
    ) -> None:
        self._compiled.count_orders(
            start, stop, batch.decision, batch.size, batch.orders.size, batch.code, batch.gate,
            batch.notional, names, tuple(self.parts), tuple(self.money), self.sums, self.codes,
            self.gates, self.gates_money, self.by_decision[bucket], batch.equity, batch.drawdown,
            self.state[bucket],
        )  # fmt: skip
        uses = self.uses[bucket]
        self._compiled.count_gates(
            start, stop, *columns, self._shown, self.outcomes, self.histograms[bucket], uses,
            self._found, *self._room,
        )  # fmt: skip
        for place in np.flatnonzero(self._found >= 0).tolist():
            row, use = int(self._found[place]), float(uses[place])
            if use > self.peaks[place].use:
                order_id = str(batch.orders.order_id[row].as_py())
                self.peaks[place] = Peak(use, int(batch.orders.ts[row]), order_id)

    def _grow(self, place: int, names: int) -> None:
        """Make room for names that were not seen before."""
        missing = names - len(self.parts[place])
        if missing > 0:
            # Some more than needed: tables of names grow a little with every batch.
            missing = max(missing, len(self.parts[place]) // 2)
            self.parts[place] = np.concatenate(
                [self.parts[place], np.zeros((missing, 3), np.int64)]
            )
            self.money[place] = np.concatenate([self.money[place], np.zeros((missing, 2))])

    def _merge(self, moved: npt.NDArray[Any]) -> None:
        """Put the buckets together after they were widened; `moved` is the new place of each."""
        by_decision, histograms = np.zeros_like(self.by_decision), np.zeros_like(self.histograms)
        uses, state = np.full_like(self.uses, -1.0), np.full_like(self.state, np.nan)
        for old, new in enumerate(moved.tolist()):
            if not self.by_decision[old].any():
                continue
            by_decision[new] += self.by_decision[old]
            histograms[new] += self.histograms[old]
            uses[new] = np.maximum(uses[new], self.uses[old])
            equity, fall = self.state[old]
            if equity == equity:
                state[new, 0] = equity
            state[new, 1] = np.fmax(state[new, 1], fall)
        self.by_decision, self.histograms, self.uses, self.state = (
            by_decision,
            histograms,
            uses,
            state,
        )


def _flat(columns: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    """Columns of gates as they lie in memory, one after the other, and how far apart they begin."""
    gates, rows = columns.shape
    size = columns.itemsize
    apart = columns.strides[0] // size
    whole = (gates - 1) * apart + rows if gates else 0
    return as_strided(columns, (whole,), (size,)), apart


def quantiles(histogram: npt.NDArray[Any], peak: float) -> list[float | None]:
    """The 50, 90 and 99 % quantiles: upper edges of bins, at most `peak`; None without values."""
    total = int(histogram.sum())
    if not total:
        return [None] * len(_SHARES)
    reached = np.cumsum(histogram)
    places = [int(np.searchsorted(reached, share * total, side="left")) for share in _SHARES]
    return [
        peak if place == BINS - 1 else min(peak, round((place + 1) * _BIN_SHARE, 6))
        for place in places
    ]
