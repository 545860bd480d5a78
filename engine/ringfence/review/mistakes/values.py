"""Limits that cannot be meant: swapped, a hundred times too small, never reached, or never passed."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ringfence.errors import Diagnostic
from ringfence.language import ir
from ringfence.language.canonical import expression_text
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.instruments import to_decimal
from ringfence.language.linking import LinkedSet
from ringfence.language.rules import Check, Rule, walk
from ringfence.language.source import Document
from ringfence.review.mistakes.context import (
    Context,
    amount,
    given_in,
    limits_of,
    place_of,
    shown,
    warning,
    written,
)
from ringfence.review.mistakes.ranges import (
    LOSS_SHARES,
    Range,
    range_of,
    solvent_range,
)

__all__ = ["NEVER", "NOTHING", "Verdict", "instruments", "judge", "values"]

NEVER, NOTHING, BANKRUPT, UNSET, CROSSED = "never", "nothing", "bankrupt", "unset", "crossed"
_CLOSE = 3.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with one check at some limits.

    `kind` is NEVER (it always passes), NOTHING (it never does), BANKRUPT (it decides only in a book that has
    lost all), UNSET (its limit is not given) or CROSSED (no value passes both it and `other`).
    """

    kind: str
    check: Check | None = None
    bound: float = math.nan
    other: Check | None = None


def values(context: Context) -> Iterable[Diagnostic]:
    """Limits of every gate and override that cannot be meant (E422 to E424, E433, E434)."""
    known: dict[Any, tuple[Verdict, ...]] = {}
    for gate in context.linked.gates:
        for row in gate.rows:
            key = (gate.rule.key, *row.values.items())
            if (verdicts := known.get(key)) is None:
                verdicts = known[key] = tuple(judge(gate.rule, row, context.linked))
            for verdict in verdicts:
                yield from _told(gate, row, verdict)
            yield from _swapped(context, gate, row)
            yield from _percentages(gate, row)


def judge(rule: Rule, row: LimitRow, linked: LinkedSet) -> Iterator[Verdict]:
    """What is wrong with each check of a rule at the limits of one row."""
    binding = [each for each in rule.checks if all(name in row.values for name in each.when)]
    if not binding:
        yield Verdict(UNSET)
    numbers = _numbers(rule, row, linked)
    limits: dict[tuple[str, str], tuple[Check, Range]] = {}
    for check in binding:
        if any(name not in row.values for name in _params(check.limit)):
            yield Verdict(UNSET, check)
            continue
        measure, limit = range_of(check.measure, numbers), range_of(check.limit, numbers)
        limits.setdefault((expression_text(check.measure), check.compare), (check, limit))
        low, high = (measure, limit) if check.compare == "<=" else (limit, measure)
        if low[0] > high[1] and not math.isclose(low[0], high[1], rel_tol=1e-12):
            yield Verdict(NOTHING, check)
        elif _always(low, high):
            yield Verdict(NEVER, check, measure[1 if check.compare == "<=" else 0])
        elif (
            check.compare == "<="
            and any(name in LOSS_SHARES for name in _fields(check.measure))
            and _always(range_of(check.measure, numbers, solvent_range), limit)
        ):
            yield Verdict(BANKRUPT, check)
    for (measured, compare), (check, limit) in limits.items():
        upper = limits.get((measured, "<=")) if compare == ">=" else None
        if upper is not None and limit[0] > upper[1][1]:
            yield Verdict(CROSSED, check, other=upper[0])


def instruments(context: Context) -> Iterable[Diagnostic]:
    """Instruments whose smallest size, or lot step, is above their largest (E422)."""
    for document in context.linked.documents.values():
        if document.data["kind"] == "Instruments":
            for symbol, given in (document.data["spec"].get("instruments") or {}).items():
                yield from _sizes(document, symbol, given)


def _sizes(document: Document, symbol: str, given: dict[str, Any]) -> Iterator[Diagnostic]:
    most = to_decimal(given.get("max_size"))
    for name in ("min_size", "lot_step"):
        least: Decimal | None = to_decimal(given.get(name))
        if most is not None and least is not None and least > most:
            yield Diagnostic(
                "E422",
                f"`{name}` ({least}) of `{symbol}` is above its `max_size` ({most})",
                document.span("spec", "instruments", symbol, name),
                why="no size is both, so that every order is rejected",
                fix=f'swap them: `{name}: "{most}", max_size: "{least}"`',
                related=(document.span("spec", "instruments", symbol, "max_size"),),
            )
            return


def _told(gate: Gate, row: LimitRow, verdict: Verdict) -> Iterator[Diagnostic]:
    check = verdict.check
    # Only UNSET speaks of no check.
    if verdict.kind == UNSET or check is None:
        if row is gate.rows[0]:
            yield _unset(gate, row, check)
        return
    name = next((each for each in _params(check.limit) if each in row.given), "")
    if not name:
        return
    value = f"{name}: {written(gate, row, name)}"
    span = place_of(row, name)
    kind = gate.rule.parameters.parameters[name].type
    if verdict.kind == NEVER:
        most = "at most" if check.compare == "<=" else "at least"
        bound = shown(verdict.bound, "ratio" if kind == "ratio" else "count")
        yield Diagnostic(
            "E433",
            f"`{value}` can never decide: `{check.measure_text}` is always {most} {bound}",
            span,
            why="the check passes whatever is ordered, so that it looks like protection and is none",
            fix=f"give `{name}` a value that the measure can go beyond, or remove it",
        )
    elif verdict.kind == BANKRUPT:
        usual = gate.rule.parameters.default_limits.get(name)
        yield Diagnostic(
            "E434",
            f"`{value}` decides only once the book has lost all it had",
            span,
            why="a loss limit is there to stop before that",
            fix="write the share that may be lost"
            + (f", such as `{name}: {usual}`" if usual else ""),
        )
    elif verdict.kind == NOTHING and (row is gate.rows[0] or not _explained(row)):
        yield warning(
            "E424",
            f"`{value}` lets nothing through",
            span,
            f"`{check.measure_text}` is beyond it for every order that the gate applies to",
            "write the limit that is meant; where nothing is to pass, say so: "
            "`accept: [{code: E424, reason: ...}]`",
        )
    elif verdict.kind == CROSSED and verdict.other is not None:
        other = next((each for each in _params(verdict.other.limit) if each in row.values), "")
        if other and not _paired(name, other):
            yield _minimum_above(gate, row, name, other)


def _explained(row: LimitRow) -> bool:
    """Whether an override gives its reason: a freeze for a while is meant."""
    return bool(given_in(row).get("reason"))


def _unset(gate: Gate, row: LimitRow, check: Check | None) -> Diagnostic:
    parameters = gate.rule.parameters.parameters.values()
    lacking = [each.name for each in parameters if each.limit and each.name not in row.values]
    if check is not None:
        lacking = [name for name in _params(check.limit) if name not in row.values]
    return warning(
        "E424",
        f"`{gate.name}` has no limit, so that it lets nothing through",
        row.span,
        "a gate without its limit is unknown, and an unknown gate does not pass",
        f"add `limits: {{{lacking[0]}: ...}}`" if lacking else "give it a limit, or remove it",
    )


def _swapped(context: Context, gate: Gate, row: LimitRow) -> Iterator[Diagnostic]:
    for name in row.values:
        other = f"max_{name[4:]}" if name.startswith("min_") else ""
        if other in row.values and (name in row.given or other in row.given):
            least = amount(row.values[name], context.linked)
            most = amount(row.values[other], context.linked)
            kinds = gate.rule.parameters.parameters
            same = kinds[name].type == kinds[other].type
            if same and least is not None and most is not None and least > most:
                yield _minimum_above(gate, row, name, other)


def _minimum_above(gate: Gate, row: LimitRow, name: str, other: str) -> Diagnostic:
    least, most = written(gate, row, name), written(gate, row, other)
    return Diagnostic(
        "E422",
        f"`{name}` ({least}) is above `{other}` ({most})",
        place_of(row, name),
        why="no value is both, so that nothing passes",
        fix=f"swap them: `{name}: {most}`, `{other}: {least}`",
        related=(place_of(row, other),) if other in row.given else (),
    )


def _paired(name: str, other: str) -> bool:
    return name.startswith("min_") and other == f"max_{name[4:]}"


def _percentages(gate: Gate, row: LimitRow) -> Iterator[Diagnostic]:
    """A percentage below one whose number is the ratio that the rule's own default is like."""
    parameters = gate.rule.parameters
    given = limits_of(row)
    for name in row.given:
        text = given[name]
        if not (isinstance(text, str) and text.rstrip().endswith("%")):
            continue
        if parameters.parameters[name].type != "ratio":
            continue
        usual = parameters.default_limits.get(name, parameters.parameters[name].default)
        like = parameters.value(name, usual) if usual is not None else None
        ratio = row.values[name]
        if not (isinstance(ratio, float) and isinstance(like, float)):
            continue
        number = ratio * 100
        if 0 < number < 1 and like / _CLOSE <= number <= like * _CLOSE:
            yield Diagnostic(
                "E423",
                f"`{name}: {text}` is {number * 100:.15g} hundredths of a percent: was "
                f"`{number * 100:.15g}%` meant?",
                place_of(row, name),
                why=f"`{number:.15g}` by itself is the ratio {number * 100:.15g}%, and the rule's own value "
                f"is {shown(like, 'ratio')}",
                fix=f"write `{number * 100:.15g}%`; if it is meant as it stands, write "
                f"`{number * 100:.15g} bps`",
            )


def _numbers(rule: Rule, row: LimitRow, linked: LinkedSet) -> dict[str, float]:
    numbers = {}
    for name, value in row.values.items():
        allowed = rule.parameters.parameters[name].allowed
        if isinstance(value, str):
            numbers[name] = float(allowed.index(value))
        elif (number := amount(value, linked)) is not None:
            numbers[name] = number
    return numbers


def _always(low: Range, high: Range) -> bool:
    return math.isfinite(low[1]) and math.isfinite(high[0]) and low[1] <= high[0]


def _params(node: ir.Node) -> list[str]:
    return [each.name for each in walk(node) if isinstance(each, ir.Param)]


def _fields(node: ir.Node) -> list[str]:
    return [each.name for each in walk(node) if isinstance(each, ir.Field)]
