"""The arithmetic of a decision: derived anew from its record, gate by gate, in lines."""

from collections.abc import Callable
from dataclasses import dataclass

from ringfence.backends.explain.amounts import Words
from ringfence.review.explaining.explanation import GateExplained, Origin, explain
from ringfence.review.explaining.explanation_words import gate_lines
from ringfence.review.explaining.kept_orders import from_record
from ringfence.service.dashboard.gate_rows import KINDS, GateRow, explained_row
from ringfence.service.dashboard.recorded import Recorded

__all__ = ["Arithmetic", "GateLines", "arithmetic_of"]


@dataclass(frozen=True, slots=True)
class GateLines:
    """How a gate comes about.

    Attributes:
        kind: Kind of badge.
        blocks: Whether it keeps the order from being sent as asked.
        lines: Depth and text of each line.
        closed: Whether who looks may not see the positions behind it.
    """

    gate: str
    level: str
    outcome: str
    kind: str
    blocks: bool
    lines: tuple[tuple[int, str], ...]
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How a decision comes about.

    Attributes:
        path: From the gates to the decision, in sentences.
        valuation: How the price that values the order comes about.
        checks: What was compared with the record, in sentences.
        rows: What every gate found.
        gates: How each comes about, those that block first.
    """

    path: tuple[str, ...]
    valuation: str
    checks: tuple[str, ...]
    rows: tuple[GateRow, ...]
    gates: tuple[GateLines, ...]


def arithmetic_of(found: Recorded, *, may_open: Callable[[str], bool]) -> Arithmetic:
    """Derive a decision anew and tell how it comes about.

    Args:
        found: The decision.
        may_open: Whether the positions behind gates of a level may be seen.

    Raises:
        InputError: it cannot be derived from what its record shows.
    """
    kept = from_record(found.body, found.about or None, f"record {found.row.sequence}")
    told = explain(kept.linked, kept.case, origin=Origin("audit", kept.told, kept.checks))

    def lines(each: GateExplained) -> GateLines:
        result, is_open = each.result, may_open(each.result.level)
        outcome = str(result.outcome)
        texts = tuple(_line(text) for text in gate_lines(each, told)) if is_open else ()
        kind = KINDS.get(outcome, "plain")
        return GateLines(
            result.gate, result.level, outcome, kind, each.blocks, texts, closed=not is_open
        )

    gates = sorted((lines(each) for each in told.gates), key=lambda each: not each.blocks)
    instrument = told.ticket.instrument if told.ticket is not None else None
    words = Words(told.linked.currency, instrument)
    rows = tuple(explained_row(each, words) for each in told.gates)
    return Arithmetic(told.path, told.valuation, kept.checks, rows, tuple(gates))


def _line(text: str) -> tuple[int, str]:
    stripped = text.lstrip()
    return (len(text) - len(stripped)) // 2, stripped
