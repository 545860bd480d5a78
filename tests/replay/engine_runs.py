"""Runs of the engine for tests: policies and sources written to files, decisions as dictionaries."""

import math
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from ringfence.language.linking import link_path
from ringfence.replay.decided import DECISIONS, OUTCOMES
from ringfence.replay.engine import Engine
from ringfence.replay.sources import open_inputs

NAN = float("nan")

INSTRUMENTS = """
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: desk, version: 1.0.0}
spec:
  accounts: [a, b]
  strategies: [s]
  fx: {EUR/USD: 1.25}
  instruments:
    BTC/USD: {lot_step: "0.001", min_size: "0.001", tick_size: "0.1", multiplier: 1, base: BTC, quote: USD, min_notional: 5}
    ETH/USD: {lot_step: "0.01", min_size: "0.01", tick_size: "0.01", multiplier: 1, base: ETH, quote: USD}
    ADA/EUR: {lot_step: "1", min_size: "2", tick_size: "0.0001", multiplier: 10, base: ADA, quote: EUR}
    LTC/GBP: {lot_step: "0.1", min_size: "0.1", tick_size: "0.01", multiplier: 1, base: LTC, quote: GBP}
  correlations: {"BTC/USD|ETH/USD": 0.8, "ADA/EUR|BTC/USD": -0.9}
"""

GATES = """
    - rule: kill-switch@1
    - {rule: data-quality@1, limits: {max_age: AGE, min_completeness: 100%, max_skew: 1s}}
    - {rule: daily-loss@1, limits: {max_loss: LOSS, max_loss_ratio: 50%}}
    - {rule: drawdown@1, limits: {max_drawdown: DRAWDOWN}}
    - {rule: position-count@1, limits: {max_positions: COUNT}}
    - {rule: total-exposure@1, limits: {max: EXPOSURE}}
    - {rule: position-size@1, limits: {max_of_equity: 100%}}
    - {rule: correlated-exposure@1, limits: {threshold: 0.7, max_of_equity: 100%}}
"""

DEFAULTS = {
    "AGE": "1h",
    "LOSS": "5_000 USD",
    "DRAWDOWN": "50%",
    "COUNT": "10",
    "EXPOSURE": "10_000 USD",
}


def policy(name="desk", gates=GATES, level="account", scope="{}", day="", **limits):
    """A policy's text; `limits` replace those of the eight mandatory gates."""
    for key, value in {**DEFAULTS, **limits}.items():
        gates = gates.replace(key, value)
    lines = [
        "apiVersion: ringfence/v1",
        "kind: Policy",
        f"metadata: {{name: {name}, version: 1.0.0, owner: desk, description: For tests.}}",
        "spec:",
        f"  level: {level}",
        "  currency: USD",
        f"  scope: {scope}",
        *([f"  day: {day}"] if day else []),
        "  gates:",
    ]
    return "\n".join(lines) + gates


def linked_set(folder, *policies):
    """Link policies with the instruments above."""
    place = folder / f"policies-{len(list(folder.iterdir()))}"
    place.mkdir()
    (place / "instruments.yaml").write_text(INSTRUMENTS)
    for number, text in enumerate(policies or (policy(),)):
        (place / f"policy-{number}.yaml").write_text(text)
    return link_path(place)


def ns(text):
    """Nanoseconds of `2026-03-06T12:00:00Z`; a bare time is on 2026-01-05, UTC."""
    full = text if "-" in text else f"2026-01-05T{text}+00:00"
    return int(datetime.fromisoformat(full).timestamp() * 1e6) * 1000


def order(ts, size, price=NAN, **given):
    """An order of account `a` in BTC/USD; negative sizes sell."""
    return {
        "ts": ns(ts) if isinstance(ts, str) else ts,
        "account": "a",
        "strategy": "",
        "symbol": "BTC/USD",
        "side": "buy" if size > 0 else "sell",
        "type": "market" if math.isnan(price) else "limit",
        "size": abs(float(size)),
        "price": price,
        "reduce_only": False,
        "end_ts": 0,
        "expired": False,
        **given,
    }


def mark(ts, price, symbol="BTC/USD", **given):
    """A quote with no spread."""
    at = ns(ts) if isinstance(ts, str) else ts
    return {"ts": at, "symbol": symbol, "bid": price, "ask": price, "last": price, **given}


def fill(ts, key, size, price, fee=0.0):
    """A fill of the order that was the `key`-th to be given."""
    at = ns(ts) if isinstance(ts, str) else ts
    return {"ts": at, "order_id": f"o{key}", "size": size, "price": price, "fee": fee}


def balance(book, kind, amount, ts=None):
    """Money that comes or goes; an opening without a time holds from the start."""
    return {"ts": ns(ts) if ts else None, "book": book, "kind": kind, "amount": amount}


def _saved(folder, name, rows):
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    for key in ("ts", "end_ts"):
        if key in columns:
            columns[key] = pa.array([each or None for each in columns[key]], pa.timestamp("ns"))
    for key in ("price", "bid", "ask", "last"):
        if key in columns:
            columns[key] = pa.array([None if each != each else each for each in columns[key]])
    path = folder / f"{name}-{len(list(folder.iterdir()))}.parquet"
    pq.write_table(pa.table(columns), path)
    return str(path)


def run(
    folder,
    linked,
    orders,
    *,
    marks=None,
    fills=None,
    balances=None,
    mode="propagated",
    equity=None,
    halts_until="day",
    batch_rows=1 << 16,
):
    """Replay; returns the decisions as dictionaries, and the engine, finished."""
    orders = [{"order_id": f"o{key}", **each} for key, each in enumerate(orders)]
    sources = {
        name: _saved(folder, name, rows)
        for name, rows in (("fills", fills), ("marks", marks), ("balances", balances))
        if rows
    }
    with open_inputs(
        _saved(folder, "orders", orders), **sources, batch_rows=batch_rows, survey=True
    ) as inputs:
        engine = Engine(linked, inputs, mode=mode, equity=equity, halts_until=halts_until)
        found = [row for batch in inputs.orders for row in _rows(engine, engine.decide(batch))]
        engine.finish()
    return found, engine


def _rows(engine, decided):
    rows = []
    for i in range(len(decided)):
        code, gate = int(decided.code[i]), int(decided.gate[i])
        gates = {
            column.name: (
                OUTCOMES[decided.outcome[g, i]],
                float(decided.measure[g, i]),
                float(decided.limit[g, i]),
            )
            for g, column in enumerate(engine.columns)
        }
        rows.append(
            {
                "order_id": decided.orders.order_id[i].as_py(),
                "decision": DECISIONS[decided.decision[i]],
                "size": float(decided.size[i]),
                "code": engine.codes[code] if code >= 0 else "",
                "gate": engine.columns[gate].name if gate >= 0 else "",
                "notional": float(decided.notional[i]),
                "equity": float(decided.equity[i]),
                "drawdown": float(decided.drawdown[i]),
                "gates": gates,
            }
        )
    return rows
