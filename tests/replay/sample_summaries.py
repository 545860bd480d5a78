"""Summaries of dry runs as the engine writes them, generated: everyday ones and extreme ones.

Every builder returns a fresh dict that fits `schemas/dry-run-summary.v1.schema.json`. The numbers
are made from sines and small integers, so the same call gives the same summary on every machine.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Summary = dict[str, Any]

START = datetime(2025, 11, 28, 9, 30, tzinfo=UTC)
GATES = {
    "kill-switch": "state",
    "data-quality": "duration",
    "daily-loss": "ratio",
    "drawdown": "ratio",
    "position-count": "count",
    "total-exposure": "money",
    "position-size": "money",
    "correlated-exposure": "ratio",
}
INJECTION = (
    "<script>alert(1)</script>|`x`\n[b](javascript:alert(2)) @team ![i](http://x/y.png) \x1b[31m"
)
LONG = "a-gate-with-a-very-long-name-" * 8


def iso(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


def wave(n: int, period: float, low: float, high: float) -> list[float]:
    middle, swing = (low + high) / 2, (high - low) / 2
    return [round(middle + swing * math.sin(2 * math.pi * i / period), 6) for i in range(n)]


def utilisation(peak: float) -> Summary:
    remark = ""
    for mark in (0.2, 0.4, 0.6):
        if peak <= mark:
            remark = f"never above {mark:.0%}".replace("%", " %")
            break
    return {
        "peak": peak,
        "p50": round(peak * 0.3, 6),
        "p90": round(peak * 0.6, 6),
        "p99": round(peak * 0.9, 6),
        "peak_ts": iso(START + timedelta(hours=3)),
        "peak_order": "ord-000042",
        "remark": remark,
    }


def make_gate(name: str, unit: str, index: int, orders: int, strict: float) -> Summary:
    peak = None if unit == "state" else round((0.12 + 0.31 * (index % 4)) * strict, 6)
    stopped = int(orders * 0.04 * strict) if peak and peak > 0.9 else 0
    exempt = orders // 10
    return {
        "gate": name,
        "level": ("account", "firm", "strategy")[index % 3],
        "policies": ["desk@1.0.0"],
        "unit": unit,
        "shadow": index % 7 == 6,
        "orders": orders - exempt,
        "exempt": exempt,
        "pass": orders - exempt - stopped,
        "reduce": stopped // 2,
        "breach": stopped - stopped // 2,
        "unknown": 0,
        "utilisation": utilisation(peak) if peak is not None and orders else None,
    }


def make_series(buckets: int, gates: list[Summary], orders: int, strict: float) -> Summary:
    each = max(1, orders // max(1, buckets))
    rejects = [int(each * 0.12 * strict * (1 + math.sin(i / 9))) for i in range(buckets)]
    reduces = [int(each * 0.08 * strict * (1 + math.cos(i / 7))) for i in range(buckets)]
    approves = [max(0, each - a - b) for a, b in zip(rejects, reduces, strict=True)]
    use: Summary = {}
    for position, gate in enumerate(gates):
        if gate["utilisation"] is None:
            continue
        peak = gate["utilisation"]["peak"]
        top: list[float | None] = list(wave(buckets, 31 + 7 * position, peak * 0.35, peak))
        if buckets > 20:
            top[5:9] = [None] * 4
        use[gate["gate"]] = {
            "max": top,
            "p50": [None if x is None else round(x * 0.4, 6) for x in top],
            "p90": [None if x is None else round(x * 0.75, 6) for x in top],
        }
    equity = [round(100_000 * (1 + 0.02 * x), 2) for x in wave(buckets, 90, -1, 1 - strict / 4)]
    peak_so_far, drawdown = -math.inf, []
    for value in equity:
        peak_so_far = max(peak_so_far, value)
        drawdown.append(round(1 - value / peak_so_far, 6))
    return {
        "bucket_start": [iso(START + timedelta(minutes=15 * i)) for i in range(buckets)],
        "decisions": {"APPROVE": approves, "REDUCE_SIZE": reduces, "REJECT": rejects},
        "utilisation": use,
        "equity": equity,
        "drawdown": drawdown,
    }


def make_run(orders: int, buckets: int, gates: dict[str, str], strict: float) -> Summary:
    listed = [
        make_gate(name, unit, i, orders, strict) for i, (name, unit) in enumerate(gates.items())
    ]
    series = make_series(buckets, listed, orders, strict)
    made = {k: sum(v) for k, v in series["decisions"].items()} if orders else {}
    decisions = {k: made.get(k, 0) for k in ("APPROVE", "REDUCE_SIZE", "REJECT")}
    asked = orders * 1234.5
    blocked = sorted(
        (
            {
                "gate": g["gate"],
                "reject": g["breach"],
                "reduce": g["reduce"],
                "notional": (g["breach"] + g["reduce"]) * 1111.11,
            }
            for g in listed
            if g["breach"] + g["reduce"]
        ),
        key=lambda row: -row["reject"] - row["reduce"],
    )
    part = {
        "orders": orders,
        "approve": decisions["APPROVE"],
        "reduce": decisions["REDUCE_SIZE"],
        "reject": decisions["REJECT"],
        "notional_asked": asked,
        "notional_approved": asked * 0.8,
    }
    return {
        "decisions": decisions,
        "notional": {
            "currency": "USDT",
            "asked": asked,
            "approved": asked * 0.8,
            "cut": asked * 0.05,
            "rejected": asked * 0.15,
        },
        "by_gate": blocked,
        "halts": {"count": 0, "by_gate": {}, "first": []},
        "reasons": [{"code": "TOTAL_EXPOSURE", "orders": decisions["REJECT"]}],
        "gates": listed,
        "series": series,
        "by_account": [{"name": "main", **part}],
        "by_strategy": [{"name": "mean-reversion", **part}],
        "by_symbol": [{"name": s, **part} for s in ("BTC/USDT", "ETH/USDT")],
        "pnl": {
            "equity_first": 100_000.0,
            "equity_last": 101_234.56 - 800 * strict,
            "fees": 12.34,
            "max_drawdown": max(series["drawdown"], default=0.0),
        },
    }


def make_example(i: int, gate: str, unit: str) -> Summary:
    kinds = (("APPROVE", "REJECT"), ("APPROVE", "REDUCE_SIZE"), ("REJECT", "APPROVE"))
    before, after = kinds[i % 3]
    size = 0.5 + (i % 11) / 8
    sizes = {"APPROVE": size, "REDUCE_SIZE": round(size * 0.4, 4), "REJECT": 0.0}
    price = 91_000.5 + 13 * (i % 50)
    limit = {"money": 50_000.0, "ratio": 0.03, "count": 10, "duration": 5.0}.get(unit, 1.0)
    return {
        "ts": iso(START + timedelta(minutes=2 * i)),
        "order_id": f"ord-{i:06d}",
        "account": "main" if i % 2 else "hedge",
        "strategy": "mean-reversion",
        "symbol": "BTC/USDT" if i % 3 else "ETH/USDT",
        "side": "buy" if i % 4 else "sell",
        "size": size,
        "price": None if i % 5 == 0 else price,
        "base": {"decision": before, "size": sizes[before]},
        "head": {"decision": after, "size": sizes[after]},
        "gate": gate,
        "measure": limit * (1.04 + (i % 7) / 10),
        "limit": limit,
        "unit": unit,
        "notional": abs(sizes[before] - sizes[after]) * price,
    }


def make_changes(changed: int, gates: dict[str, str], listed: int = 500) -> Summary:
    names = [name for name, unit in gates.items() if unit != "state"][::-1]
    examples = [
        make_example(i, names[i % len(names)], gates[names[i % len(names)]])
        for i in range(min(changed, listed))
    ]
    tally: dict[str, list[float]] = {}
    for row in examples:
        tally.setdefault(row["gate"], []).append(row["notional"])
    return {
        "mode": "propagated",
        "orders": changed,
        "newly_rejected": changed - 2 * (changed // 3),
        "newly_reduced": changed // 3,
        "newly_approved": changed // 3,
        "resized": 0,
        "notional_at_stake": sum(row["notional"] for row in examples),
        "pnl_at_stake": -321.5 if changed else 0.0,
        "currency": "USDT",
        "by_gate": [{"gate": g, "orders": len(v), "notional": sum(v)} for g, v in tally.items()],
        "examples": examples,
        "truncated": changed - len(examples),
    }


def make_summary(
    orders: int = 4_800,
    buckets: int = 48,
    gates: dict[str, str] | None = None,
    changed: int | None = 36,
    modes: tuple[str, ...] = ("propagated", "frozen"),
) -> Summary:
    """Build a summary; `changed=None` leaves the base out."""
    gates = GATES if gates is None else gates

    def side(name: str, strict: float) -> Summary:
        return {
            "policy_set": name * 32,
            "source": "policies/" if name == "a1" else "git:main",
            "modes": {mode: make_run(orders, buckets, gates, strict) for mode in modes},
        }

    sides = {"head": side("a1", 1.0)}
    if changed is not None:
        sides["base"] = side("b2", 0.8)
    return {
        "schema": "ringfence/dry-run-summary/v1",
        "ringfence": "0.1.0",
        "interrupted": False,
        "orders": {
            "source": "orders.parquet",
            "rows": orders + 7,
            "replayed": orders,
            "first_ts": iso(START) if orders else None,
            "last_ts": iso(START + timedelta(minutes=15 * buckets)) if orders else None,
            "accounts": 2 if orders else 0,
            "symbols": 2 if orders else 0,
            "strategies": 1 if orders else 0,
        },
        "unreplayable": [
            {
                "reason": "size is missing or not above zero",
                "rows": 7,
                "examples": [{"row": 17, "order_id": "x-17", "detail": "size=0"}],
            }
        ],
        "assumptions": [
            "no fills given: every approved order fills at once, at its own price (or the mark)",
            "no instruments given: lot step 0.0001 for every symbol",
        ],
        "sides": sides,
        "changes": None if changed is None else make_changes(changed, gates),
    }


def everyday() -> Summary:
    return make_summary()


def without_base() -> Summary:
    return make_summary(changed=None)


def unchanged() -> Summary:
    return make_summary(changed=0)


def zero_orders() -> Summary:
    return make_summary(orders=0, buckets=0, changed=0)


def one_bucket() -> Summary:
    return make_summary(orders=3, buckets=1, changed=1, modes=("frozen",))


def crowded() -> Summary:
    """240 buckets, 30 gates, thousands of changed orders, accounts and reasons."""
    units = ("money", "ratio", "count", "duration", "quantity")
    gates = {f"gate-{i:02d}": units[i % 5] for i in range(30)}
    summary = make_summary(orders=1_000_000, buckets=240, gates=gates, changed=12_345)
    for side in summary["sides"].values():
        for run in side["modes"].values():
            row = run["by_account"][0]
            run["by_account"] = [{**row, "name": f"account-{i:04d}"} for i in range(1_000)]
            run["by_symbol"] = [{**row, "name": f"SYM{i}/USDT"} for i in range(50)]
            run["reasons"] = [{"code": f"CODE_{i}", "orders": i} for i in range(40)]
            run["halts"] = made_halts([f"account/account-{i:04d}" for i in range(1_000)], 1_234)
    summary["unreplayable"] = [
        {
            "reason": f"reason number {i}",
            "rows": 100 - i,
            "examples": [{"row": j, "order_id": f"o-{j}", "detail": "x" * 60} for j in range(20)],
        }
        for i in range(40)
    ]
    return summary


def made_halts(books: list[str], count: int) -> Summary:
    """So many books that `daily-loss` halted, minute by minute."""
    first = [
        {"ts": iso(START + timedelta(minutes=i)), "book": book, "gate": "daily-loss"}
        for i, book in enumerate(books)
    ]
    return {"count": count, "by_gate": {"daily-loss": count}, "first": first}


def long_names() -> Summary:
    summary = make_summary(gates={LONG + name: unit for name, unit in GATES.items()})
    summary["sides"]["head"]["modes"]["propagated"]["halts"] = made_halts(
        ["account/" + "A" * 90], 1
    )
    for row in summary["changes"]["examples"]:
        row.update(order_id="9" * 120, account="A" * 90, strategy="S" * 90, symbol="X" * 80)
    summary["orders"]["source"] = "s3://bucket/" + "folder/" * 40 + "orders.parquet"
    summary["assumptions"].append("w" * 400)
    return summary


def hostile_names() -> Summary:
    """Every free text holds markup, control characters, links and a mention."""
    summary = make_summary(gates={INJECTION + name: unit for name, unit in GATES.items()})
    for row in summary["changes"]["examples"]:
        row.update(order_id=INJECTION, account=INJECTION, strategy=INJECTION, symbol=INJECTION)
    for side in summary["sides"].values():
        side["source"] = INJECTION
        for run in side["modes"].values():
            run["notional"]["currency"] = INJECTION
            for group in ("by_account", "by_strategy", "by_symbol"):
                run[group][0]["name"] = INJECTION
            run["reasons"][0]["code"] = INJECTION
            run["halts"] = made_halts([f"account/{INJECTION}"], 1)
            for gate in run["gates"]:
                gate["policies"] = [INJECTION]
    summary["changes"]["currency"] = INJECTION
    summary["orders"]["source"] = INJECTION
    summary["assumptions"] = [INJECTION]
    summary["unreplayable"][0]["reason"] = INJECTION
    summary["unreplayable"][0]["examples"][0].update(order_id=INJECTION, detail=INJECTION)
    return summary


def extreme_numbers() -> Summary:
    """Utilisation far above the limit, huge and tiny money, nulls where a number may be absent."""
    summary = make_summary()
    for side in summary["sides"].values():
        for run in side["modes"].values():
            first = next(g for g in run["gates"] if g["utilisation"])
            first["utilisation"].update(peak=5_000.0, p99=40.0)
            first["unknown"] = 3
            run["series"]["utilisation"][first["gate"]]["max"][7] = 5_000.0
            run["series"]["equity"] = [1e13 * (1 + i) for i in range(48)]
            run["series"]["equity"][3] = None
            run["series"]["drawdown"] = [None] * 48
            run["notional"].update(asked=1e18, approved=1e-9, cut=0.00012, rejected=-0.0)
            run["pnl"].update(equity_first=None, equity_last=-5e12, max_drawdown=None)
    summary["changes"].update(notional_at_stake=1e18, pnl_at_stake=None)
    summary["interrupted"] = True
    return summary


SAMPLES: dict[str, Callable[[], Summary]] = {
    "everyday": everyday,
    "without_base": without_base,
    "unchanged": unchanged,
    "zero_orders": zero_orders,
    "one_bucket": one_bucket,
    "crowded": crowded,
    "long_names": long_names,
    "hostile_names": hostile_names,
    "extreme_numbers": extreme_numbers,
}
