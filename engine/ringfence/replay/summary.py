"""`summary.json` out of what was counted; `schemas/dry-run-summary.v1.schema.json` says what is in it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence.replay.codes import NameTable
from ringfence.replay.decided import DECISIONS, GateColumn
from ringfence.replay.engine import Engine
from ringfence.replay.moments import finite, iso
from ringfence.replay.rejects import Rejects
from ringfence.replay.tally import Tally, quantiles

__all__ = ["halts_part", "orders_part", "run_part", "unreplayable_part"]

# Outcomes by place, as `decided.OUTCOMES` has them.
_PASS, _REDUCE, _BREACH, _EXEMPT, _UNKNOWN = 1, 2, 3, 4, 5


def orders_part(source: str, rows: int, tally: Tally) -> dict[str, Any]:
    """The part `orders`: how much was read and replayed.

    Args:
        source: What the user named.
        rows: Rows of the source, those that cannot be replayed included.
        tally: Of any run: all replay the same orders.
    """
    accounts, strategies, symbols = (int(part.any(axis=1).sum()) for part in tally.parts)
    known = tally.rows > 0
    return {
        "source": source,
        "rows": rows,
        "replayed": tally.rows,
        "first_ts": iso(tally.first_ts) if known else None,
        "last_ts": iso(tally.last_ts) if known else None,
        "accounts": accounts,
        "symbols": symbols,
        "strategies": strategies,
    }


def unreplayable_part(rejects: Rejects) -> list[dict[str, Any]]:
    """The part `unreplayable`: reasons by how many rows each has."""
    found = rejects.as_dict()
    ranked = sorted(rejects.counts.items(), key=lambda each: (-each[1], each[0]))
    return [
        {"reason": reason, "rows": rows, "examples": found[reason]["examples"]}
        for reason, rows in ranked
        if rows
    ]


def run_part(
    tally: Tally,
    *,
    codes: Sequence[str],
    currency: str,
    totals: Mapping[str, float],
    halts: Mapping[str, Any],
    tables: Sequence[NameTable],
) -> dict[str, Any]:
    """One run: one side in one mode.

    Args:
        tally: What was counted.
        codes, currency, totals: Of the engine.
        halts: As `halts_part` makes it.
        tables: Names of accounts, strategies and symbols.
    """
    asked, approved, cut, rejected = (finite(value) for value in tally.sums[:4])
    by_account, by_strategy, by_symbol = (
        _parts(orders, money, names)
        for orders, money, names in zip(tally.parts, tally.money, tables, strict=True)
    )
    return {
        "decisions": dict(zip(DECISIONS, tally.decisions.tolist(), strict=True)),
        "notional": {
            "currency": currency,
            "asked": asked,
            "approved": approved,
            "cut": cut,
            "rejected": rejected,
        },
        "by_gate": _by_gate(tally),
        "halts": halts,
        "reasons": _reasons(tally.codes, codes),
        "gates": [_gate(tally, place, column) for place, column in enumerate(tally.columns)],
        "series": _series(tally),
        "by_account": by_account,
        "by_strategy": by_strategy,
        "by_symbol": by_symbol,
        "pnl": {
            name: finite(totals[name])
            for name in ("equity_first", "equity_last", "fees", "max_drawdown")
        },
    }


def halts_part(engine: Engine) -> dict[str, Any]:
    """The books that gates halted."""
    books, columns = list(engine.names.books()), engine.columns
    by_gate = {columns[place].name: n for place, n in sorted(engine.halted.items())}
    return {
        "count": sum(by_gate.values()),
        "by_gate": by_gate,
        "first": [
            {"ts": iso(each.ts), "book": books[each.book], "gate": columns[each.column].name}
            for each in engine.halts
        ],
    }


def _by_gate(tally: Tally) -> list[dict[str, Any]]:
    rows = [
        {
            "gate": column.name,
            "reject": int(tally.gates[place, 0]),
            "reduce": int(tally.gates[place, 1]),
            "notional": finite(tally.gates_money[place]),
        }
        for place, column in enumerate(tally.columns)
        if tally.gates[place].any()
    ]
    return sorted(rows, key=lambda row: (-row["reject"] - row["reduce"], row["gate"]))


def _reasons(counts: npt.NDArray[np.int64], codes: Sequence[str]) -> list[dict[str, Any]]:
    found = [(code, int(n)) for code, n in zip(codes, counts, strict=True) if n]
    return [
        {"code": code, "orders": n} for code, n in sorted(found, key=lambda each: (-each[1], each))
    ]


def _gate(tally: Tally, place: int, column: GateColumn) -> dict[str, Any]:
    counts = tally.outcomes[place].tolist()
    return {
        "gate": column.name,
        "level": column.level,
        "policies": list(column.policies),
        "unit": column.unit,
        "shadow": column.shadow,
        "orders": sum(counts[kind] for kind in (_PASS, _REDUCE, _BREACH, _UNKNOWN)),
        "exempt": counts[_EXEMPT],
        "pass": counts[_PASS],
        "reduce": counts[_REDUCE],
        "breach": counts[_BREACH],
        "unknown": counts[_UNKNOWN],
        "utilisation": _utilisation(tally, place),
    }


def _utilisation(tally: Tally, place: int) -> dict[str, Any] | None:
    peak = tally.peaks[place]
    if peak.use < 0:
        return None
    p50, p90, p99 = quantiles(tally.histograms[:, place].sum(axis=0, dtype=np.int64), peak.use)
    return {
        "peak": peak.use,
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "peak_ts": iso(peak.ts),
        "peak_order": peak.order_id,
        "remark": _remark(peak.use),
    }


def _remark(peak: float) -> str | None:
    """What a limit that is far from being reached is worth saying of."""
    if peak == 0:
        return "never used"
    tens = math.ceil(round(peak * 10, 9))
    return f"never above {tens * 10} %" if tens <= 8 else None


def _series(tally: Tally) -> dict[str, Any]:
    count = tally.buckets.count
    filled = [bool(row.any()) for row in tally.by_decision[:count]]
    return {
        "bucket_start": [iso(tally.buckets.start_ns(place)) for place in range(count)],
        "decisions": {
            name: tally.by_decision[:count, kind].tolist() for kind, name in enumerate(DECISIONS)
        },
        "utilisation": {
            column.name: _use_series(tally, place, filled)
            for place, column in enumerate(tally.columns)
            if tally.peaks[place].use >= 0
        },
        "equity": [finite(value) for value in tally.state[:count, 0]],
        "drawdown": [finite(value) for value in tally.state[:count, 1]],
    }


def _use_series(tally: Tally, gate: int, filled: Iterable[bool]) -> dict[str, list[float | None]]:
    rows: dict[str, list[float | None]] = {"max": [], "p50": [], "p90": []}
    for place, has_orders in enumerate(filled):
        use = float(tally.uses[place, gate])
        known = has_orders and use >= 0
        middle = quantiles(tally.histograms[place, gate], use)[:2] if known else [None, None]
        for name, value in zip(rows, (use if known else None, *middle), strict=True):
            rows[name].append(value)
    return rows


def _parts(
    orders: npt.NDArray[np.int64], money: npt.NDArray[np.float64], names: NameTable
) -> list[dict[str, Any]]:
    rows = [
        {
            "name": names[int(code)],
            "orders": int(orders[code].sum()),
            "approve": int(orders[code, 0]),
            "reduce": int(orders[code, 1]),
            "reject": int(orders[code, 2]),
            "notional_asked": finite(money[code, 0]),
            "notional_approved": finite(money[code, 1]),
        }
        for code in np.flatnonzero(orders.any(axis=1))
    ]
    return sorted(rows, key=lambda row: (-row["orders"], row["name"]))
