"""A decision as it was recorded: the order, what it was decided on, and what every gate found."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ringfence.backends.explain.amounts import Words
from ringfence.errors import InputError, PolicyError
from ringfence.language.linking import LinkedSet
from ringfence.runtime.audit_decision import gates_in, order_in
from ringfence.runtime.policy_files import files_in
from ringfence.runtime.policy_set import PolicySet
from ringfence.service.archive import DecisionRow
from ringfence.service.dashboard.gate_rows import GateRow, recorded_row
from ringfence.service.dashboard.words import age
from ringfence.service.desk import Desk

__all__ = ["Quote", "Recorded", "recorded"]


@dataclass(frozen=True, slots=True)
class Quote:
    """Market data of a symbol: name and text of what was known."""

    symbol: str
    texts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision.

    Attributes:
        row: It in short.
        body: Of its record.
        about: Body of the record of its policy set; empty where there is none.
        in_force: Whether that policy set still decides.
    """

    row: DecisionRow
    body: dict[str, Any]
    about: dict[str, Any]
    gates: tuple[GateRow, ...]
    quotes: tuple[Quote, ...]
    in_force: bool


def recorded(desk: Desk, row: DecisionRow, body: dict[str, Any], about: dict[str, Any]) -> Recorded:
    """Put a decision's record into words.

    Args:
        desk: Whose decision it is.
        row: It in short.
        body: Of its record.
        about: Body of the record of its policy set; empty where there is none.
    """
    linked = desk.guard.linked
    in_force = linked.sha256 == row.policy_set
    own = linked if in_force else _linked(about)
    instrument = None if own is None else own.desk.instruments.get(row.symbol)
    words = Words(str(about.get("currency", "")), instrument)
    gates = tuple(recorded_row(each, words) for each in gates_in(body, about, own))
    return Recorded(row, body, about, gates, tuple(_quotes(body, words)), in_force)


def _linked(about: dict[str, Any]) -> LinkedSet | None:
    """The policy set that a record describes; None where it cannot be linked again."""
    try:
        found = PolicySet.from_files(files_in(about)).linked
    except (InputError, PolicyError):
        return None
    return found if found.sha256 == about.get("policy_set") else None


def _quotes(body: dict[str, Any], words: Words) -> Iterator[Quote]:
    inputs = body.get("inputs")
    market = body.get("market", inputs.get("market") if isinstance(inputs, dict) else None)
    if not isinstance(market, dict):
        return
    # Of several symbols, or of the order's alone.
    several = market and all(isinstance(each, dict) for each in market.values())
    by_symbol = market if several else {str(order_in(body).get("symbol", "")): market}
    for symbol, about in by_symbol.items():
        texts = tuple(
            (name.replace("_", " "), _told(name, value, words))
            for name, value in about.items()
            if name != "timestamp" and isinstance(value, int | float) and math.isfinite(value)
        )
        if texts:
            yield Quote(symbol, texts)


def _told(name: str, value: float, words: Words) -> str:
    if name == "age":
        return age(value)
    return (
        words.amount(value, "quantity")
        if "depth" in name or name == "volume"
        else words.price(value)
    )
