"""The figures of a dry run's report: each plot with its caption, and the numbers behind it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringfence.replay.inline_svg import Frame
from ringfence.replay.wording import (
    clip,
    duration,
    moment,
    money,
    percent,
    primary_runs,
    ranked_gates,
    remark_of,
)

__all__ = ["Figure", "Figures", "figures"]

_WIDE = Frame("wide", 1080, 330, 10)
_NARROW = Frame("narrow", 350, 330, 4)
_SMALL = Frame("small", 350, 150, 4)
_DIGITS = 6

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its key in the page, what it shows, a sentence that says it in words, drawings.

    `svg` is markup that is safe to put into the page as it is; all other text must be escaped.
    """

    key: str
    title: str
    subtitle: str
    says: str
    svg: str


@dataclass(slots=True)
class Figures:
    """All figures by section, and `data`, the numbers behind them, for the page's script."""

    by_section: dict[str, list[Figure]] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


def figures(summary: Json) -> Figures:
    """Return the figures of a dry run's summary: `decisions`, `utilisation`, `equity`.

    A section is empty where there is nothing over time to draw.
    """
    found = Figures({"decisions": [], "utilisation": [], "equity": []})
    head, base = primary_runs(summary)
    starts = head["series"]["bucket_start"]
    if not starts:
        return found
    from ringfence.replay import charts

    edges = charts.bucket_edges(starts, summary["orders"]["last_ts"])
    found.data = {
        "edges": [round(edge, 3) for edge in edges],
        "margins": charts.MARGINS,
        "plots": {},
    }
    # Sides are drawn over one axis: a base over other buckets could not be compared by eye.
    other = base if base and base["series"]["bucket_start"] == starts else None
    _decisions(found, head, other, edges)
    _utilisation(found, head, other, edges)
    _equity(found, head, other, edges)
    return found


def _decisions(found: Figures, head: Json, base: Json | None, edges: Sequence[float]) -> None:
    from ringfence.replay import charts

    ours, theirs = head["series"]["decisions"], base["series"]["decisions"] if base else None
    svg = "".join(charts.draw_decisions(ours, theirs, edges, frame) for frame in (_WIDE, _NARROW))
    held = [a + b for a, b in zip(ours["REJECT"], ours["REDUCE_SIZE"], strict=True)]
    worst = max(range(len(held)), key=held.__getitem__)
    when = moment(head["series"]["bucket_start"][worst])
    says = (
        f"Most orders were held back in the {duration(edges[1] - edges[0])} from {when}: "
        f"{ours['REJECT'][worst]:,} rejected and {ours['REDUCE_SIZE'][worst]:,} reduced."
        if held[worst]
        else "No order was held back."
    )
    found.by_section["decisions"].append(Figure("decisions", "Decisions over time", "", says, svg))
    rows = []
    for side, made in (("head", ours), ("base", theirs)):
        if made:
            for key, word in (
                ("REJECT", "rejected"),
                ("REDUCE_SIZE", "reduced"),
                ("APPROVE", "approved"),
            ):
                rows.append([f"{side} {word}", "count", made[key]])
    found.data["plots"]["decisions"] = rows


def _equity(found: Figures, head: Json, base: Json | None, edges: Sequence[float]) -> None:
    series, other = head["series"], base["series"] if base else None
    if not any(value is not None for value in series["equity"]):
        return
    from ringfence.replay import charts

    currency = clip(head["notional"]["currency"], 12)
    svg = "".join(
        charts.draw_equity(series, other, edges, currency, frame) for frame in (_WIDE, _NARROW)
    )
    says = "; ".join(
        _fortunes(side, run, currency) for side, run in (("Head", head), ("base", base)) if run
    )
    found.by_section["equity"].append(Figure("equity", "Equity and drawdown", "", f"{says}.", svg))
    rows = []
    for side, given in (("head", series), ("base", other)):
        if given:
            rows.append([f"{side} equity", f"money {currency}", _rounded(given["equity"])])
            rows.append([f"{side} drawdown", "percent", _rounded(given["drawdown"])])
    found.data["plots"]["equity"] = rows


def _fortunes(side: str, run: Json, currency: str) -> str:
    pnl = run["pnl"]
    first, last = (money(pnl[key], currency) for key in ("equity_first", "equity_last"))
    return f"{side} from {first} to {last}, greatest drawdown {percent(pnl['max_drawdown'])}"


def _utilisation(found: Figures, head: Json, base: Json | None, edges: Sequence[float]) -> None:
    from ringfence.replay import charts

    ours = head["series"]["utilisation"]
    theirs = base["series"]["utilisation"] if base else {}
    drawn: set[str] = set()
    for gate in ranked_gates(head):
        name = gate["gate"]
        # One series a gate, also where the gate binds at several levels.
        if name in drawn or name not in ours:
            continue
        drawn.add(name)
        key = f"use-{len(drawn)}"
        before = theirs.get(name)
        svg = charts.draw_utilisation(key, ours[name], before, edges, _SMALL)
        subtitle = " · ".join(part for part in (f"{gate['level']} level", remark_of(gate)) if part)
        found.by_section["utilisation"].append(
            Figure(key, clip(name, 72), subtitle, _used(gate, ours[name]), svg)
        )
        rows = [[f"head {k}", "percent", _rounded(ours[name][k])] for k in ("max", "p90", "p50")]
        if before:
            rows.append(["base max", "percent", _rounded(before["max"])])
        found.data["plots"][key] = rows


def _used(gate: Json, series: Mapping[str, Sequence[float | None]]) -> str:
    use = gate["utilisation"]
    if not use:
        return "No utilisation is known."
    says = f"Peak {percent(use['peak'])}"
    if use["peak_ts"]:
        says += f" at {moment(use['peak_ts'])}"
    if use["peak_order"]:
        says += f", order {clip(use['peak_order'], 40)}"
    highest = max((x for x in series["max"] if x is not None), default=0.0)
    return f"{says}." + (" Off the scale above 200 %." if highest > 2 else "")


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    """Return numbers with as many digits as a reader can use, to keep the page small."""
    return [
        None if value is None or not math.isfinite(value) else _significant(value)
        for value in values
    ]


def _significant(value: float) -> float:
    if value == 0:
        return 0.0
    digits = _DIGITS + 2 - math.ceil(math.log10(abs(value))) if abs(value) > 1 else _DIGITS
    return round(value, max(digits, 0))
