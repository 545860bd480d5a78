"""Metrics of limits: a bounded number of series, whatever the number of accounts and symbols."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ringfence.language import ir
from ringfence.runtime.limit_sample import BREACH, PASS, UNKNOWN, Sampled
from ringfence.runtime.metric_table import metric, one
from ringfence.runtime.metrics import Metric, Sample

__all__ = ["OTHER", "limit_metrics"]

#: The book of a series that stands for those without one of their own.
OTHER = "other"
_OUTCOMES = {PASS: "pass", BREACH: "breach", UNKNOWN: "unknown"}
_LOSSES = {
    "book.drawdown": "ringfence_drawdown",
    "book.day_loss_ratio": "ringfence_day_loss",
}


def limit_metrics(sampled: Sampled, most: int, failed: int) -> Iterable[Metric]:
    """The metrics of what was found.

    Args:
        sampled: What was found.
        most: So many series of gate and book, or of a book, have their own.
        failed: How often looking failed.
    """
    shown, folded = _by_gate_and_book(sampled, most)
    yield metric(
        "ringfence_limit_utilisation_ratio",
        (Sample({"gate": gate, "book": book}, used) for (gate, book), used in shown.items()),
    )
    yield one("ringfence_limit_series_folded", folded)
    standing = _standing(sampled)
    yield metric(
        "ringfence_limits",
        (
            Sample({"outcome": word}, int(np.count_nonzero(standing == code)))
            for code, word in _OUTCOMES.items()
        ),
    )
    for field, name in _LOSSES.items():
        yield from _losses(sampled, most, field, name)
    yield one("ringfence_limits_sampled_timestamp_seconds", sampled.stand.now_ns * 1e-9)
    yield one("ringfence_limits_failed", failed)


def _standing(sampled: Sampled) -> Any:
    """Outcomes, without those of limits on single orders."""
    return np.where(sampled.keys.each("of_order"), 0, sampled.outcome)


def _by_gate_and_book(sampled: Sampled, most: int) -> tuple[dict[tuple[str, str], float], int]:
    """The largest utilisation of each gate and book, and how many pairs were told as one."""
    keys = sampled.keys
    names: dict[str, int] = {}
    gate = np.array(
        [names.setdefault(kind.gate.name, len(names)) for kind in keys.kinds] or [0], np.int64
    )
    books = len(keys.names.books)
    known = ~np.isnan(sampled.used)
    pair = (gate[keys.kind] * books + keys.book)[known]
    largest = np.full(max(1, len(names)) * books, -np.inf)
    np.maximum.at(largest, pair, sampled.used[known])
    order = np.argsort(-largest, kind="stable")[: len(np.unique(pair))]
    words = list(names)
    shown: dict[tuple[str, str], float] = {}
    for rank, at in enumerate(order.tolist()):
        book = keys.names.books[at % books] if rank < most else OTHER
        key = words[at // books], book
        shown[key] = max(shown.get(key, 0.0), float(largest[at]))
    return shown, max(0, len(order) - most)


def _losses(sampled: Sampled, most: int, field: str, name: str) -> Iterable[Metric]:
    """A loss and its tightest limit, of each book the closest of them."""
    keys = sampled.keys
    mine = [
        number
        for number, kind in enumerate(keys.kinds)
        if isinstance(kind.check.measure, ir.Field) and kind.check.measure.name == field
    ]
    at = np.flatnonzero(np.isin(keys.kind, mine) & ~np.isnan(sampled.used))
    at = at[np.argsort(-sampled.used[at], kind="stable")]
    measures: dict[str, float] = {}
    limits: dict[str, float] = {}
    for place in at.tolist():
        book = keys.names.books[keys.book[place]]
        if book not in measures and len(measures) < most:
            measures[book] = float(sampled.measure[place])
            limits[book] = float(sampled.limit[place])
    for end, values in (("", measures), ("_limit", limits)):
        yield metric(
            f"{name}{end}_ratio",
            (Sample({"book": book}, value) for book, value in values.items()),
        )
