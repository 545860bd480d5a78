"""Rows of the table of gates: out of a record as it stands, or out of an explanation, which knows more."""

import math
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ringfence.backends.explain.amounts import UNBOUNDED, Words
from ringfence.language.decision import Outcome
from ringfence.language.fields import noun_of_count
from ringfence.review.explaining.explanation import GateExplained

__all__ = ["KINDS", "GateRow", "explained_row", "recorded_row"]

#: Kind of badge by outcome.
KINDS = {
    "pass": "ok",
    "exempt": "plain",
    "reduce": "warn",
    "breach": "bad",
    "unknown": "bad",
}  # nosec B105  # no password
_NOTHING = "–"


@dataclass(frozen=True, slots=True)
class GateRow:
    """What a gate found, in words.

    Attributes:
        kind: Kind of badge.
        measure, limit, margin: With their units.
        used: Measure over limit, where the one must not exceed the other; None elsewhere.
        place, path: Where the limit stands: in short, and in full; empty where it is not known.
    """

    gate: str
    level: str
    mode: str
    outcome: str
    kind: str
    measure: str
    limit: str
    margin: str
    used: float | None
    place: str
    path: str
    reason: str


def recorded_row(found: dict[str, Any], words: Words) -> GateRow:
    """A gate as it stands in a record, which does not say which way it compares.

    Args:
        found: The gate in the long form (`runtime.audit_decision.gates_in`).
        words: Of the order's instrument.
    """
    unit, outcome = str(found.get("unit") or ""), str(found.get("outcome") or "unknown")
    file, line = found.get("file"), found.get("line")
    known = (file, line) if file and line else ("", 0)
    return GateRow(
        str(found.get("gate") or ""),
        str(found.get("level") or ""),
        str(found.get("mode") or "enforce"),
        outcome,
        KINDS.get(outcome, "plain"),
        _amount(_float(found.get("measure")), unit, words),
        _amount(_float(found.get("limit")), unit, words),
        _NOTHING,
        None,
        *_place(str(known[0]), int(known[1])),
        str(found.get("reason") or ""),
    )


def explained_row(each: GateExplained, words: Words) -> GateRow:
    """A gate of an explanation.

    Args:
        each: The gate.
        words: Of the order's instrument.
    """
    result = each.result
    checks = each.explained.checks if each.explained is not None else ()
    check = next((one for one in checks if one.name == result.check), None)
    used = None
    if check is not None and check.compare == "<=" and 0 < check.limit.value < UNBOUNDED:
        used = check.utilisation if math.isfinite(check.utilisation) else None
    # The interpreter's own is of the one direction; the check's is what is left, whichever way it compares.
    margin = result.margin if check is None else check.margin
    is_state = result.unit == "state"
    read = () if each.explained is None else each.explained.inputs
    names = tuple(one.name for one in read)
    source = result.source
    return GateRow(
        result.gate,
        result.level,
        result.mode,
        str(result.outcome),
        KINDS.get(str(result.outcome), "plain"),
        _amount(result.measure, result.unit, words, names),
        _amount(result.limit, result.unit, words, names),
        _NOTHING if is_state else _amount(margin, result.unit, words, names),
        None if is_state else used,
        *(("", "") if source is None else _place(source.path, source.line)),
        result.reason if result.outcome is not Outcome.PASS else "",
    )


def _amount(value: float, unit: str, words: Words, names: tuple[str, ...] = ()) -> str:
    if math.isnan(value):
        return _NOTHING
    noun = noun_of_count(names, value) if unit == "count" and value < UNBOUNDED else ""
    return f"{words.amount(value, unit)} {noun}".rstrip()


def _float(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan


def _place(path: str, line: int) -> tuple[str, str]:
    """`desk.yaml:16`, and with the whole path."""
    return (f"{PurePath(path).name}:{line}", f"{path}:{line}") if path else ("", "")
