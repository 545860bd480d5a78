"""Decided batches as an engine would hand them on, generated: a stand-in for tests alone."""

from dataclasses import fields

import numpy as np
import pyarrow as pa

from ringfence.replay.batches import OrderBatch
from ringfence.replay.codes import NameTable
from ringfence.replay.decided import DecidedBatch, GateColumn

START = 1_764_322_200_000_000_000
CODES = ("TOTAL_EXPOSURE", "DATA_QUALITY", "POSITION_COUNT")
COLUMNS = (
    GateColumn("total-exposure", "total-exposure", "account", "money", ("desk@1.0.0",), False),
    GateColumn("firm.total-exposure", "total-exposure", "firm", "money", ("firm@1.0.0",), False),
    GateColumn("kill-switch", "kill-switch", "account", "state", ("desk@1.0.0",), False),
    GateColumn("data-quality", "data-quality", "account", "duration", ("desk@1.0.0",), True),
)
NAMES = {
    "account": NameTable(["alpha", "beta"]),
    "strategy": NameTable(["", "taker"]),
    "venue": NameTable([""]),
    "symbol": NameTable(["BTC/USDT", "ETH/USDT", "XRP/USDT"]),
}


def decided(rows, seed=0, gap_ns=1_000_000_000, text_ids=True):
    """One batch of `rows` orders; every kind of decision and outcome, gaps and missing prices."""
    rng = np.random.default_rng(seed)
    price = np.round(100 + rng.normal(size=rows).cumsum(), 2)
    price[rng.random(rows) < 0.05] = np.nan
    asked = np.round(rng.random(rows) + 0.01, 4)
    decision = rng.choice(np.array([0, 1, 2], np.int8), rows, p=[0.8, 0.1, 0.1])
    size = np.where(decision == 2, 0.0, np.where(decision == 1, asked / 2, asked))
    stopped = decision > 0
    outcome = np.ones((4, rows), np.uint8)
    measure = np.abs(rng.normal(size=(4, rows))) * 400
    limit = np.repeat(np.array([[1000.0], [2000.0], [0.0], [500.0]]), rows, axis=1)
    measure[2] = 0.0
    outcome[0, stopped] = 3
    measure[0, stopped] += 1000
    for value, share in ((4, 0.2), (5, 0.01), (0, 0.05)):
        odd = rng.random(rows) < share
        outcome[3, odd] = value
        measure[3, odd] = limit[3, odd] = np.nan
    breached = measure[3] > 500
    outcome[3, breached] = 3
    equity = 10_000 + rng.normal(size=rows).cumsum()
    numbers = np.arange(rows, dtype=np.int64)
    orders = OrderBatch(
        start=0,
        ts=START + numbers * gap_ns,
        order_id=pa.array([f"order-{i}" for i in range(rows)]) if text_ids else pa.array(numbers),
        account=rng.integers(0, 2, rows).astype(np.int32),
        strategy=rng.integers(0, 2, rows).astype(np.int32),
        venue=np.zeros(rows, np.int32),
        symbol=rng.integers(0, 3, rows).astype(np.int32),
        side=rng.choice(np.array([-1, 1], np.int8), rows),
        type=rng.integers(0, 2, rows).astype(np.int8),
        size=asked,
        price=price,
        reduce_only=np.zeros(rows, np.uint8),
        end_ts=np.zeros(rows, np.int64),
        expired=np.zeros(rows, np.uint8),
        row=numbers + 1,
        n_fills=np.zeros(rows, np.int32),
    )
    return DecidedBatch(
        orders=orders,
        decision=decision,
        size=size,
        code=np.where(stopped, 0, -1).astype(np.int16),
        gate=np.where(stopped, 0, -1).astype(np.int16),
        notional=asked * price,
        outcome=outcome,
        measure=measure,
        limit=limit,
        equity=equity,
        drawdown=1 - equity / np.maximum.accumulate(equity),
    )


def parts(whole, size):
    """The same rows in batches of `size`."""
    for start in range(0, len(whole), size):
        cut = slice(start, start + size)
        yield DecidedBatch(
            orders=_cut(whole.orders, cut, start),
            **{
                each.name: np.ascontiguousarray(getattr(whole, each.name)[..., cut])
                for each in fields(DecidedBatch)
                if each.name != "orders"
            },
        )


def _cut(orders, cut, start):
    values = {each.name: getattr(orders, each.name) for each in fields(OrderBatch)}
    return OrderBatch(
        **{k: v[cut] if k != "start" else start for k, v in values.items()},
    )
